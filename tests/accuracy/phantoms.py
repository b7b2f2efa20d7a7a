"""Analytic objects of known truth: a stylized thorax with a heart, and a cylinder of water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import Unit, Volume
from tests.accuracy.analytic import Ellipsoid, voxelize

WATER_PER_MM = 0.015


@dataclass(frozen=True)
class Phantom:
    """Bodies of activity (per mm^3) and of attenuation (per mm)."""

    activity: tuple[Ellipsoid, ...]
    attenuation: tuple[Ellipsoid, ...]

    def activity_on(self, grid: VoxelGrid) -> NDArray[np.float32]:
        """Return the activity per voxel `[z, y, x]`."""
        return voxelize(self.activity, grid).astype(np.float32)

    def mu_map_on(self, grid: VoxelGrid) -> Volume:
        """Return the mu-map in 1/cm."""
        per_mm = voxelize(self.attenuation, grid) / float(np.prod(grid.voxel_mm))
        return Volume((10 * per_mm).astype(np.float32), grid, Unit.PER_CM)


_HEART_MM = (45.0, -45.0, 5.0)

THORAX = Phantom(
    activity=(
        Ellipsoid((0.0, 0.0, 0.0), (165.0, 110.0, 300.0), 1.0),
        Ellipsoid((-75.0, 0.0, 10.0), (50.0, 70.0, 95.0), -0.6),  # right lung
        Ellipsoid((85.0, 25.0, 10.0), (45.0, 60.0, 95.0), -0.6),  # left lung
        Ellipsoid((-70.0, -15.0, -95.0), (70.0, 65.0, 45.0), 4.0),  # liver
        Ellipsoid(_HEART_MM, (36.0, 38.0, 42.0), 9.0),  # myocardium
        Ellipsoid(_HEART_MM, (24.0, 26.0, 30.0), -8.5),  # cavity
    ),
    attenuation=(
        Ellipsoid((0.0, 0.0, 0.0), (165.0, 110.0, 300.0), WATER_PER_MM),
        Ellipsoid((-75.0, 0.0, 10.0), (50.0, 70.0, 95.0), -0.0105),
        Ellipsoid((85.0, 25.0, 10.0), (45.0, 60.0, 95.0), -0.0105),
        Ellipsoid((0.0, 75.0, 0.0), (18.0, 18.0, 300.0), 0.007),  # spine
    ),
)

MYOCARDIUM = (
    Ellipsoid(_HEART_MM, (36.0, 38.0, 42.0), 1.0),
    Ellipsoid(_HEART_MM, (24.0, 26.0, 30.0), -1.0),
)


def cylinder(radius_mm: float) -> Phantom:
    """Return a cylinder of water along the axis, filled evenly, longer than any detector."""
    body = ((0.0, 0.0, 0.0), (radius_mm, radius_mm, 1e6))
    return Phantom((Ellipsoid(*body, 1.0),), (Ellipsoid(*body, WATER_PER_MM),))


def orbit(
    views: int, arc_deg: float, size: int, rows: int, pixel_mm: float, start_deg: float = 225.0, clockwise: bool = True
) -> AcquisitionGeometry:
    """Return a circular orbit of 25 cm with square pixels."""
    step = arc_deg / views * (-1 if clockwise else 1)
    angles = tuple(start_deg + step * view for view in range(views))
    return AcquisitionGeometry(angles, (pixel_mm, pixel_mm), rows, size, radius_mm=(250.0,) * views)
