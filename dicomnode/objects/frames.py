"""Which frame of an NM image shows what: the vectors that Frame Increment Pointer names, checked for completeness.

Frames are never found by arithmetic: cameras store them in different orders (PS3.3 C.8.4.8, C.8.4.16).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.objects.elements import integer, items, numbers

NM_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.20"


@dataclass(frozen=True)
class Axis:
    """One dimension along which frames are counted."""

    word: str
    vector: str  # keyword
    tag: int
    count: str  # keyword of the number of steps
    sequence: str = ""  # keyword of the sequence whose items are the steps


WINDOW = Axis(
    "energy window", "EnergyWindowVector", 0x00540010, "NumberOfEnergyWindows", "EnergyWindowInformationSequence"
)
DETECTOR = Axis("detector", "DetectorVector", 0x00540020, "NumberOfDetectors", "DetectorInformationSequence")
ROTATION = Axis("rotation", "RotationVector", 0x00540050, "NumberOfRotations", "RotationInformationSequence")
RR_INTERVAL = Axis("R-R interval", "RRIntervalVector", 0x00540060, "NumberOfRRIntervals")
TIME_SLOT = Axis("time slot", "TimeSlotVector", 0x00540070, "NumberOfTimeSlots")
VIEW = Axis("view", "AngularViewVector", 0x00540090, "NumberOfFramesInRotation")
SLICE = Axis("slice", "SliceVector", 0x00540080, "NumberOfSlices")

MAX_FRAMES = 65535  # more than any camera stores; a header may claim anything

TOMO_AXES = (WINDOW, DETECTOR, ROTATION, RR_INTERVAL, TIME_SLOT, VIEW)
RECON_AXES = (RR_INTERVAL, TIME_SLOT, SLICE)


@dataclass(frozen=True)
class FrameIndex:
    """Where each frame belongs: `index[frame, axis]` counts from 0; `flaw` says what is wrong, None if nothing is."""

    axes: tuple[Axis, ...]
    index: NDArray[np.int64]
    flaw: str | None

    def steps(self, axis: Axis) -> int:
        """Return how many steps the frames take along `axis`."""
        return int(self.column(axis).max()) + 1

    def column(self, axis: Axis) -> NDArray[np.int64]:
        """Return each frame's step along `axis`."""
        return np.asarray(self.index[:, self.axes.index(axis)])


def frame_count(ds: Dataset) -> int:
    """Return Number of Frames, 1 where it is not given."""
    return integer(ds, "NumberOfFrames") or 1


def frames_in_rotation(ds: Dataset, rotation: int) -> int | None:
    """Return Number of Frames in Rotation of one rotation item, None where it is not given."""
    rotations = items(ds, "RotationInformationSequence")
    return integer(rotations[rotation], "NumberOfFramesInRotation") if rotation < len(rotations) else None


def declared(ds: Dataset, axis: Axis) -> int | None:
    """Return how many steps the header says that an axis has, None where it does not say."""
    if axis is VIEW:
        counts = [frames_in_rotation(ds, k) for k in range(len(items(ds, "RotationInformationSequence")))]
        known = [count for count in counts if count]
        return max(known) if known else None
    if axis in (RR_INTERVAL, TIME_SLOT):
        return _declared_gating(ds, axis)
    return integer(ds, axis.count)


def _declared_gating(ds: Dataset, axis: Axis) -> int | None:
    if axis is RR_INTERVAL:
        return integer(ds, "NumberOfRRIntervals")
    for gated in items(ds, "GatedInformationSequence"):
        for data in items(gated, "DataInformationSequence"):
            if slots := integer(data, "NumberOfTimeSlots"):
                return slots
    return integer(ds, "NumberOfTimeSlots")


def index_frames(ds: Dataset, axes: tuple[Axis, ...]) -> FrameIndex:
    """Return where each frame of an NM image belongs along `axes`, and what speaks against it."""
    frames = frame_count(ds)
    if not 0 < frames <= MAX_FRAMES:
        return FrameIndex(axes, np.zeros((1, len(axes)), dtype=np.int64), f"{frames} frames are no acquisition")
    flaws: list[str] = []
    pointers = numbers(ds, "FrameIncrementPointer")
    steps = [declared(ds, axis) for axis in axes]
    columns = [
        _column(ds, axis, frames, count, axis.tag in pointers, flaws) for axis, count in zip(axes, steps, strict=True)
    ]
    index = np.stack(columns, axis=1)
    if not flaws:
        flaws += _incomplete(ds, axes, steps, index)
    return FrameIndex(axes, index, flaws[0] if flaws else None)


def _column(
    ds: Dataset, axis: Axis, frames: int, steps: int | None, pointed: bool, flaws: list[str]
) -> NDArray[np.int64]:
    """Return one axis's step per frame from 0; zeros where the axis has a single step and so needs no vector."""
    vector = numbers(ds, axis.vector)
    if not vector:
        many = (steps is not None and steps > 1) or (axis in (VIEW, SLICE) and frames > 1)
        if pointed or many:
            flaws.append(
                f"{axis.vector} is missing, which says to which {axis.word} each of the {frames} frames belongs"
            )
        return np.zeros(frames, dtype=np.int64)
    if len(vector) != frames:
        flaws.append(f"{axis.vector} has {len(vector)} entries for {frames} frames")
        return np.zeros(frames, dtype=np.int64)
    first, last, highest = int(min(vector)), int(max(vector)), steps if steps is not None else frames
    if first < 1 or last > highest:
        flaws.append(f"{axis.vector} runs from {first} to {last}, expected 1 to {highest} ({axis.count})")
        return np.zeros(frames, dtype=np.int64)
    return np.asarray(vector, dtype=np.int64) - 1


def _incomplete(
    ds: Dataset, axes: tuple[Axis, ...], steps: Sequence[int | None], index: NDArray[np.int64]
) -> list[str]:
    """Say what is missing or there twice, given that each vector by itself is sound."""
    counts = [count or int(index[:, k].max()) + 1 for k, count in enumerate(steps)]
    limits = _view_limits(ds, axes, counts)
    others = math.prod(count for axis, count in zip(axes, counts, strict=True) if axis not in (ROTATION, VIEW))
    expected = others * sum(limits)
    if expected != len(index):
        product = " x ".join(f"{count} {axis.word}s" for axis, count in zip(axes, counts, strict=True) if count > 1)
        return [f"there are {len(index)} frames, expected {expected} ({product})"]
    found = Counter(map(tuple, index.tolist()))
    twice = [place for place, times in found.items() if times > 1]
    if twice:
        return [f"two frames claim {_place(axes, twice[0])}"]
    if ROTATION in axes:
        rotation, view = axes.index(ROTATION), axes.index(VIEW)
        beyond = [place for place in found if place[view] >= limits[place[rotation]]]
        return [f"no rotation holds {_place(axes, beyond[0])}"] if beyond else []
    return []


def _view_limits(ds: Dataset, axes: tuple[Axis, ...], counts: list[int]) -> list[int]:
    """Return the number of views of each rotation, [1] where the axes know no rotation."""
    if ROTATION not in axes:
        return [1]
    rotations, views = counts[axes.index(ROTATION)], counts[axes.index(VIEW)]
    return [frames_in_rotation(ds, k) or views for k in range(min(rotations, MAX_FRAMES))]


def _place(axes: tuple[Axis, ...], place: tuple[int, ...]) -> str:
    return ", ".join(f"{axis.word} {step + 1}" for axis, step in zip(axes, place, strict=True))
