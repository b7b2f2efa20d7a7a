"""One example of everything that the node makes, written by the real writers: what the conformance statement lists.

The examples come of a virtual acquisition of a few pixels. A structured report is about a heart, which takes a pipeline
to find; what is read of it here are numbers that mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import cast

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicomnode.objects import codes, nuclear, report, structured_report
from dicomnode.objects.camera import write_tomo
from dicomnode.objects.derivation import MANUFACTURER, DerivationContext, Sources, read_sources
from dicomnode.objects.inherited import COPIED
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.strip import WIDTH
from dicomnode.objects.virtual_ct import write_ct
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import (
    CardiacState,
    Derived,
    DerivedKind,
    Heart,
    MapSource,
    Model,
    PipelineInput,
    PipelineResult,
    Provenance,
)
from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Projections, Unit, Volume

_NOON = datetime(2026, 1, 1, 12)
_SETTINGS = (("Algorithm", "(algorithm)"), ("Post-filter", "(filter)"))
_RESULT = PipelineResult((), Provenance("", "", _SETTINGS, models=(Model("(network)", "(version)", "(SHA-256)"),)))
_WITH_CT = replace(_RESULT, provenance=replace(_RESULT.provenance, map_source=MapSource.CT))
_MAPPED = (DerivedKind.MU_MAP, DerivedKind.CORRECTED_RECONSTRUCTION, DerivedKind.CORRECTED_SHORT_AXIS)
_STATED = frozenset({"CS", "US", "AT"})  # VRs whose values are terms of the standard, not measurements
_COMPUTED = frozenset({
    "Rows", "Columns", "SmallestImagePixelValue", "LargestImagePixelValue", "RotationDirection", "CollimatorType",
    "EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector", "SliceVector",
    "NumberOfEnergyWindows", "NumberOfDetectors", "NumberOfRotations", "NumberOfSlices", "NumberOfFramesInRotation",
    "RealWorldValueLastValueMapped",
})  # fmt: skip
# what an example can't say, and sequences whose items are the source's
_IN_WORDS = {
    "AcquisitionContextSequence": "the source's, repaired; absent where it states none",
    "BodyPartExamined": "the source's, else HEART",
    "ContentSequence": "the content below",
    "CorrectedImage": "the source's, and for reconstructions what the model corrects",
    "DerivationDescription": "how it was made, by which version",
    "ImageComments": "settings, assumptions and findings of the run, one per line",
    "PatientGantryRelationshipCodeSequence": "the source's in SNOMED CT codes",
    "PatientOrientationCodeSequence": "the source's in SNOMED CT codes",
    "PositionReferenceIndicator": "the source's",
    "FrameOfReferenceUID": "the source's; a new one where it has none, or no position in it",
    "ConvolutionKernel": "algorithm and post-filter; of a camera's own reconstruction as it says",
    "LossyImageCompression": "00; 01, with ratio and method, where a source was compressed with loss",
    "ProcessingFunction": "the last step of Derivation Code Sequence",
    "RadiopharmaceuticalInformationSequence": "the source's",
    "SeriesDescription": "the source's, followed by the words that name the kind",
    "SeriesInstanceUID": "of the sources, pipeline, version, options and kind",
    "SOPInstanceUID": "of the sources, pipeline, version, options and kind",
    "SoftwareVersions": "of the node, the pipeline, each network",
    "RealWorldValueSlope": "what one stored step is worth",
    "Manufacturer": MANUFACTURER,
    "ManufacturerModelName": MANUFACTURER,
}
_LEVELS = frozenset(
    {"SeriesInstanceUID", "SOPInstanceUID", "SoftwareVersions", "Manufacturer", "ManufacturerModelName"}
)

PROJECTIONS = DerivedKind.DENOISED_PROJECTIONS.value


@dataclass(frozen=True)
class Attribute:
    """One attribute of an example: its depth in sequences, and its value where that is always the same."""

    depth: int
    name: str
    tag: str
    vr: str
    value: str


@dataclass(frozen=True)
class ContentItem:
    """One line of a report's content tree (PS3.3 C.17.3): how it belongs to the line above it, and what it says."""

    depth: int
    relationship: str
    value_type: str
    concept: str
    value: str  # a code, or the unit of a number; "" for what is computed


@dataclass(frozen=True)
class CreatedObject:
    """One kind of object that the node makes."""

    kind: str
    sop_class_uid: str
    sop_class: str
    series_number: int
    description: str  # what is appended to the source's Series Description
    attributes: tuple[Attribute, ...]  # without what is copied from the source
    content: tuple[ContentItem, ...] = ()  # of a structured report; of groups that are alike the first


@cache
def created_objects() -> tuple[CreatedObject, ...]:
    """Return an example of each kind, in the order of their Series Numbers."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "source.dcm"
        path.write_bytes(_acquisition())
        ct = Path(folder) / "ct.dcm"
        ct.write_bytes(_ct_slice())
        sources = read_sources([path, ct])
        made = [*_images(sources, path), _page(sources), _numbers(sources, path)]
    return tuple(sorted(made, key=lambda one: one.series_number))


def own_codes() -> tuple[tuple[str, str], ...]:
    """Return value and meaning of each code of our own scheme."""
    found = {code[0]: code[2] for code in nuclear.OWN_DERIVATIONS}
    for value in vars(codes).values():
        for one in value.values() if isinstance(value, dict) else (value,):
            if getattr(one, "scheme_designator", None) == codes.OWN_SCHEME:
                found[one.value] = one.meaning
    return tuple(sorted(found.items()))


def _acquisition() -> bytes:
    study = VirtualStudy(state=CardiacState.STRESS, series_description="", injected_mbq=800.0)
    geometry = AcquisitionGeometry((225.0, 135.0), (6.8, 6.8), 4, 4, (250.0, 250.0), (0.0, 0.0, 0.0))
    counts = np.ones((1, 1, 2, 4, 4), np.float32)
    return write_tomo(
        Projections(counts, geometry, (EnergyWindow(126.5, 154.5, "Tc99m"),), view_time_s=20.0), study, _NOON
    )


def _ct_slice() -> bytes:
    grid = VoxelGrid.axial((1, 4, 4), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0))
    return write_ct(Volume(np.zeros(grid.shape, np.float32), grid, Unit.HOUNSFIELD), VirtualStudy(), _NOON)[0]


def _images(sources: Sources, path: Path) -> Iterator[CreatedObject]:
    acquisition = read_acquisition(path)
    grid = VoxelGrid.axial((2, 4, 4), (6.8, 6.8, 6.8), (0.0, 0.0, 0.0))
    for kind in DerivedKind:
        unit = Unit.PER_CM if kind is DerivedKind.MU_MAP else Unit.PROPORTIONAL_COUNTS
        projected = kind is DerivedKind.DENOISED_PROJECTIONS
        data = acquisition.projections if projected else Volume(np.ones(grid.shape, np.float32), grid, unit)
        assert data is not None  # noqa: S101 - the example has projections
        pipeline = "denoising" if projected else "attenuation_correction"
        derived = Derived(kind, data, "(how it was made)")
        result = _WITH_CT if kind in _MAPPED else _RESULT
        made = nuclear.write_derived(sources, path, acquisition, derived, result, _context(pipeline))
        yield _created(kind.value, dcmread(BytesIO(made.file_bytes)))


def _page(sources: Sources) -> CreatedObject:
    page = np.zeros((1, WIDTH, 3), np.uint8)
    made = report.write_report(sources, _RESULT, page, _context("denoising"))
    return _created(report.KIND, dcmread(BytesIO(made.file_bytes)))


def _numbers(sources: Sources, path: Path) -> CreatedObject:
    read = replace(_RESULT, hearts=(_heart(),))
    pipeline_input = PipelineInput(read_acquisition(path))
    made = structured_report.write_structured_report(sources, pipeline_input, read, (), _context("denoising"))
    return _created(structured_report.KIND, dcmread(BytesIO(made.file_bytes)))


def _heart() -> Heart:
    """Return what the report reads of a heart, and nothing else: a whole one takes a pipeline to find."""
    seventeen = (1,) * 17
    perfusion = SimpleNamespace(
        tpd_percent=1.0, extent_percent=1.0, severity_percent=1.0, summed_score=1, summed_percent=1.0,
        segments_percent=seventeen, scores=seventeen, limits_sha256="",
    )  # fmt: skip
    function = SimpleNamespace(
        ejection_fraction_percent=1.0, edv_ml=1.0, esv_ml=1.0, thickening_percent=seventeen, volumes_ml=(1.0,),
        remarks=(),
    )  # fmt: skip
    shape = SimpleNamespace(cavity_ml=1.0, wall_ml=1.0, eccentricity=1.0, shape_index=1.0)
    return cast(Heart, SimpleNamespace(label="", shape=shape, perfusion=perfusion, function=function, limits=""))


def _context(pipeline: str) -> DerivationContext:
    return DerivationContext(pipeline, "(version)", "(version)", {}, _NOON)


def _created(kind: str, ds: Dataset) -> CreatedObject:
    return CreatedObject(
        kind,
        str(ds.SOPClassUID),
        ds.SOPClassUID.name,
        int(ds.SeriesNumber),
        str(ds.SeriesDescription),
        tuple(_attributes(ds, 0)),
        tuple(_content(ds, 0)),
    )


def _content(above: Dataset, depth: int) -> Iterator[ContentItem]:
    """Yield the lines below an item; a group like one before it (another segment of the heart) is left out."""
    seen = set()
    for item in above.get("ContentSequence", ()):
        lines = [_line(item, depth), *_content(item, depth + 1)]
        shape = tuple((line.depth, line.concept, line.value if line.value_type == "NUM" else "") for line in lines)
        if shape not in seen:
            seen.add(shape)
            yield from lines


def _line(item: Dataset, depth: int) -> ContentItem:
    value = ""
    if item.ValueType == "CODE":
        value = _code(item.ConceptCodeSequence[0])
    elif item.ValueType == "NUM":
        value = _code(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0])
    concept = _code(item.ConceptNameCodeSequence[0]) if "ConceptNameCodeSequence" in item else ""
    return ContentItem(depth, item.RelationshipType, item.ValueType, concept, value)


def _attributes(ds: Dataset, depth: int) -> Iterator[Attribute]:
    for element in ds:
        if depth == 0 and element.keyword in COPIED:
            continue
        yield Attribute(depth, element.name, str(element.tag), str(element.VR), _value(element, depth))
        if element.VR == "SQ" and element.value and not _value(element, depth):
            items = element.value if element.keyword == "ContributingEquipmentSequence" else element.value[:1]
            for item in items:
                yield from _attributes(item, depth + 1)


def _value(element: DataElement, depth: int) -> str:
    """Return what a reader will find: a value that is always the same, or words; "" for what is computed."""
    if element.keyword in _IN_WORDS and (depth == 0 or element.keyword not in _LEVELS):
        return _IN_WORDS[element.keyword]
    if not element.value and element.value != 0:
        return "empty"
    if element.VR == "SQ":
        return _code(element.value[0])
    if element.VR not in _STATED or element.keyword in _COMPUTED:
        return ""
    return "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)


def _code(item: Dataset) -> str:
    """Return a code's triple, "" for an item that is none."""
    if "CodeValue" not in item:
        return ""
    return f"({item.CodeValue}, {item.CodingSchemeDesignator}, {item.CodeMeaning})"
