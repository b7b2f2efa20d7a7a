"""A volume as the frames of an NM image: stored values and what they are worth, slice vector, place in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.elements import code, dataset, put
from dicomnode.objects.frames import SLICE
from dicomnode.objects.modules import frame_vectors, merge, nm_pixels
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume

HIGHEST_STORED = 32767
MU_STEP_PER_CM = 1e-4  # water, 0.15 /cm, is stored as 1500
_UNIT_WORDS = {
    Unit.COUNTS: "counts",
    Unit.PROPORTIONAL_COUNTS: "proportional counts",
    Unit.PER_CM: "linear attenuation coefficient",
    Unit.HOUNSFIELD: "Hounsfield units",
}
# at most 16 letters
_UNIT_LABELS = {
    Unit.COUNTS: "COUNTS",
    Unit.PROPORTIONAL_COUNTS: "PROPORTIONAL",
    Unit.PER_CM: "/cm",
    Unit.HOUNSFIELD: "HOUNSFIELD",
}
_QUANTITIES = {Unit.PER_CM: ("112031", "DCM", "Attenuation Coefficient")}  # PS3.16 CID 7180


@dataclass(frozen=True)
class Placement:
    """Where a stack of slices lies (LPS mm)."""

    spacing_mm: float  # from slice to slice; negative: against row x column
    orientation: list[float]  # Image Orientation (Patient)
    position_mm: list[float]  # Image Position (Patient) of the first slice

    @classmethod
    def of(cls, grid: VoxelGrid) -> Placement:
        """Return where a grid's slices lie. Raises StudyUnsuitable if its axes aren't perpendicular."""
        affine = grid.matrix
        row, column, through = (affine[:3, k] / np.linalg.norm(affine[:3, k]) for k in range(3))
        normal = np.cross(row, column)
        if abs(float(row @ column)) > 1e-4 or abs(abs(float(normal @ through)) - 1) > 1e-4:
            raise StudyUnsuitable("the volume's axes aren't perpendicular, which an NM image can't express")
        spacing = float(np.linalg.norm(affine[:3, 2]) * np.sign(normal @ through))
        return cls(spacing, [float(v) for v in (*row, *column)], [float(v) for v in affine[:3, 3]])


def volume_image(volume: Volume, energy_kev: float = 140.5) -> Dataset:
    """Return pixels, slice vector, distances and the value mapping of a volume (PS3.3 C.8.4.15, NM Reconstruction).

    `energy_kev` is that of the photons which an attenuation map is for. The position is not in it: an NM image keeps it
    in its detector item (`Placement`). Raises StudyUnsuitable if the grid's axes aren't perpendicular.
    """
    grid = volume.grid
    stored, step = whole_numbers(volume.values, MU_STEP_PER_CM if volume.unit is Unit.PER_CM else None)
    ds = nm_pixels(stored)
    merge(ds, frame_vectors({SLICE: np.arange(len(stored))}))
    put(
        ds,
        NumberOfEnergyWindows=1,
        NumberOfDetectors=1,
        NumberOfRotations=1,
        PixelSpacing=[grid.voxel_mm[1], grid.voxel_mm[2]],
        SliceThickness=grid.voxel_mm[0],
        SpacingBetweenSlices=Placement.of(grid).spacing_mm,
        RealWorldValueMappingSequence=[value_mapping(step, volume.unit, int(stored.max()), energy_kev)],
    )
    return ds


def whole_numbers(values: NDArray[np.float32], step: float | None) -> tuple[NDArray[np.uint16], float]:
    """Return whole numbers and what one of them is worth; below zero becomes zero.

    Without `step`, or where it is too small for the highest value, the highest value becomes HIGHEST_STORED.
    """
    kept = np.maximum(values.astype(np.float64), 0)
    highest = float(kept.max())
    if step is None or highest / step > HIGHEST_STORED:
        step = highest / HIGHEST_STORED if highest > 0 else 1.0
    return np.rint(kept / step).astype(np.uint16), step


def value_mapping(step: float, unit: Unit, highest: int, energy_kev: float = 140.5) -> Dataset:
    """Return one item of Real World Value Mapping: stored value x step (PS3.3 C.7.6.16.2.11)."""
    words = _UNIT_WORDS[unit] + (f" at {energy_kev:g} keV" if unit is Unit.PER_CM else "")
    item = dataset(
        RealWorldValueFirstValueMapped=0,
        RealWorldValueLastValueMapped=max(highest, 1),
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=step,
        LUTExplanation=words,
        LUTLabel=_UNIT_LABELS[unit],
        MeasurementUnitsCodeSequence=[code(unit.value, "UCUM", words)],
    )
    if unit in _QUANTITIES:
        quantity = dataset(
            ValueType="CODE",
            ConceptNameCodeSequence=[code("246205007", "SCT", "Quantity")],
            ConceptCodeSequence=[code(*_QUANTITIES[unit])],
        )
        put(item, QuantityDefinitionSequence=[quantity])
    return item
