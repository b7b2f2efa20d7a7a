"""What the node learns of an instance the moment it arrives, without touching its pixels, and what it refuses then.

Runs in the listener's threads for every C-STORE: one pass over the elements, bounded in time and memory whatever a
peer sends. Patient identity is among the attributes, because the journal shows it on request; it never goes to a log.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom import uid
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.valuerep import VR

from dicomnode.errors import InstanceRejected, StoreStatus
from dicomnode.objects.cardiac_state import cardiac_state
from dicomnode.objects.collimators import not_parallel
from dicomnode.objects.elements import PARSE_ERRORS, first_item, integer, items, numbers, text, texts, vr_of
from dicomnode.objects.frames import NM_IMAGE_STORAGE, TOMO_AXES, index_frames
from dicomnode.study import VENDOR_ONLY, InstanceContent, InstanceHeader

CARDIAC_STATE = "CardiacState"  # not a keyword of DICOM
CT_IMAGE_STORAGE = uid.CTImageStorage

_ATTRIBUTES = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "StudyTime",
    "AccessionNumber", "Modality", "Manufacturer", "InstitutionName", "StationName",
    "StudyDescription", "SeriesDescription", "ManufacturerModelName", "PatientName", "PatientID",
    "BodyPartExamined", "ProtocolName", "PatientPosition", "StudyInstanceUID", "SeriesInstanceUID",
    "SeriesNumber", "ImageID", "NumberOfFrames", "Rows", "Columns", "CorrectedImage",
)  # fmt: skip
_PIXELS = ("SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation")
_VECTORS = tuple(axis.vector for axis in TOMO_AXES) + tuple(axis.count for axis in TOMO_AXES) + (
    "FrameIncrementPointer", "RotationInformationSequence", "GatedInformationSequence", "AcquisitionContextSequence",
    "DetectorInformationSequence", "ImageOrientationPatient",
)  # fmt: skip
_BASE = frozenset((*_ATTRIBUTES, *_PIXELS, *_VECTORS))

_PIXEL_TAGS = {0x7FE00010, 0x7FE00008, 0x7FE00009}
_UNDEFINED = 0xFFFFFFFF
_MAX_READS = 150_000  # about a second; a real header takes some hundreds
_MAX_ENCODED_BYTES = 1 << 31  # once decompressed
# two of the three samples are there for every second pixel of a row only (PS3.3 C.7.6.3.1.2)
_SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")
_MAX_VALUES, _MAX_LETTERS = 64, 1024
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_ACROSS = 0.9  # cosine of the angle between a slice's normal and the patient's length


def read_header(file: bytes | Path, keywords: frozenset[str] = frozenset()) -> InstanceHeader:
    """Return what the node needs to know of an instance; `keywords` are the attributes that rules ask for besides.

    `file` is a DICOM file (PS3.10). Identity (PatientName, PatientID) is among the attributes: keep it out of logs.
    Raises InstanceRejected: C000 for bytes that can't be understood, A900 for an instance without sound UIDs or an
    image whose pixels are not what its header says (PS3.4 Table B.2-1).
    """
    wanted = _BASE | keywords
    with _opened(file) as stream, _understood():
        ds, pixels = _scan(stream, wanted)
        if not len(ds):
            raise _not_understood("the dataset is empty")
        uids = {keyword: _uid(ds, keyword) for keyword in _UIDS}
        if _is_image(ds, uids["SOPClassUID"]):
            _check_pixels(ds, pixels, stream)
        content = _content(ds, uids["SOPClassUID"])
        flaw = index_frames(ds, TOMO_AXES).flaw if content is InstanceContent.PROJECTIONS else None
        optics = _optics(ds, content)
        return InstanceHeader(
            study_instance_uid=uids["StudyInstanceUID"],
            series_instance_uid=uids["SeriesInstanceUID"],
            sop_instance_uid=uids["SOPInstanceUID"],
            sop_class_uid=uids["SOPClassUID"],
            content=content,
            attributes=_attributes(ds, frozenset(_ATTRIBUTES) | keywords) | _state(ds, content) | optics,
            flaw=flaw or next(iter(optics.get(VENDOR_ONLY, ())), None),
        )


def check_command_uids(header: InstanceHeader, sop_class_uid: str, sop_instance_uid: str) -> None:
    """Raise InstanceRejected (A900) if the C-STORE command names another SOP Class or Instance than its dataset."""
    if header.sop_class_uid != sop_class_uid:
        raise _mismatch("SOP Class UID of command and dataset differ")
    if header.sop_instance_uid != sop_instance_uid:
        raise _mismatch("SOP Instance UID of command and dataset differ")


_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def _mismatch(comment: str) -> InstanceRejected:
    return InstanceRejected(StoreStatus.DOES_NOT_MATCH_SOP_CLASS, comment)


def _not_understood(comment: str) -> InstanceRejected:
    return InstanceRejected(StoreStatus.CANNOT_UNDERSTAND, comment)


@contextmanager
def _opened(file: bytes | Path) -> Iterator[BinaryIO]:
    if isinstance(file, Path):
        with file.open("rb") as stream:
            yield stream
    else:
        yield BytesIO(file)


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except InstanceRejected:
        raise
    except RecursionError:
        raise _not_understood("sequences are nested too deep") from None
    except PARSE_ERRORS:
        # the parser's own words may quote the dataset, so they go nowhere
        raise _not_understood("the dataset can't be parsed") from None


class PatientStream:
    """A file that loses its patience: it counts the parser's reads and gives up on a dataset of endless elements."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._reads = 0
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise _not_understood("too many elements")
        return self._stream.read(size)


class _Pixels:
    """Where the pixel element stands and how long it says it is; also the check of each element on the way to it."""

    def __init__(self, stream: BinaryIO, size: int, implicit: bool) -> None:
        self.found = False
        self.length = 0
        self.offset = 0
        self._stream, self._size, self._implicit = stream, size, implicit

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        if self._implicit != (vr is None) or (vr is not None and vr not in _KNOWN_VRS):
            raise _not_understood("the dataset is not in the Transfer Syntax that it names")
        offset = self._stream.tell()
        if tag in _PIXEL_TAGS:
            self.found, self.length, self.offset = True, length, offset
            return True
        if length != _UNDEFINED and offset + length > self._size:
            raise _mismatch("the dataset is cut short")
        return False


_KNOWN_VRS = frozenset(vr.value for vr in VR if len(vr.value) == 2)


def _scan(stream: BinaryIO, keywords: frozenset[str]) -> tuple[Dataset, _Pixels]:
    """Read the wanted elements up to the pixels, skipping over the others."""
    size = stream.seek(0, 2)
    stream.seek(0)
    syntax = _transfer_syntax(stream)
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        raise _not_understood("the deflated Transfer Syntax is not accepted")
    implicit, little_endian = syntax == uid.ImplicitVRLittleEndian, syntax != uid.ExplicitVRBigEndian
    pixels = _Pixels(stream, size, implicit)
    tags = list(_tags(keywords))
    ds = read_dataset(PatientStream(stream), implicit, little_endian, stop_when=pixels, specific_tags=tags)
    return ds, pixels


@lru_cache(maxsize=8)
def _tags(keywords: frozenset[str]) -> tuple[int, ...]:
    return tuple(tag for tag in map(tag_for_keyword, keywords) if tag is not None)


def _transfer_syntax(stream: BinaryIO) -> str:
    """Return the Transfer Syntax that the File Meta Information names (always Explicit VR Little Endian itself).

    The stream is left where the dataset begins.
    """
    if stream.read(132)[128:] != b"DICM":
        raise _not_understood("this is no DICOM file")
    meta = read_dataset(PatientStream(stream), False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    if not (syntax := text(meta, "TransferSyntaxUID")):
        raise _not_understood("the file names no Transfer Syntax")
    return syntax


def _uid(ds: Dataset, keyword: str) -> str:
    value = text(ds, keyword)
    if not value:
        raise _mismatch(f"{keyword} is missing")
    if len(value) > 64 or not _UID.fullmatch(value) or len(texts(ds, keyword)) > 1:
        raise _mismatch(f"{keyword} is no UID")
    return value


def _is_image(ds: Dataset, sop_class: str) -> bool:
    known = uid.UID(sop_class).name
    return known.endswith("Image Storage") or "Rows" in ds


def _check_pixels(ds: Dataset, pixels: _Pixels, stream: BinaryIO) -> None:
    """Raise A900 unless the pixel element is as long as the header says."""
    frames = integer(ds, "NumberOfFrames") if "NumberOfFrames" in ds and texts(ds, "NumberOfFrames") else 1
    sizes = {"Rows": integer(ds, "Rows"), "Columns": integer(ds, "Columns"), "NumberOfFrames": frames}
    for keyword, value in sizes.items():
        if value is None or not 0 < value <= 0x7FFFFFFF:
            raise _mismatch(f"{keyword} is missing or no positive number")
    bits = (integer(ds, "BitsAllocated") or 0) * (integer(ds, "SamplesPerPixel") or 1)
    if not 0 < bits <= 4 * 64:
        raise _mismatch("BitsAllocated or SamplesPerPixel is missing or no sound number")
    values = (sizes["Rows"] or 0) * (sizes["Columns"] or 0) * (frames or 0)
    expected = -(-bits * values // 8)
    if not pixels.found:
        raise _mismatch("there is no Pixel Data")
    if pixels.length == _UNDEFINED:
        _check_fragments(stream, pixels, expected)
    elif text(ds, "PhotometricInterpretation") in _SUBSAMPLED:
        # some who decompress an image leave the name of its subsampling behind: then all three samples are there
        _check_native(stream, pixels, expected * 2 // 3, expected)
    else:
        _check_native(stream, pixels, expected)


def _check_native(stream: BinaryIO, pixels: _Pixels, *expected: int) -> None:
    here = stream.seek(0, 2) - pixels.offset
    if here < pixels.length or not any(pixels.length in (length, length + length % 2) for length in expected):
        raise _mismatch(f"{min(here, pixels.length)} bytes of pixels, expected {expected[0]}")


def _check_fragments(stream: BinaryIO, pixels: _Pixels, expected: int) -> None:
    """Walk over the fragments of encapsulated pixels (PS3.5 A.4): they must be items up to a delimiter."""
    if expected > _MAX_ENCODED_BYTES:
        raise _mismatch("the image would be implausibly large once decompressed")
    size = stream.seek(0, 2)
    stream.seek(pixels.offset)
    fragments = -1  # the first item is the offset table
    while len(head := stream.read(8)) == 8:
        group, element, length = struct.unpack("<HHL", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            if fragments < 1:
                break
            return
        if (group, element) != (0xFFFE, 0xE000) or length == _UNDEFINED:
            raise _not_understood("Pixel Data of undefined length is not encapsulated")
        if stream.seek(length, 1) > size:
            break
        fragments += 1
    raise _mismatch("the encapsulated Pixel Data are cut short")


def _content(ds: Dataset, sop_class: str) -> InstanceContent:
    image_type = [value.upper() for value in texts(ds, "ImageType")] + [""] * 4
    if sop_class == CT_IMAGE_STORAGE:
        scout = {"LOCALIZER", "SCOUT", "TOPOGRAM"} & set(image_type)
        return InstanceContent.OTHER if scout else InstanceContent.CT
    if sop_class != NM_IMAGE_STORAGE:
        return InstanceContent.OTHER
    if image_type[2] in ("TOMO", "GATED TOMO"):
        return InstanceContent.PROJECTIONS
    if image_type[2] == "RECON TOMO" and image_type[3] == "TRANSMISSION":
        return InstanceContent.MU_MAP
    if image_type[2] in ("RECON TOMO", "RECON GATED TOMO") and _is_transaxial(ds):
        return InstanceContent.RECONSTRUCTION
    return InstanceContent.OTHER


def _is_transaxial(ds: Dataset) -> bool:
    """Tell whether slices lie across the patient, as they do where nothing is said; a short axis does not."""
    detector = first_item(ds, "DetectorInformationSequence")
    orientation = numbers(detector, "ImageOrientationPatient") or numbers(ds, "ImageOrientationPatient")
    if len(orientation) != 6:
        return True
    row_x, row_y, _, column_x, column_y, _ = orientation
    return abs(row_x * column_y - row_y * column_x) > _ACROSS


def _state(ds: Dataset, content: InstanceContent) -> dict[str, tuple[str, ...]]:
    """Return stress or rest under a keyword of our own: DICOM has it in a sequence, and rules want to ask for it."""
    if content not in (InstanceContent.PROJECTIONS, InstanceContent.RECONSTRUCTION):
        return {}
    return {CARDIAC_STATE: (cardiac_state(ds)[0].value,)}


def _optics(ds: Dataset, content: InstanceContent) -> dict[str, tuple[str, ...]]:
    """Return why nobody but the vendor can reconstruct projections, under a keyword of our own; nothing if we can."""
    if content is not InstanceContent.PROJECTIONS:
        return {}
    reason = not_parallel(items(ds, "DetectorInformationSequence"))
    return {VENDOR_ONLY: (reason,)} if reason else {}


def _attributes(ds: Dataset, keywords: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Return the attributes that are there as text, cut to what a journal can hold."""
    found = {}
    for tag in ds.keys():  # noqa: SIM118 - a Dataset iterates over elements
        keyword = keyword_for_tag(tag)
        if keyword not in keywords or vr_of(int(tag)) == "SQ":
            continue
        if values := texts(ds, keyword)[:_MAX_VALUES]:
            found[keyword] = tuple(value[:_MAX_LETTERS] for value in values)
    return found
