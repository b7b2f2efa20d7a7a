"""Soft-edged shapes on a grid: coordinates of every voxel, distances to simple bodies, and layers to paint them on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import VoxelGrid

Float = NDArray[np.float64]
Point = tuple[float, float, float]
Box = tuple[slice, slice, slice]

DEFORMATION_MARGIN_MM = 16.0  # a deformed shape reaches at most this far beyond its own box


@dataclass(frozen=True)
class Deformation:
    """A smooth random displacement, the sum of a few long waves, so that no organ is an exact ellipsoid.

    `waves` holds, per wave, the wave vector (1/mm), the phase (radian) and the displacement (mm).
    """

    waves: tuple[tuple[Point, float, Point], ...]
    fixed_mm: Point = (0.0, 0.0, 0.0)  # the place that stays where it is

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        amplitude_mm: float,
        fixed_mm: Point,
        waves: int = 5,
        wavelengths_mm: tuple[float, float] = (140.0, 400.0),
    ) -> Deformation:
        """Return a random deformation of at most about `amplitude_mm`."""
        drawn = []
        for _ in range(waves):
            direction = rng.normal(size=3)
            wave = direction / np.linalg.norm(direction) * 2 * np.pi / rng.uniform(*wavelengths_mm)
            shift = np.clip(rng.normal(size=3), -1.6, 1.6) * amplitude_mm / (1.6 * np.sqrt(waves))
            drawn.append((point_of(wave), float(rng.uniform(0, 2 * np.pi)), point_of(shift)))
        return cls(tuple(drawn), fixed_mm)

    def and_also(self, other: Deformation) -> Deformation:
        """Return both together; this one's place stays where it is."""
        return Deformation(self.waves + other.waves, self.fixed_mm)


def point_of(values: Float) -> Point:
    """Return three values as a point."""
    return float(values[0]), float(values[1]), float(values[2])


@dataclass(frozen=True)
class Placement:
    """How a patient lies in a grid's coordinates: where its own origin is, and how it is turned there."""

    origin_mm: Point = (0.0, 0.0, 0.0)
    rotation_deg: Point = (0.0, 0.0, 0.0)  # about x, then y, then z, around the origin

    @property
    def matrix(self) -> Float:
        """The 3 x 3 rotation from the patient's directions to the grid's."""
        total = np.eye(3)
        for axis, angle in enumerate(np.radians(self.rotation_deg)):
            turn, (one, two) = np.eye(3), [(1, 2), (2, 0), (0, 1)][axis]
            turn[one, one] = turn[two, two] = np.cos(angle)
            turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
            total = turn @ total
        return total

    def to_grid(self, point: Point) -> Point:
        """Return where a point of the patient lies in the grid's coordinates."""
        return point_of(self.matrix @ np.asarray(point) + np.asarray(self.origin_mm))


class Canvas:
    """The voxels of a grid: where each one lies in the patient (mm), and how large it is.

    `straight` are the coordinates x, y, z; `x`, `y`, `z` those of the deformed body. A grid has the patient's axes.
    """

    def __init__(
        self, grid: VoxelGrid, deformation: Deformation | None = None, placement: Placement | None = None
    ) -> None:
        self.grid = grid
        self.edge_mm = float(np.mean(grid.voxel_mm))
        self.placement = placement = placement or Placement()
        matrix, (slices, rows, columns) = grid.matrix, grid.shape
        counts = (columns, rows, slices)
        self.axes = tuple(
            matrix[axis, 3] + matrix[axis, axis] * np.arange(counts[axis]) - placement.origin_mm[axis]
            for axis in range(3)
        )
        turn = placement.matrix
        gx, gy, gz = self.axes[0][None, None, :], self.axes[1][None, :, None], self.axes[2][:, None, None]
        self.straight = tuple(
            np.broadcast_to(turn[0, axis] * gx + turn[1, axis] * gy + turn[2, axis] * gz, grid.shape)
            for axis in range(3)
        )
        self.x, self.y, self.z = self.straight
        if deformation is not None:
            moved = [axis.copy() for axis in self.straight]
            for wave, phase, shift in deformation.waves:
                height = self._cosine(turn @ np.asarray(wave), phase)
                height -= np.cos(float(np.dot(wave, deformation.fixed_mm)) + phase)
                for axis in range(3):
                    moved[axis] += shift[axis] * height
            self.x, self.y, self.z = moved

    def _cosine(self, wave: Float, phase: float) -> Float:
        """Return cos(wave . position + phase) on the grid, as a product of its axes."""
        x, y, z = (np.exp(1j * wave[axis] * self.axes[axis]) for axis in range(3))
        plane = np.multiply.outer(y, x) * np.exp(1j * phase)
        return np.asarray(np.multiply.outer(z.real, plane.real) - np.multiply.outer(z.imag, plane.imag))

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
    along = np.clip((dx * rod[0] + dy * rod[1] + dz * rod[2]) / max(float(rod @ rod), 1e-9), 0.0, 1.0)
    squared = (dx - along * rod[0]) ** 2 + (dy - along * rod[1]) ** 2 + (dz - along * rod[2]) ** 2
    return np.asarray(np.sqrt(squared) - radius)


class Layer:
    """Activity and mu painted over one another, and `cover`, the share of each voxel that the layer covers.

    Activity and mu are those of the covered share: laid over another image, that image keeps 1 - cover of itself.
    """

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
        self,
        start: Point,
        end: Point,
        radius: float,
        activity: float,
        mu: float,
        within: Float | None = None,
        strength: float = 1.0,
    ) -> None:
        """Paint a rod with round ends; `strength` is the share of what it covers that it fills."""
        middle = tuple((a + b) / 2 for a, b in zip(start, end, strict=True))
        reach = tuple(abs(a - b) / 2 + radius for a, b in zip(start, end, strict=True))
        box = self.canvas.box((middle[0], middle[1], middle[2]), (reach[0], reach[1], reach[2]))
        if 0 in self.mu[box].shape:
            return
        canvas = self.canvas
        share = strength * canvas.coverage(capsule(canvas.x[box], canvas.y[box], canvas.z[box], start, end, radius))
        if within is not None:
            share = share * within[box]
        self.fill(share, activity, mu, box)


@dataclass(frozen=True)
class Texture:
    """A smooth random pattern of mean 0 and standard deviation 1 that belongs to the patient, not to a grid."""

    seed: int
    spacing_mm: float = 14.0
    reach_mm: float = 308.0

    def on(self, canvas: Canvas) -> Float:
        """Return the pattern on a canvas `[z, y, x]`."""
        size = 2 * int(self.reach_mm / self.spacing_mm) + 1
        lattice = np.random.default_rng(self.seed).normal(size=(size, size, size)) * 1.6  # interpolation evens out
        for axis in (2, 1, 0):  # the last of the three axes comes first each time, and goes to the front
            place = np.clip((canvas.axes[axis] + self.reach_mm) / self.spacing_mm, 0.0, size - 1.001)
            low = place.astype(np.int64)
            part = place - low
            lattice = np.moveaxis(lattice, 0, -1)
            lattice = lattice[..., low] * (1.0 - part) + lattice[..., low + 1] * part
        return lattice
