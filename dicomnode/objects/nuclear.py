"""Derived NM images: reconstructed volumes, short axis, attenuation maps, denoised projections (PS3.3 A.5, C.8.4).

Pixels are unsigned 16 bit with at most 32767, as gamma cameras' stations write them; what a stored value is worth
stands in a Real World Value Mapping, because NM images have no Modality LUT and viewers trip over small slopes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.acquisition_context import acquisition_context
from dicomnode.objects.codes import OWN_SCHEME, coding_schemes
from dicomnode.objects.derivation import (
    DerivationContext,
    Derivative,
    Sources,
    add_own_source,
    attenuation_series,
    derived_dataset,
    derived_uid,
    plain,
)
from dicomnode.objects.elements import (
    code,
    copied,
    copied_item,
    dataset,
    file_bytes,
    first_item,
    integer,
    items,
    put,
    text,
    texts,
    without_empty_sequences,
)
from dicomnode.objects.frames import NM_IMAGE_STORAGE, RR_INTERVAL
from dicomnode.objects.modules import (
    energy_windows,
    frame_vectors,
    intervention_drugs,
    merge,
    nm_pixels,
    radiopharmaceuticals,
)
from dicomnode.objects.posture import patient_orientation
from dicomnode.objects.reader import read_dataset_file, read_orbit_of
from dicomnode.objects.rotation import mend_rotations, rotation_of, stated_rotation
from dicomnode.objects.volume_image import Placement, value_mapping, volume_image, whole_numbers
from dicomnode.study import DerivedInstance
from pipelines.contract import Acquisition, Derived, DerivedKind, MapSource, PipelineResult, Provenance
from pipelines.images import Projections, Unit, Volume

# the terms of Corrected Image (PS3.3 C.8.4.9)
_CORRECTIONS = frozenset({"UNIF", "COR", "NCO", "DECY", "ATTN", "SCAT", "DTIM", "NRGY", "LIN", "MOTN", "CLN"})
ATTENUATION = "ATTN"


@dataclass(frozen=True)
class _Kind:
    """How one kind of derived NM image is filed."""

    image_type: tuple[str, ...]
    series_number: int
    label: str
    image_id: str
    codes: tuple[tuple[str, str, str], ...] = ()
    reconstructed: bool = True  # so that what we corrected on the way belongs to it
    corrected: bool = False  # for attenuation
    marks: tuple[Callable[[Dataset], None], ...] = ()  # what this kind alone states


def _across_the_ventricle(ds: Dataset) -> None:
    """State that slices lie across the left ventricle, apex to base (pipelines/cardiac/reorientation)."""
    put(ds, SliceProgressionDirection="APEX_TO_BASE")
    put(ds.DetectorInformationSequence[0], ViewCodeSequence=[code("103340004", "SCT", "Short axis")])


def _transmission(ds: Dataset) -> None:
    """State what a transmission image must at least leave empty (Type 2C)."""
    put(ds.RotationInformationSequence[0], DistanceSourceToDetector=None)


# PS3.16 CID 7203 has no code for what a network does to noise, nor for where an attenuation map comes from
_BY_NETWORKS = ("noise-reduction", OWN_SCHEME, "Noise reduction by neural networks")
_MAP_BY_NETWORK = ("map-by-network", OWN_SCHEME, "Attenuation map estimated by a neural network")
_MAP_FROM_CT = ("map-from-CT", OWN_SCHEME, "Attenuation map converted from CT")
OWN_DERIVATIONS = (_BY_NETWORKS, _MAP_BY_NETWORK, _MAP_FROM_CT)
_ITERATIVE = ("113963", "DCM", "Iterative Reconstruction")
_RESAMPLED = ("113085", "DCM", "Spatial resampling")
_EMISSION = ("DERIVED", "PRIMARY", "RECON TOMO", "EMISSION")
_KINDS = {
    DerivedKind.DENOISED_PROJECTIONS: _Kind(
        ("DERIVED", "PRIMARY", "TOMO", "EMISSION"), 901, "denoised", "denoised", reconstructed=False
    ),
    DerivedKind.RECONSTRUCTION: _Kind(_EMISSION, 911, "nAC recon", "nAC recon", (_ITERATIVE,)),
    DerivedKind.CORRECTED_RECONSTRUCTION: _Kind(
        _EMISSION, 912, "AC recon", "AC recon", (_ITERATIVE,), corrected=True
    ),
    DerivedKind.MU_MAP: _Kind(
        ("DERIVED", "PRIMARY", "RECON TOMO", "TRANSMISSION"), 921, "attenuation map", "mu-map",
        reconstructed=False, marks=(_transmission,),
    ),
    DerivedKind.SHORT_AXIS: _Kind(
        _EMISSION, 931, "nAC short axis", "nAC short axis", (_ITERATIVE, _RESAMPLED), marks=(_across_the_ventricle,)
    ),
    DerivedKind.CORRECTED_SHORT_AXIS: _Kind(
        _EMISSION, 932, "AC short axis", "AC short axis", (_ITERATIVE, _RESAMPLED),
        corrected=True, marks=(_across_the_ventricle,),
    ),
}  # fmt: skip
# how what was corrected is called in the lists of series and images, where the map's source is known
_CORRECTION = {MapSource.CT: "CTAC", MapSource.NETWORK: "DLAC"}
_MAPS = {
    MapSource.CT: ("of CT", _MAP_FROM_CT),
    MapSource.VENDOR: ("of the camera", _RESAMPLED),
    MapSource.NETWORK: ("by networks", _MAP_BY_NETWORK),
}


def write_derived(
    sources: Sources,
    source_path: Path,
    acquisition: Acquisition,
    derived: Derived,
    result: PipelineResult,
    context: DerivationContext,
) -> DerivedInstance:
    """Return one derived image of a pipeline's result as an NM instance.

    `source_path` is the file that `sources.first` is the header of. Raises StudyUnsuitable if the data can't be
    expressed as an NM image (an oblique grid whose axes aren't perpendicular, gates that the source doesn't have).
    """
    kind = _kind(derived.kind, result.provenance, context)
    derivative = _derivative(kind, derived, result)
    mapped = kind.corrected or derived.kind is DerivedKind.MU_MAP
    sources = sources.used_for(result.provenance if mapped else None)
    if isinstance(derived.data, Projections):
        gated = (*texts(sources.first, "ImageType"), "", "", "")[2] == "GATED TOMO"
        if gated:
            derivative = replace(derivative, image_type=("DERIVED", "PRIMARY", "GATED TOMO", "EMISSION"))
        ds = derived_dataset(sources, derivative, context)
        merge(ds, _projection_part(source_path, derived.data, gated))
    else:
        ds = derived_dataset(sources, derivative, context)
        energy_kev = result.provenance.map_energy_kev
        merge(ds, _volume_part(sources.first, acquisition, derived.data, energy_kev))
    merge(ds, _nm_part(sources, acquisition))
    if any(scheme == OWN_SCHEME for _, scheme, _ in kind.codes):
        merge(ds, coding_schemes())
    if kind.corrected and any(one.kind is DerivedKind.MU_MAP for one in result.derived):
        add_own_source(ds, NM_IMAGE_STORAGE, DerivedKind.MU_MAP.value, sources, context)
    merge(ds, attenuation_series(sources))
    put(ds, ImageID=kind.image_id)
    if kind.codes:
        put(ds, ProcessingFunction=kind.codes[-1][2])
    if kind.reconstructed:
        merge(ds, _kernel(sources.first, acquisition, result.provenance))
    if derived.kind is not DerivedKind.MU_MAP:
        put(ds, CorrectedImage=_corrections(sources.first, kind, result))
    for mark in kind.marks:
        mark(ds)
    return DerivedInstance(
        ds.SOPInstanceUID, ds.SeriesInstanceUID, NM_IMAGE_STORAGE, derived.kind.value, file_bytes(ds)
    )


def _kind(derived: DerivedKind, made: Provenance, context: DerivationContext) -> _Kind:
    """Return how an image is filed; what denoised projections or a map were made of says so by name and code."""
    kind, map_source = _KINDS[derived], made.map_source
    if derived is DerivedKind.MU_MAP:
        kind = replace(kind, label=f"{kind.label} {made.map_energy_kev:g} keV")
        if map_source is not None:
            words, how = _MAPS[map_source]
            return replace(kind, codes=(how,), label=f"{kind.label} {words}")
    if kind.corrected and map_source in _CORRECTION:
        name = _CORRECTION[map_source]
        return replace(kind, label=kind.label.replace("AC", name), image_id=kind.image_id.replace("AC", name))
    if context.pipeline != "denoising":
        return kind
    codes = (_BY_NETWORKS, *kind.codes)
    if derived is DerivedKind.DENOISED_PROJECTIONS:
        return replace(kind, codes=codes)
    return replace(kind, codes=codes, label=f"denoised {kind.label}", image_id=f"denoised {kind.image_id}"[:16].strip())


def _derivative(kind: _Kind, derived: Derived, result: PipelineResult) -> Derivative:
    return Derivative(
        kind=derived.kind.value,
        sop_class_uid=NM_IMAGE_STORAGE,
        modality="NM",
        image_type=kind.image_type,
        series_number=kind.series_number,
        label=kind.label,
        description=derived.description,
        codes=kind.codes,
        provenance=result.provenance,
        findings=result.findings,
    )


def _nm_part(sources: Sources, acquisition: Acquisition) -> Dataset:
    """Return what all NM images tell of patient, tracer and frame of reference."""
    source = sources.first
    ds = dataset(CountsAccumulated=None, PositionReferenceIndicator=None)
    if text(source, "FrameOfReferenceUID") and acquisition.position_known:
        merge(ds, copied(source, "FrameOfReferenceUID", "PositionReferenceIndicator"))
    else:
        # none was stated, or no place in it: a new one, the same for all that is derived from this source
        put(ds, FrameOfReferenceUID=derived_uid(text(source, "SOPInstanceUID"), "frame of reference"))
    merge(ds, patient_orientation(source))
    if not ds.PatientOrientationCodeSequence:
        merge(ds, copied(source, "PatientPosition"))
    merge(ds, radiopharmaceuticals(source))
    merge(ds, intervention_drugs(source))
    merge(ds, acquisition_context(source))
    return ds


def _corrections(source: Dataset, kind: _Kind, result: PipelineResult) -> list[str] | None:
    """Return Corrected Image: what the source lists and, for a reconstruction, what our model corrected besides."""
    listed = [term for term in texts(source, "CorrectedImage") if term in _CORRECTIONS]
    if kind.reconstructed:
        listed += [term for term in result.provenance.corrections if term in _CORRECTIONS - {ATTENUATION}]
    listed += [ATTENUATION] * kind.corrected
    return list(dict.fromkeys(listed)) or None


def _volume_part(source: Dataset, acquisition: Acquisition, volume: Volume, energy_kev: float) -> Dataset:
    """Return pixels, slice vector and position of a volume, and how its views were taken."""
    ds = volume_image(volume, energy_kev)
    put(
        ds,
        DetectorInformationSequence=[_detector(source, Placement.of(volume.grid))],
        RotationInformationSequence=[_rotation(source, acquisition.projections)],
    )
    merge(ds, _photopeak(source, acquisition.projections))
    return ds


def _detector(source: Dataset, placement: Placement) -> Dataset:
    """Return the one detector item of a reconstruction, where an NM image keeps its position."""
    head = first_item(source, "DetectorInformationSequence")
    item = dataset(CollimatorType=None, FocalDistance=None)
    merge(item, copied(head, "CollimatorGridName", "CollimatorType", "FocalDistance"))
    put(item, ImagePositionPatient=placement.position_mm, ImageOrientationPatient=placement.orientation)
    item.set_original_encoding(False, True, "iso8859")
    return item


def _rotation(source: Dataset, projections: Projections | None) -> Dataset:
    """Return the one rotation item of a reconstruction: how the views that it was made from were taken.

    Views that lie on no single arc are described as the camera did.
    """
    if projections is not None and (joined := rotation_of(projections)) is not None:
        return joined
    stated = first_item(source, "RotationInformationSequence")
    outside_ms = integer(source, "ActualFrameDuration") or 0  # some write it outside the rotation
    return stated_rotation(stated, outside_ms, None if projections is None else projections.geometry)


def _kernel(source: Dataset, acquisition: Acquisition, provenance: Provenance) -> Dataset:
    """Return Convolution Kernel: algorithm and filter by their names; of a camera's own reconstruction as it says."""
    if acquisition.projections is None:
        return copied(source, "ConvolutionKernel")
    used = [value.split()[0].strip(",;") for name, value in provenance.settings if name in _KERNEL and value.split()]
    names = [plain(name, 16) for name in used if name != "none"]
    return dataset(ConvolutionKernel=names) if names else Dataset()


# the settings that name algorithm and filter of a reconstruction
_KERNEL = ("Algorithm", "Post-filter")


def _photopeak(source: Dataset, projections: Projections | None) -> Dataset:
    """Return the energy window that a reconstruction shows: exactly one (PS3.3 C.8.4.11)."""
    if projections is not None:
        return energy_windows((projections.windows[projections.photopeak],))
    stated = [without_empty_sequences(copied_item(one)) for one in items(source, "EnergyWindowInformationSequence")]
    return dataset(EnergyWindowInformationSequence=stated[:1])


def _projection_part(source_path: Path, projections: Projections, gated: bool) -> Dataset:
    """Return projections in the frame order of the source, with its vectors, detectors and rotations unchanged."""
    source = read_dataset_file(source_path)
    frames, orbit = read_orbit_of(source)
    if frames.steps(RR_INTERVAL) > 1:
        raise StudyUnsuitable("several R-R intervals were added together: they can't be written back apart")
    counts = projections.counts[..., :: -1 if orbit.flip_rows else 1, :: -1 if orbit.flip_columns else 1]
    window, slot = frames.index[:, 0], frames.index[:, 4]
    if counts.shape[:3] != (window.max() + 1, slot.max() + 1, len(orbit.geometry.angles_deg)):
        raise StudyUnsuitable(f"derived projections have the shape {counts.shape}, unlike their source")
    stored, step = whole_numbers(counts[window, slot, orbit.view_of], 0.1)
    ds = nm_pixels(stored)
    columns = {axis: frames.column(axis) for axis in frames.axes if gated or axis.vector not in _GATING}
    merge(ds, frame_vectors(columns))
    for keyword in (
        "EnergyWindowInformationSequence", "DetectorInformationSequence", "RotationInformationSequence",
        "GatedInformationSequence",
    ):  # fmt: skip
        if copies := [without_empty_sequences(copied_item(one)) for one in items(source, keyword)]:
            put(ds, **{keyword: copies})
    mend_rotations(ds, orbit)
    put(
        ds,
        PixelSpacing=[projections.geometry.pixel_size_mm[0], projections.geometry.pixel_size_mm[1]],
        RealWorldValueMappingSequence=[value_mapping(step, Unit.COUNTS, int(stored.max()))],
    )
    return ds


_GATING = ("RRIntervalVector", "TimeSlotVector")
