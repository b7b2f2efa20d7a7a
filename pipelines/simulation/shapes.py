"""Soft-edged shapes on a grid: coordinates of every voxel, distances to simple bodies, and layers to paint them on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import VoxelGrid

Float = NDArray[np.float64]
Point = tuple[float, float, float]
Box = tuple[slice, slice, slice]

DEFORMATION_MARGIN_MM = 14.0  # a deformed shape reaches at most this far beyond its own box


@dataclass(frozen=True)
class Deformation:
    """A smooth random displacement, the sum of a few long waves, so that no organ is an exact ellipsoid.

    `waves` holds, per wave, the wave vector (1/mm), the phase (radian) and the displacement (mm).
    """

    waves: tuple[tuple[Point, float, Point], ...]
    fixed_mm: Point = (0.0, 0.0, 0.0)  # the place that stays where it is

    @classmethod
    def draw(cls, rng: np.random.Generator, amplitude_mm: float, fixed_mm: Point, waves: int = 5) -> Deformation:
        """Return a random deformation of at most about `amplitude_mm`, with wavelengths of 140 to 400 mm."""
        drawn = []
        for _ in range(waves):
            direction = rng.normal(size=3)
            wave = direction / np.linalg.norm(direction) * 2 * np.pi / rng.uniform(140.0, 400.0)
            shift = np.clip(rng.normal(size=3), -1.6, 1.6) * amplitude_mm / (1.6 * np.sqrt(waves))
            drawn.append((_point(wave), float(rng.uniform(0, 2 * np.pi)), _point(shift)))
        return cls(tuple(drawn), fixed_mm)

    def displacement_mm(self, x: Float, y: Float, z: Float) -> tuple[Float, Float, Float]:
        """Return the displacement of each point along x, y and z."""
        moved = [np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape)) for _ in range(3)]
        for wave, phase, shift in self.waves:
            angle = wave[0] * x + wave[1] * y + wave[2] * z + phase
            still = float(np.dot(wave, self.fixed_mm)) + phase
            height = np.cos(angle) - np.cos(still)
            for axis in range(3):
                moved[axis] += shift[axis] * height
        return moved[0], moved[1], moved[2]


def _point(values: Float) -> Point:
    return float(values[0]), float(values[1]), float(values[2])


class Canvas:
    """The voxels of a grid: where each one lies in the patient (`x`, `y`, `z`, mm) and how large it is."""

    def __init__(
        self, grid: VoxelGrid, deformation: Deformation | None = None, origin_mm: Point = (0.0, 0.0, 0.0)
    ) -> None:
        """Lay the grid into a patient whose own origin stands at `origin_mm` of the grid's coordinates."""
        self.grid = grid
        self.edge_mm = float(np.mean(grid.voxel_mm))
        matrix, (slices, rows, columns) = grid.matrix, grid.shape
        counts = (columns, rows, slices)
        self.axes = tuple(
            matrix[axis, 3] + matrix[axis, axis] * np.arange(counts[axis]) - origin_mm[axis] for axis in range(3)
        )
        flat = self.axes[0][None, None, :], self.axes[1][None, :, None], self.axes[2][:, None, None]
        self.straight = tuple(np.broadcast_to(axis, grid.shape) for axis in flat)
        if deformation is None:
            self.x, self.y, self.z = self.straight
        else:
            self.x, self.y, self.z = (a + d for a, d in zip(flat, deformation.displacement_mm(*flat), strict=True))

    def box(self, center: Point, reach: Point) -> Box:
        """Return the slices of the grid that hold everything within `reach` (x, y, z) of `center`."""
        found = []
        for axis in (2, 1, 0):
            margin = reach[axis] + DEFORMATION_MARGIN_MM
            inside = np.nonzero(np.abs(self.axes[axis] - center[axis]) <= margin)[0]
            found.append(slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0))
        return found[0], found[1], found[2]

    def coverage(self, distance_mm: Float) -> Float:
        """Return the share of each voxel that lies inside a surface, from the distance to it (negative inside)."""
        return np.clip(0.5 - distance_mm / self.edge_mm, 0.0, 1.0)


def ellipsoid(x: Float, y: Float, z: Float, center: Point, half: Point) -> Float:
    """Return the approximate distance (mm, negative inside) to an ellipsoid's surface; first order at the surface."""
    ux, uy, uz = (x - center[0]) / half[0], (y - center[1]) / half[1], (z - center[2]) / half[2]
    radius = np.sqrt(ux * ux + uy * uy + uz * uz)
    slope = np.sqrt((ux / half[0]) ** 2 + (uy / half[1]) ** 2 + (uz / half[2]) ** 2)
    return np.asarray((radius - 1.0) * radius / np.maximum(slope, 1e-9))


def super_ellipse(x: Float, y: Float, half_x: Float | float, half_y: Float | float, power: float) -> Float:
    """Return the distance along the ray from the middle to a super-ellipse's outline (mm, negative inside)."""
    level = (np.abs(x / half_x) ** power + np.abs(y / half_y) ** power) ** (1.0 / power)
    return np.asarray(np.hypot(x, y) * (1.0 - 1.0 / np.maximum(level, 1e-6)))


def capsule(x: Float, y: Float, z: Float, start: Point, end: Point, radius: float) -> Float:
    """Return the distance (mm, negative inside) to a rod with round ends."""
    rod = np.subtract(end, start)
    dx, dy, dz = x - start[0], y - start[1], z - start[2]
    along = np.clip((dx * rod[0] + dy * rod[1] + dz * rod[2]) / float(rod @ rod), 0.0, 1.0)
    squared = (dx - along * rod[0]) ** 2 + (dy - along * rod[1]) ** 2 + (dz - along * rod[2]) ** 2
    return np.asarray(np.sqrt(squared) - radius)


class Layer:
    """Activity and mu painted over one another, and the share of each voxel that the layer covers."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.activity = np.zeros(canvas.grid.shape)
        self.mu = np.zeros(canvas.grid.shape)
        self.cover = np.zeros(canvas.grid.shape)

    def fill(self, share: Float, activity: Float | float, mu: Float | float, box: Box | None = None) -> None:
        """Paint `share` (0..1) of each voxel in `box` with this activity and mu."""
        where = box or (slice(None), slice(None), slice(None))
        for image, value in ((self.activity, activity), (self.mu, mu), (self.cover, 1.0)):
            image[where] += share * (value - image[where])

    def ellipsoid(
        self, center: Point, half: Point, activity: float, mu: float, within: Float | None = None
    ) -> Float | None:
        """Paint an ellipsoid, only `within` a share `[z, y, x]` if given."""
        box = self.canvas.box(center, half)
        if 0 in self.mu[box].shape:
            return None
        canvas = self.canvas
        share = canvas.coverage(ellipsoid(canvas.x[box], canvas.y[box], canvas.z[box], center, half))
        if within is not None:
            share = share * within[box]
        self.fill(share, activity, mu, box)
        return share

    def capsule(
        self, start: Point, end: Point, radius: float, activity: float, mu: float, within: Float | None = None
    ) -> None:
        """Paint a rod with round ends."""
        middle = tuple((a + b) / 2 for a, b in zip(start, end, strict=True))
        reach = tuple(abs(a - b) / 2 + radius for a, b in zip(start, end, strict=True))
        box = self.canvas.box((middle[0], middle[1], middle[2]), (reach[0], reach[1], reach[2]))
        if 0 in self.mu[box].shape:
            return
        canvas = self.canvas
        share = canvas.coverage(capsule(canvas.x[box], canvas.y[box], canvas.z[box], start, end, radius))
        if within is not None:
            share = share * within[box]
        self.fill(share, activity, mu, box)
