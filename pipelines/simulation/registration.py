"""The CT and the attenuation map that belong to a virtual study: another breath, and the patient lies otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.simulation.scatter import coarser
from pipelines.simulation.shapes import Placement, Point
from pipelines.simulation.truth import RegistrationTruth
from pipelines.simulation.virtual_patient import VirtualPatient

Float = NDArray[np.float64]

CT_NOISE_HU = 22.0  # of a low-dose CT for attenuation correction, before the smoothing below


@dataclass(frozen=True)
class Misregistration:
    """How the patient lies and breathes in the CT, against the mean of the emission study."""

    translation_mm: Point = (0.0, 0.0, 0.0)
    rotation_deg: Point = (0.0, 0.0, 0.0)
    breath_mm: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Misregistration:
        """Return a usual error: 4 mm per axis (2 % gross: 12 to 20 mm), 1 degree, and mostly a deeper breath."""
        shift = rng.normal(0.0, 4.0, size=3)
        if rng.random() < 0.02:
            shift = shift / np.linalg.norm(shift) * rng.uniform(12.0, 20.0)
        turn = rng.normal(0.0, 1.0, size=3)
        breath = -min(abs(float(rng.normal(0.0, 6.0))), 15.0) * (1.0 if rng.random() < 0.75 else -0.4)
        return cls(_rounded(shift), _rounded(turn), round(breath, 3))

    def truth(self) -> RegistrationTruth:
        """Return what to write down."""
        return RegistrationTruth(self.translation_mm, self.rotation_deg, self.breath_mm)

    def place(self, placement: Placement) -> Placement:
        """Return the patient's place in the CT."""
        x, y, z = (a + b for a, b in zip(placement.origin_mm, self.translation_mm, strict=True))
        return Placement((x, y, z), self.rotation_deg)


def _rounded(values: Float) -> Point:
    x, y, z = (round(float(value), 3) for value in values)
    return x, y, z


def attenuation_map(patient: VirtualPatient, error: Misregistration | None = None) -> Volume:
    """Return mu (1/cm) on voxels of 6.4 mm as a transmission scan would give it; without `error`, in register."""
    if error is None:
        return coarser(patient.mu_map, 2)
    grid = patient.mu_map.grid
    mu = patient.body.mu_per_cm(grid, error.place(patient.body.placement), error.breath_mm)
    return coarser(Volume(mu.astype(np.float32), grid, Unit.PER_CM), 2)


def computed_tomography(
    patient: VirtualPatient,
    rng: np.random.Generator,
    error: Misregistration | None = None,
    *,
    pixel_mm: float = 1.953125,
    slice_mm: float = 5.0,
    length_mm: float = 280.0,
) -> Volume:
    """Return a low-dose CT in whole Hounsfield units, 500 mm wide, about the heart's height, with noise.

    The grid is the camera's; the patient lies in it as `error` says.
    """
    size = round(500.0 / pixel_mm)
    middle = (0.0, 0.0, round(patient.truth.ventricle_center_mm[2], 1))
    grid = VoxelGrid.axial((round(length_mm / slice_mm), size, size), (slice_mm, pixel_mm, pixel_mm), middle)
    error = error or Misregistration()
    units = patient.body.hounsfield(grid, error.place(patient.body.placement), error.breath_mm)
    noise = rng.normal(0.0, CT_NOISE_HU, size=units.shape)
    for axis in (1, 2):
        noise = 0.5 * noise + 0.25 * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
    body = units > -970.0
    units = np.where(body, units + 2.0 * noise, units + 0.5 * noise)
    return Volume(np.clip(np.rint(units), -1024, 3071).astype(np.float32), grid, Unit.HOUNSFIELD)
