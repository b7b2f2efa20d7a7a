"""DICOM instances for tests, made in a line that reads as a sentence: `a_tomo(views=6, detectors=2)`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import config, dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.objects.camera import Camera, write_tomo
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections

NOON = datetime(2026, 3, 2, 12, 0)
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "realdata"
PHOTOPEAK = EnergyWindow(126.45, 154.55, "Tc99m_EM")
SCATTER = EnergyWindow(108.0, 126.0, "Scatter")

Change = Callable[[Dataset], None]


def some_projections(
    views: int = 6,
    gates: int = 1,
    windows: int = 1,
    rows: int = 5,
    columns: int = 8,
    start_deg: float = 225.0,
    step_deg: float = -6.0,
    radius_mm: float | tuple[float, ...] | None = 250.0,
    pixel_size_mm: tuple[float, float] = (6.4, 6.4),
    isocenter_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    seed: int = 1,
) -> Projections:
    """Return projections of random counts, no two pixels of which are likely to be alike."""
    counts = np.random.default_rng(seed).integers(0, 30000, (windows, gates, views, rows, columns)).astype(np.float32)
    radii = (radius_mm,) * views if isinstance(radius_mm, float | int) else radius_mm
    geometry = AcquisitionGeometry(
        angles_deg=tuple((start_deg + step_deg * view) % 360 for view in range(views)),
        pixel_size_mm=pixel_size_mm,
        rows=rows,
        columns=columns,
        radius_mm=radii,
        isocenter_mm=isocenter_mm,
    )
    return Projections(counts, geometry, (PHOTOPEAK, SCATTER)[:windows], view_time_s=20.0)


def a_tomo(
    projections: Projections | None = None,
    study: VirtualStudy | None = None,
    detectors: int = 1,
    change: Change | None = None,
    **acquired: Any,
) -> bytes:
    """Return a virtual acquisition as a DICOM file; `change` may spoil its dataset before it is written.

    `acquired` are the arguments of `some_projections`.
    """
    shown = projections or some_projections(**acquired)
    file = write_tomo(shown, study or VirtualStudy(), NOON, Camera(detectors))
    return file if change is None else changed(file, change)


def changed(file: bytes, change: Change) -> bytes:
    """Return a DICOM file with its dataset changed by `change`."""
    ds = dcmread(BytesIO(file))
    with config.disable_value_validation():
        change(ds)
        return as_file(ds)


def without(*keywords: str) -> Change:
    """Return a change that deletes these elements."""

    def delete(ds: Dataset) -> None:
        for keyword in keywords:
            del ds[keyword]

    return delete


def setting(**elements: object) -> Change:
    """Return a change that sets these elements."""

    def set_all(ds: Dataset) -> None:
        with config.disable_value_validation():
            for keyword, value in elements.items():
                if keyword in ds:
                    del ds[keyword]  # the old element would check the new value
                setattr(ds, keyword, value)

    return set_all


def quick_dataset(**elements: object) -> Dataset:
    """Return a small sound Secondary Capture image, with these elements set; None deletes one."""
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.SOPInstanceUID = "1.2.826.0.1.3680043.10.99.1.1.1"
    ds.StudyInstanceUID = "1.2.826.0.1.3680043.10.99.1"
    ds.SeriesInstanceUID = "1.2.826.0.1.3680043.10.99.1.1"
    ds.Modality = "OT"
    ds.PatientName, ds.PatientID = "Virtual^Patient", "VIRTUAL-0001"
    ds.Rows, ds.Columns = 4, 6
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = bytes(4 * 6 * 2)
    ds["PixelData"].VR = "OW"
    for keyword in [keyword for keyword, value in elements.items() if value is None]:
        del ds[keyword]
    setting(**{keyword: value for keyword, value in elements.items() if value is not None})(ds)
    return ds


def as_file(ds: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return a dataset as a DICOM file, however unsound it is."""
    buffer = BytesIO()
    with config.disable_value_validation():
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", "1.2.3")
        meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "1.2.3")
        meta.TransferSyntaxUID = transfer_syntax
        dcmwrite(buffer, FileDataset(None, ds, preamble=b"\0" * 128, file_meta=meta))
    return buffer.getvalue()
