"""Acquisitions as some camera writes them, and what the reader makes of them."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from dicomnode.objects.reader import read_acquisition
from pipelines.contract import Acquisition
from pipelines.images import Projections
from tests.factories import Change


def read(file: bytes, folder: Path) -> Acquisition:
    """Read a DICOM file as the node does."""
    path = folder / "acquisition.dcm"
    path.write_bytes(file)
    return read_acquisition(path)


def projections_of(file: bytes, folder: Path) -> Projections:
    """Read a DICOM file that must hold projections."""
    projections = read(file, folder).projections
    assert projections is not None
    return projections


def rotation(**elements: object) -> Change:
    """Return a change of the first rotation item; None deletes an element."""

    def change(ds: Dataset) -> None:
        set_elements(ds.RotationInformationSequence[0], elements)

    return change


def detector(number: int = 0, **elements: object) -> Change:
    """Return a change of one detector item; None deletes an element."""

    def change(ds: Dataset) -> None:
        set_elements(ds.DetectorInformationSequence[number], elements)

    return change


def set_elements(item: Dataset, elements: dict[str, object]) -> None:
    """Set elements of an item; None deletes one."""
    for keyword, value in elements.items():
        if value is None:
            del item[keyword]
        else:
            setattr(item, keyword, value)


def both(*changes: Change) -> Change:
    """Return these changes as one."""

    def change(ds: Dataset) -> None:
        for one in changes:
            one(ds)

    return change
