"""An independent camera: spheres and ellipsoids projected by formula, straight from the definition of the views.

It shares no code with the product's system matrix: no rotated images, no interpolation, no tables. A detector pixel's
place follows AcquisitionGeometry's definition; what it counts is the chord of its ray through each body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry, VoxelGrid

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Ellipsoid:
    """An even body along the axes: center and half axes in mm (LPS x, y, z), value per mm^3 (or mu per mm)."""

    center_mm: tuple[float, float, float]
    half_axes_mm: tuple[float, float, float]
    value: float

    def chord(self, origin: Float, direction: Float) -> tuple[Float, Float]:
        """Return where each line `origin + t direction` enters and leaves (enter = leave where it misses)."""
        axes = np.array(self.half_axes_mm)
        start = (origin - np.array(self.center_mm)) / axes
        step = direction / axes
        a = np.sum(step * step, axis=-1)
        b = np.sum(start * step, axis=-1)
        c = np.sum(start * start, axis=-1) - 1
        root = np.sqrt(np.maximum(b * b - a * c, 0))
        return (-b - root) / a, (-b + root) / a


def pixel_centers(geometry: AcquisitionGeometry, view: int, subsamples: int) -> tuple[Float, Float]:
    """Return where the (finely divided) pixels of a view lie, LPS `[row, column, 3]`, and its normal to the camera."""
    angle = np.deg2rad(geometry.angles_deg[view])
    normal = np.array([np.sin(angle), np.cos(angle), 0.0])
    along_columns = np.array([-np.cos(angle), np.sin(angle), 0.0])
    toward_feet = np.array([0.0, 0.0, -1.0])
    axial_mm, pixel_mm = geometry.pixel_size_mm
    column = (np.arange(geometry.columns * subsamples) + 0.5) / subsamples - 0.5 - (geometry.columns - 1) / 2
    row = (np.arange(geometry.rows * subsamples) + 0.5) / subsamples - 0.5 - (geometry.rows - 1) / 2
    across = column * pixel_mm - geometry.center_of_rotation_offset_mm
    place = across[None, :, None] * along_columns + (row * axial_mm)[:, None, None] * toward_feet
    return place + np.array(geometry.isocenter_mm), normal


def project(bodies: list[Ellipsoid], geometry: AcquisitionGeometry, subsamples: int = 4) -> Float:
    """Return the counts `[view, row, column]`: chord through the bodies times pixel area, averaged over the pixel."""
    area = geometry.pixel_size_mm[0] * geometry.pixel_size_mm[1]
    views = []
    for view in range(geometry.views):
        origin, normal = pixel_centers(geometry, view, subsamples)
        total = np.zeros(origin.shape[:2])
        for body in bodies:
            enter, leave = body.chord(origin, normal)
            total += body.value * (leave - enter)
        fine = total.reshape(geometry.rows, subsamples, geometry.columns, subsamples)
        views.append(fine.mean(axis=(1, 3)) * area)
    return np.stack(views)


def voxelize(bodies: list[Ellipsoid], grid: VoxelGrid, subsamples: int = 3) -> Float:
    """Return the bodies on a grid `[z, y, x]`, in value times voxel volume."""
    fine = [(np.arange(n * subsamples) + 0.5) / subsamples - 0.5 for n in grid.shape]
    matrix = grid.matrix
    z, y, x = (fine[axis] * matrix[2 - axis, 2 - axis] + matrix[2 - axis, 3] for axis in range(3))
    total = np.zeros(tuple(n * subsamples for n in grid.shape))
    for body in bodies:
        (cx, cy, cz), (ax, ay, az) = body.center_mm, body.half_axes_mm
        distance = (
            ((z - cz) / az)[:, None, None] ** 2
            + ((y - cy) / ay)[None, :, None] ** 2
            + ((x - cx) / ax)[None, None, :] ** 2
        )
        total += body.value * (distance <= 1)
    shape = [size for n in grid.shape for size in (n, subsamples)]
    return total.reshape(shape).mean(axis=(1, 3, 5)) * float(np.prod(grid.voxel_mm))
