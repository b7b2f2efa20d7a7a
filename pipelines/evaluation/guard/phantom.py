"""A water-filled cylinder with cold rods and spheres, as cameras are tested with: no patient, no heart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.guard.studies import GuardStudy
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.simulation.projector import Projector

Float = NDArray[np.float64]

# Jaszczak phantom: inside radius and height; cold rods below, cold spheres above (mm)
RADIUS_MM, HEIGHT_MM = 108.0, 186.0
RODS_HEIGHT_MM = 88.0
ROD_RADII_MM = (3.2, 4.0, 4.8, 5.6, 6.4, 7.9)  # by sector
SPHERE_RADII_MM = (4.8, 6.4, 7.9, 9.5, 12.7, 15.9)
SPHERES_AT_MM = 57.0  # from the axis
WATER_MU_PER_CM = 0.154
_VOXEL_MM = 3.2


def phantom_counts(study: GuardStudy) -> Float:
    """Return the expected counts `[window, gate, view, row, column]` of the phantom on a study's orbit and camera.

    It has the study's counts in every window; scatter is left out.
    """
    projections = study.projections
    activity, mu_map = _phantom()
    view = Projector(mu_map, projections.geometry, study.camera.blur).project([activity])[0]
    seen = np.maximum(view, 0.0) * study.camera.field_of_view()
    total = projections.counts.sum(axis=(1, 2, 3, 4), dtype=np.float64)
    per_gate = seen / seen.sum() / projections.gates
    return np.repeat(total[:, None, None, None, None] * per_gate, projections.gates, axis=1)


def _phantom() -> tuple[Float, Volume]:
    """Return activity `[z, y, x]` and mu-map."""
    size = 2 * int(RADIUS_MM / _VOXEL_MM + 3)
    slices = 2 * int(HEIGHT_MM / 2 / _VOXEL_MM + 3)
    grid = VoxelGrid.axial((slices, size, size), (_VOXEL_MM,) * 3, (0.0, 0.0, 0.0))
    across = (np.arange(size) - (size - 1) / 2) * _VOXEL_MM
    z = ((np.arange(slices) - (slices - 1) / 2) * _VOXEL_MM)[:, None, None]
    y, x = across[None, :, None], across[None, None, :]
    inside = (np.hypot(x, y) <= RADIUS_MM) & (np.abs(z) <= HEIGHT_MM / 2)
    activity = np.where(inside, 1.0, 0.0)
    sector = np.floor(np.mod(np.degrees(np.arctan2(y, x)), 360.0) / 60.0).astype(np.int64)
    for number, radius in enumerate(ROD_RADII_MM):
        nearest = np.hypot(
            np.mod(x + 2 * radius, 4 * radius) - 2 * radius, np.mod(y + 2 * radius, 4 * radius) - 2 * radius
        )
        rod = (nearest <= radius) & (sector == number) & (np.hypot(x, y) <= RADIUS_MM - 10.0)
        activity[rod & (z < RODS_HEIGHT_MM - HEIGHT_MM / 2)] = 0.0
    for number, radius in enumerate(SPHERE_RADII_MM):
        angle = np.radians(60.0 * number)
        from_x, from_y = x - SPHERES_AT_MM * np.cos(angle), y - SPHERES_AT_MM * np.sin(angle)
        activity[from_x**2 + from_y**2 + (z - 35.0) ** 2 <= radius**2] = 0.0
    mu = np.where(inside, WATER_MU_PER_CM, 0.0).astype(np.float32)
    return activity, Volume(mu, grid, Unit.PER_CM)
