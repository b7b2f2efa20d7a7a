"""The report page of a run as a Secondary Capture image: what was made, from what, how, and what the checks say."""

from __future__ import annotations

from collections.abc import Iterable

from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from dicomnode.objects.derivation import DerivationContext, Derivative, Sources, derived_dataset
from dicomnode.objects.elements import file_bytes, number, put, text
from dicomnode.objects.modules import merge
from dicomnode.objects.page import Block, PageContent, draw_page
from dicomnode.study import DerivedInstance
from pipelines.contract import Acquisition, DerivedKind, PipelineResult, Verdict
from pipelines.geometry import RotationDirection
from pipelines.images import Projections, Volume

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
KIND = "report page"
_SERIES_NUMBER = 941
_NAMES = {
    DerivedKind.RECONSTRUCTION: "Not corrected for attenuation",
    DerivedKind.CORRECTED_RECONSTRUCTION: "Corrected for attenuation",
}


def write_report(
    sources: Sources, acquisition: Acquisition, result: PipelineResult, context: DerivationContext
) -> DerivedInstance:
    """Return the report page of a run. The page bears no processing time, so the same run gives the same pixels."""
    pixels = draw_page(page_content(sources, acquisition, result, context))
    derivative = Derivative(
        kind=KIND,
        sop_class_uid=SECONDARY_CAPTURE,
        modality="OT",
        image_type=("DERIVED", "SECONDARY"),
        series_number=_SERIES_NUMBER,
        label="report page",
        description="Report page of derived nuclear medicine images",
        burned_in=True,
        provenance=result.provenance,
        findings=result.findings,
    )
    common = derived_dataset(sources, derivative, context)
    ds = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        study_instance_uid=common.StudyInstanceUID,
        series_instance_uid=common.SeriesInstanceUID,
        series_number=_SERIES_NUMBER,
        sop_instance_uid=common.SOPInstanceUID,
        instance_number=1,
        manufacturer=common.Manufacturer,
    )
    if "SpecificCharacterSet" in ds:
        del ds.SpecificCharacterSet  # the source's is to hold, and it may have none
    ds["PixelData"].VR = "OB"
    merge(ds, common)
    put(
        ds,
        PatientOrientation=None,  # a page has none in the patient
        DateOfSecondaryCapture=context.now.strftime("%Y%m%d"),
        TimeOfSecondaryCapture=context.now.strftime("%H%M%S"),
    )
    return DerivedInstance(ds.SOPInstanceUID, ds.SeriesInstanceUID, SECONDARY_CAPTURE, KIND, file_bytes(ds))


def page_content(
    sources: Sources, acquisition: Acquisition, result: PipelineResult, context: DerivationContext
) -> PageContent:
    """Return what stands on the page."""
    source = sources.first
    by_kind = {derived.kind: derived.data for derived in result.derived}
    mu_map = by_kind.get(DerivedKind.MU_MAP)
    volumes = tuple((name, data) for kind, name in _NAMES.items() if isinstance(data := by_kind.get(kind), Volume))
    return PageContent(
        patient=_patient(source),
        study=_study(source),
        title=context.pipeline.replace("_", " ").capitalize(),
        virtual=sources.virtual,
        volumes=volumes,
        mu_map=mu_map if isinstance(mu_map, Volume) else None,
        projections=acquisition.projections,
        blocks=tuple(_blocks(source, acquisition, result, context)),
    )


def _patient(source: Dataset) -> str:
    name = text(source, "PatientName").split("=")[0].replace("^", " ").strip()
    identity = [name or "(no name)", f"ID {text(source, 'PatientID') or '(none)'}"]
    if born := text(source, "PatientBirthDate"):
        identity.append(f"born {_date(born)}")
    if sex := text(source, "PatientSex"):
        identity.append(sex)
    return _one_line("    ".join(identity), 80)


def _study(source: Dataset) -> str:
    words = [
        text(source, "StudyDescription"),
        text(source, "SeriesDescription"),
        _date(text(source, "StudyDate")),
        f"accession {number_}" if (number_ := text(source, "AccessionNumber")) else "",
    ]
    return _one_line("   |   ".join(word for word in words if word), 100)


def _one_line(words: str, longest: int) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in words)
    return line if len(line) <= longest else line[: longest - 3] + "..."


def _date(dicom_date: str) -> str:
    digits = dicom_date.replace(".", "")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}" if len(digits) == 8 and digits.isdigit() else dicom_date


def _blocks(
    source: Dataset, acquisition: Acquisition, result: PipelineResult, context: DerivationContext
) -> Iterable[Block]:
    made = result.provenance
    yield Block("Acquisition", tuple(_acquisition_lines(source, acquisition)))
    yield Block(
        "Made by",
        (
            f"{context.pipeline} {context.pipeline_version}, dicomnode {context.node_version}",
            *(derived.description for derived in result.derived),
            *(f"{name}: {value}" for name, value in made.settings),
        ),
    )
    checks = [
        f"{'! ' if finding.verdict is not Verdict.PASS else ''}{finding.verdict.value}: {finding.text}"
        for finding in sorted(result.findings, key=lambda finding: finding.verdict is Verdict.PASS)
    ]
    yield Block("Checks", tuple(checks))
    yield Block("Measurements", tuple(f"{one.name}: {one.value:.4g} {one.unit}" for one in result.measurements))
    yield Block("Assumed", tuple(dict.fromkeys((*acquisition.assumptions, *made.assumptions))))


def _acquisition_lines(source: Dataset, acquisition: Acquisition) -> Iterable[str]:
    camera = " ".join(word for word in (text(source, "Manufacturer"), text(source, "ManufacturerModelName")) if word)
    if camera:
        yield camera
    yield f"state: {acquisition.state.value}"
    if day := text(source, "AcquisitionDate"):
        hour = text(source, "AcquisitionTime")[:4]
        yield f"acquired {_date(day)} {hour[:2]}:{hour[2:]}" if len(hour) == 4 else f"acquired {_date(day)}"
    if acquisition.projections is not None:
        yield from _orbit_lines(acquisition.projections)
    if dose := number(source, "RadionuclideTotalDose"):
        yield f"activity {dose:g} MBq"


def _orbit_lines(projections: Projections) -> Iterable[str]:
    geometry = projections.geometry
    window = projections.windows[projections.photopeak]
    change = (geometry.angles_deg[1] - geometry.angles_deg[0] + 180) % 360 - 180 if geometry.views > 1 else 0.0
    sense = RotationDirection.COUNTERCLOCKWISE if change > 0 else RotationDirection.CLOCKWISE
    yield (
        f"{geometry.views} views from {geometry.angles_deg[0]:g} deg, {abs(change):g} deg apart, "
        f"{sense.name.lower()} seen from the feet"
    )
    yield (
        f"{geometry.rows} x {geometry.columns} pixels of "
        f"{geometry.pixel_size_mm[0]:.4g} x {geometry.pixel_size_mm[1]:.4g} mm"
    )
    if geometry.radius_mm is not None:
        low, high = min(geometry.radius_mm), max(geometry.radius_mm)
        yield f"radius {low:.0f} mm" if high - low < 0.5 else f"radius {low:.0f} to {high:.0f} mm"
    yield f"photopeak {window.lower_kev:g} to {window.upper_kev:g} keV {window.name}".rstrip()
    if projections.gates > 1:
        yield f"{projections.gates} gates"
    if projections.view_time_s:
        yield f"{projections.view_time_s:.4g} s per view"
    yield f"{projections.photopeak_counts().sum() / 1e6:.3g} million counts in the photopeak"
