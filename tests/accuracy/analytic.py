"""An independent camera: spheres and ellipsoids projected by formula, straight from the definition of the views.

It shares no code with the product's system matrix: no rotated images, no interpolation, no tables. A detector pixel's
place follows AcquisitionGeometry's definition; what it counts are chords through the bodies, attenuated by chords.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry, VoxelGrid

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Ellipsoid:
    """An even body along the axes: center and half axes in mm (LPS x, y, z), value per mm^3 (or mu per mm).

    Values of overlapping bodies add up.
    """

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


def project(bodies: Sequence[Ellipsoid], geometry: AcquisitionGeometry, subsamples: int = 4) -> Float:
    """Return the counts `[view, row, column]`: chord through the bodies times pixel area, averaged over the pixel."""
    views = []
    for view in range(geometry.views):
        origin, normal = pixel_centers(geometry, view, subsamples)
        total = np.zeros(origin.shape[:2])
        for body in bodies:
            enter, leave = body.chord(origin, normal)
            total += body.value * (leave - enter)
        views.append(_binned(total, geometry, subsamples))
    return np.stack(views)


def project_attenuated(
    bodies: Sequence[Ellipsoid],
    absorbers: Sequence[Ellipsoid],
    geometry: AcquisitionGeometry,
    sigma_mm: Callable[[Float], Float] | None = None,
    subsamples: int = 2,
) -> Float:
    """Return the counts `[view, row, column]`, attenuated by `absorbers` (mu per mm) and blurred by sigma(distance).

    Rays are cut into steps of a pixel over `subsamples`; the path of each step to the camera is exact. Planes at equal
    distance are blurred by Gaussians whose tails are followed for 5 sigma.
    """
    axial_mm, pixel_mm = geometry.pixel_size_mm
    step_mm = pixel_mm / subsamples
    reach = geometry.columns * pixel_mm / 2
    depths = (np.arange(geometry.columns * subsamples) + 0.5) * step_mm - reach
    views = []
    for view in range(geometry.views):
        origin, normal = pixel_centers(geometry, view, subsamples)
        activity = [(body.value, *body.chord(origin, normal)) for body in bodies]
        absorption = [(body.value, *body.chord(origin, normal)) for body in absorbers]
        total = np.zeros(origin.shape[:2])
        for depth in depths:
            low, high = depth - step_mm / 2, depth + step_mm / 2
            plane = sum(
                v * np.maximum(np.minimum(leave, high) - np.maximum(enter, low), 0) for v, enter, leave in activity
            )
            path = sum(v * np.maximum(leave - np.maximum(enter, depth), 0) for v, enter, leave in absorption)
            plane = plane * np.exp(-path)
            if sigma_mm is not None and geometry.radius_mm is not None:
                sigma = float(sigma_mm(np.array(geometry.radius_mm[view] - depth)))
                plane = _blurred(_blurred(plane, sigma * subsamples / axial_mm, 0), sigma * subsamples / pixel_mm, 1)
            total += plane
        views.append(_binned(total, geometry, subsamples))
    return np.stack(views)


def _binned(fine: Float, geometry: AcquisitionGeometry, subsamples: int) -> Float:
    area = geometry.pixel_size_mm[0] * geometry.pixel_size_mm[1]
    result: Float = fine.reshape(geometry.rows, subsamples, geometry.columns, subsamples).mean(axis=(1, 3)) * area
    return result


def _blurred(plane: Float, sigma: float, axis: int) -> Float:
    """Return the plane blurred along an axis by a Gaussian integrated over each sample, zero beyond the edges."""
    size = plane.shape[axis]
    edges = np.arange(size + 1) - 0.5
    erf = np.vectorize(math.erf)
    cumulative = erf(edges / (sigma * math.sqrt(2)))
    one_side = (cumulative[1:] - cumulative[:-1]) / 2
    one_side[np.arange(size) > 5 * sigma + 1] = 0
    matrix = one_side[np.abs(np.arange(size)[:, None] - np.arange(size)[None, :])]
    blurred: Float = matrix @ plane if axis == 0 else plane @ matrix
    return blurred


def voxelize(bodies: Sequence[Ellipsoid], grid: VoxelGrid, subsamples: int = 3) -> Float:
    """Return the bodies on an axial grid `[z, y, x]`, in value times voxel volume."""
    fine = [(np.arange(n * subsamples) + 0.5) / subsamples - 0.5 for n in grid.shape]
    matrix = grid.matrix
    z, y, x = (fine[axis] * matrix[2 - axis, 2 - axis] + matrix[2 - axis, 3] for axis in range(3))
    total = np.zeros(tuple(n * subsamples for n in grid.shape))
    for body in bodies:
        (cx, cy, cz), (ax, ay, az) = body.center_mm, body.half_axes_mm
        square = ((z - cz) / az)[:, None, None] ** 2 + ((y - cy) / ay)[None, :, None] ** 2
        total += body.value * (square + ((x - cx) / ax)[None, None, :] ** 2 <= 1)
    shape = [size for n in grid.shape for size in (n, subsamples)]
    result: Float = total.reshape(shape).mean(axis=(1, 3, 5)) * float(np.prod(grid.voxel_mm))
    return result
