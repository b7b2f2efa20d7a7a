"""The parts that every NM image we write has in common: pixels, frame vectors, codes, what is known of the patient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.objects.elements import (
    code,
    copied,
    copied_item,
    dataset,
    first_item,
    items,
    text,
    without_empty_sequences,
)
from dicomnode.objects.frames import DETECTOR, ROTATION, RR_INTERVAL, SLICE, TIME_SLOT, VIEW, WINDOW, Axis
from pipelines.contract import CardiacState
from pipelines.images import EnergyWindow

Code = tuple[str, str, str]  # value, scheme, meaning

# codes of retired schemes that cameras still write -> current ones (PS3.16 CID 18)
_NUCLIDES: dict[str, Code] = {"C-163A8": ("72454006", "SCT", "^99m^Technetium")}
STATE_CODES: dict[CardiacState, Code] = {
    CardiacState.STRESS: ("109091", "DCM", "Cardiac Stress State"),
    CardiacState.REST: ("128975004", "SCT", "Resting State"),
}
_COUNTS = {
    WINDOW: "NumberOfEnergyWindows",
    DETECTOR: "NumberOfDetectors",
    ROTATION: "NumberOfRotations",
    RR_INTERVAL: "NumberOfRRIntervals",
    TIME_SLOT: "NumberOfTimeSlots",
    SLICE: "NumberOfSlices",
}


def merge(ds: Dataset, part: Dataset) -> None:
    """Put all elements of `part` into `ds` without decoding any."""
    for tag in part.keys():  # noqa: SIM118 - a Dataset iterates over elements
        ds[tag] = part.get_item(tag)


def nm_pixels(stored: NDArray[np.uint16]) -> Dataset:
    """Return the NM Image Pixel module of frames `[frame, row, column]`, unsigned 16 bit (PS3.3 C.8.4.9)."""
    frames, rows, columns = stored.shape
    highest = int(stored.max())
    return dataset(
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        NumberOfFrames=frames,
        Rows=rows,
        Columns=columns,
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=0,
        SmallestImagePixelValue=int(stored.min()),
        LargestImagePixelValue=highest,
        WindowCenter=max(highest, 1) / 2,
        WindowWidth=float(max(highest, 1)),
        PixelData=stored.astype("<u2").tobytes(),
    )


def frame_vectors(columns: Mapping[Axis, NDArray[np.int64]]) -> Dataset:
    """Return Frame Increment Pointer, vectors and numbers of steps; `columns` are steps from 0, slowest axis first."""
    ds = dataset(FrameIncrementPointer=[axis.tag for axis in columns])
    for axis, column in columns.items():
        merge(ds, dataset(**{axis.vector: [int(step) + 1 for step in column]}))
        if axis is not VIEW:
            merge(ds, dataset(**{_COUNTS[axis]: int(column.max()) + 1}))
    return ds


def energy_windows(windows: tuple[EnergyWindow, ...]) -> Dataset:
    """Return the Energy Window Information Sequence of these windows."""
    described = []
    for window in windows:
        limits = dataset(EnergyWindowLowerLimit=window.lower_kev, EnergyWindowUpperLimit=window.upper_kev)
        item = dataset(EnergyWindowRangeSequence=[limits])
        if window.name.isascii() and window.name.isprintable() and window.name:
            merge(item, dataset(EnergyWindowName=window.name[:16]))
        described.append(item)
    return dataset(EnergyWindowInformationSequence=described)


def patient_state(state: CardiacState) -> Dataset:
    """Return the Acquisition Context that tells stress from rest (PS3.16 TID 3471); nothing if it isn't known."""
    if state not in STATE_CODES:
        return Dataset()
    item = dataset(
        ValueType="CODE",
        ConceptNameCodeSequence=[code("109054", "DCM", "Patient State")],
        ConceptCodeSequence=[code(*STATE_CODES[state])],
    )
    return dataset(AcquisitionContextSequence=[item])


def is_code(item: Dataset) -> bool:
    """Tell whether an item holds what every code must: a value, its scheme and its meaning (PS3.3 8.8)."""
    value = any(text(item, keyword) for keyword in ("CodeValue", "LongCodeValue"))
    return value and bool(text(item, "CodingSchemeDesignator")) and bool(text(item, "CodeMeaning"))


def translated(item: Dataset, table: Mapping[str, Code]) -> Dataset | None:
    """Return the current code of an item that holds a retired or a current one of the table, else None."""
    value = text(item, "CodeValue")
    current = {one[0]: one for one in table.values()}
    found = table.get(value) or current.get(value)
    return code(*found) if found else None


def radiopharmaceuticals(source: Dataset) -> Dataset:
    """Return the source's Radiopharmaceutical Information Sequence, without what is empty or of a retired scheme."""
    kept = []
    for item in items(source, "RadiopharmaceuticalInformationSequence"):
        copy = without_empty_sequences(copied_item(item))
        nuclide = first_item(item, "RadionuclideCodeSequence")
        current = translated(nuclide, _NUCLIDES)
        if current is not None:
            copy.RadionuclideCodeSequence = [current]
        elif "RadionuclideCodeSequence" not in copy:
            merge(copy, dataset(RadionuclideCodeSequence=[]))
        kept.append(copy)
    return dataset(RadiopharmaceuticalInformationSequence=kept)


def intervention_drugs(source: Dataset) -> Dataset:
    """Return what was given besides the tracer (PS3.3 C.8.4.10): the source's items, without empty ones."""
    given = [
        without_empty_sequences(copied_item(item)) for item in items(source, "InterventionDrugInformationSequence")
    ]
    kept = [item for item in given if len(item)]
    return dataset(InterventionDrugInformationSequence=kept) if kept else Dataset()


def body_part(source: Dataset) -> Dataset:
    """Return the Body Part Examined of the source, the heart where it says none."""
    if text(source, "BodyPartExamined"):
        return copied(source, "BodyPartExamined")
    return dataset(BodyPartExamined="HEART")
