"""The Presentation Contexts as tables: which SOP Classes in which Transfer Syntaxes we take in, and which we send.

A Presentation Context pairs one kind of object (its SOP Class, here the abstract syntax) with the ways in which its
bytes may be encoded (Transfer Syntaxes); both sides agree on a list of them when an Association opens (PS3.8 9.3.2).
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import sop_class
from pynetdicom.presentation import PresentationContext, build_context

VERIFICATION: UID = sop_class.Verification
STORAGE_COMMITMENT: UID = sop_class.StorageCommitmentPushModel
FIND: UID = sop_class.StudyRootQueryRetrieveInformationModelFind
MOVE: UID = sop_class.StudyRootQueryRetrieveInformationModelMove
GET: UID = sop_class.StudyRootQueryRetrieveInformationModelGet

UNCOMPRESSED: tuple[UID, ...] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

# Best first: where a peer offers several in one context, the acceptor takes the first of its own list.
# Explicit VR keeps the value representations of private elements; then what loses nothing; then what has already lost.
# Deflated stays out (a small transfer can unpack to any size), and so does the retired Big Endian.
ACCEPTED_TRANSFER_SYNTAXES: tuple[UID, ...] = (
    *UNCOMPRESSED,
    RLELossless,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    JPEG2000,
    HTJ2K,
)

IMAGES: tuple[UID, ...] = (
    sop_class.NuclearMedicineImageStorage,
    sop_class.CTImageStorage,
    sop_class.EnhancedCTImageStorage,
    sop_class.LegacyConvertedEnhancedCTImageStorage,
    sop_class.PositronEmissionTomographyImageStorage,
    sop_class.EnhancedPETImageStorage,
    sop_class.LegacyConvertedEnhancedPETImageStorage,
    sop_class.MRImageStorage,
    sop_class.EnhancedMRImageStorage,
    sop_class.ComputedRadiographyImageStorage,
    sop_class.UltrasoundImageStorage,
    sop_class.UltrasoundMultiFrameImageStorage,
    sop_class.XRayAngiographicImageStorage,
    sop_class.SecondaryCaptureImageStorage,
    sop_class.MultiFrameSingleBitSecondaryCaptureImageStorage,
    sop_class.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    sop_class.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    sop_class.MultiFrameTrueColorSecondaryCaptureImageStorage,
    sop_class.SegmentationStorage,
    sop_class.ParametricMapStorage,
    sop_class.RTImageStorage,
    sop_class.RTDoseStorage,
)

# No pixels of their own, so never compressed.
DOCUMENTS: tuple[UID, ...] = (
    sop_class.BasicTextSRStorage,
    sop_class.EnhancedSRStorage,
    sop_class.ComprehensiveSRStorage,
    sop_class.Comprehensive3DSRStorage,
    sop_class.XRayRadiationDoseSRStorage,
    sop_class.RadiopharmaceuticalRadiationDoseSRStorage,
    sop_class.ProcedureLogStorage,
    sop_class.KeyObjectSelectionDocumentStorage,
    sop_class.GrayscaleSoftcopyPresentationStateStorage,
    sop_class.ColorSoftcopyPresentationStateStorage,
    sop_class.PseudoColorSoftcopyPresentationStageStorage,  # (sic) pynetdicom's name
    sop_class.BlendingSoftcopyPresentationStateStorage,
    sop_class.EncapsulatedPDFStorage,
    sop_class.RawDataStorage,
    sop_class.SpatialRegistrationStorage,
    sop_class.DeformableSpatialRegistrationStorage,
    sop_class.SpatialFiducialsStorage,
    sop_class.SurfaceSegmentationStorage,
    sop_class.RealWorldValueMappingStorage,
    sop_class.RTStructureSetStorage,
    sop_class.RTPlanStorage,
    sop_class.GeneralECGWaveformStorage,
    sop_class.AmbulatoryECGWaveformStorage,
    sop_class.TwelveLeadECGWaveformStorage,
)

STORED = frozenset((*IMAGES, *DOCUMENTS))

# What is fetched where a rule's need is missing: projections and reconstructions, CT.
FETCHED: tuple[UID, ...] = (
    sop_class.NuclearMedicineImageStorage,
    sop_class.CTImageStorage,
    sop_class.EnhancedCTImageStorage,
)

# What the node itself makes and sends; each in both uncompressed Transfer Syntaxes.
SENT: tuple[UID, ...] = (
    sop_class.NuclearMedicineImageStorage,
    sop_class.SecondaryCaptureImageStorage,
    sop_class.ComprehensiveSRStorage,
    sop_class.Comprehensive3DSRStorage,
    sop_class.EncapsulatedPDFStorage,
    sop_class.ParametricMapStorage,
    sop_class.SegmentationStorage,
)


def accepted_contexts() -> list[PresentationContext]:
    """Return what we accept as SCP: Verification, images in many Transfer Syntaxes, documents uncompressed.

    Storage Commitment in either role: scanners ask us, and archives report to us.
    """
    commitment = build_context(STORAGE_COMMITMENT, list(UNCOMPRESSED))
    commitment.scu_role = commitment.scp_role = True
    return [
        build_context(VERIFICATION, list(UNCOMPRESSED)),
        commitment,
        *(build_context(uid, list(ACCEPTED_TRANSFER_SYNTAXES)) for uid in IMAGES),
        *(build_context(uid, list(UNCOMPRESSED)) for uid in DOCUMENTS),
    ]


def fetching_contexts() -> list[PresentationContext]:
    """Return what we propose to retrieve by C-GET: what may come, uncompressed or without loss, and the service."""
    syntaxes = [*UNCOMPRESSED, RLELossless, JPEGLosslessSV1, JPEG2000Lossless]
    return [build_context(GET, list(UNCOMPRESSED)), *(build_context(uid, syntaxes) for uid in FETCHED)]


def proposed_contexts(kinds: Iterable[tuple[str, str]]) -> list[PresentationContext]:
    """Return what we propose as SCU to send instances of these (SOP Class UID, Transfer Syntax UID) kinds.

    Each Transfer Syntax has a context of its own, so that the peer answers for each; an uncompressed instance also
    gets the other uncompressed encoding, into which it can be rewritten without loss.
    """
    pairs = [
        (sop_class_uid, offered)
        for sop_class_uid, transfer_syntax_uid in kinds
        for offered in (transfer_syntax_uid, *alternatives(transfer_syntax_uid))
    ]
    return [build_context(sop_class_uid, offered) for sop_class_uid, offered in dict.fromkeys(pairs)]


def alternatives(transfer_syntax_uid: str) -> tuple[UID, ...]:
    """Return the Transfer Syntaxes into which an instance of this one can be rewritten without loss."""
    if transfer_syntax_uid not in UNCOMPRESSED:
        return ()
    return tuple(uid for uid in UNCOMPRESSED if uid != transfer_syntax_uid)
