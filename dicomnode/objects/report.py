"""The report page of a run as a Secondary Capture image: the page that the pipeline drew, under a strip that
says whose it is. The pipeline never learns who the patient is; the strip is drawn here, from the source's header.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.objects.derivation import DerivationContext, Derivative, Sources, derived_dataset
from dicomnode.objects.elements import dataset, file_bytes, first_item, put, text
from dicomnode.objects.modules import merge
from dicomnode.objects.reader import injected_mbq
from dicomnode.objects.strip import WIDTH, StripContent, can_print, draw_strip
from dicomnode.objects.times import Moment
from dicomnode.study import DerivedInstance
from pipelines.contract import PipelineResult

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
KIND = "report page"
_SERIES_NUMBER = 941


def write_report(
    sources: Sources, result: PipelineResult, page: NDArray[np.uint8], context: DerivationContext
) -> DerivedInstance:
    """Return a run's report page `[row, column, RGB]`, as wide as the strip that is put on top of it.

    Neither bears a processing time, so the same run gives the same pixels. Raises ValueError for another page.
    """
    if page.dtype != np.uint8 or page.ndim != 3 or page.shape[1:] != (WIDTH, 3):
        raise ValueError(f"a report page is {WIDTH} pixels wide, RGB of 8 bit; found {page.dtype} {page.shape}")
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
    ds = derived_dataset(sources, derivative, context)
    merge(ds, _color_pixels(np.concatenate([draw_strip(strip_content(sources, context)), page])))
    moment = Moment.of(context.now, sources.first)
    put(
        ds,
        ConversionType="WSD",
        PatientOrientation=None,  # a page has none in the patient
        DateOfSecondaryCapture=moment.date,
        TimeOfSecondaryCapture=moment.time,
    )
    return DerivedInstance(ds.SOPInstanceUID, ds.SeriesInstanceUID, SECONDARY_CAPTURE, KIND, file_bytes(ds))


def _color_pixels(pixels: NDArray[np.uint8]) -> Dataset:
    """Return the Image Pixel module of a picture `[row, column, RGB]` (PS3.3 C.7.6.3)."""
    rows, columns, _ = pixels.shape
    ds = dataset(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        Rows=rows,
        Columns=columns,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        PixelData=pixels.tobytes(),
    )
    ds["PixelData"].VR = "OB"
    return ds


def strip_content(sources: Sources, context: DerivationContext) -> StripContent:
    """Return what stands on the strip."""
    source = sources.first
    return StripContent(
        patient=_patient(source),
        study=_study(source),
        acquisition=_acquisition(source),
        title=context.pipeline.replace("_", " ").capitalize(),
        virtual=sources.virtual,
    )


def _patient(source: Dataset) -> tuple[str, ...]:
    identity = [_name(text(source, "PatientName")) or "(no name)", f"ID {text(source, 'PatientID') or '(none)'}"]
    if born := text(source, "PatientBirthDate"):
        identity.append(f"born {_date(born)}")
    if sex := text(source, "PatientSex"):
        identity.append(f"sex {sex}")
    return tuple(identity)


def _name(person_name: str) -> str:
    """Return the first way to write a name (letters, ideograms, sounds; PS3.5 6.2.1) that can be printed whole."""
    groups = [words for group in person_name.split("=") if (words := " ".join(group.replace("^", " ").split()))]
    return next((words for words in groups if can_print(words)), groups[0] if groups else "")


def _study(source: Dataset) -> tuple[str, ...]:
    words = (
        text(source, "StudyDescription"),
        _date(text(source, "StudyDate")),
        f"accession {accession}" if (accession := text(source, "AccessionNumber")) else "",
        text(source, "SeriesDescription"),
    )
    return tuple(word for word in words if word)


def _acquisition(source: Dataset) -> tuple[str, ...]:
    words = (
        " ".join(word for word in (text(source, "Manufacturer"), text(source, "ManufacturerModelName")) if word),
        text(source, "StationName"),
        f"acquired {_date(day)} {_hour(source)}".rstrip() if (day := text(source, "AcquisitionDate")) else "",
        _activity(source),
    )
    return tuple(word for word in words if word)


def _activity(source: Dataset) -> str:
    injected = injected_mbq(source)
    tracer = text(first_item(source, "RadiopharmaceuticalInformationSequence"), "Radiopharmaceutical")
    if injected:
        return f"{injected:.4g} MBq {tracer}".rstrip()
    return f"tracer {tracer}" if tracer else ""


def _hour(source: Dataset) -> str:
    digits = text(source, "AcquisitionTime")[:4]
    return f"{digits[:2]}:{digits[2:]}" if len(digits) == 4 and digits.isdigit() else ""


def _date(dicom_date: str) -> str:
    digits = dicom_date.replace(".", "")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}" if len(digits) == 8 and digits.isdigit() else dicom_date
