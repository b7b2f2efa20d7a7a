"""Analytic hearts: a cut hollow spheroid with a known place and axis, blurred as a camera does, in a faint body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume

Float = NDArray[np.float64]
Point = tuple[float, float, float]

CAMERA_FWHM_MM = 14.0
USUAL_GRID = VoxelGrid.axial((64, 64, 64), (6.4, 6.4, 6.4), (0.0, 0.0, 0.0))
NEAR_GRID = VoxelGrid.axial((36, 36, 36), (6.4, 6.4, 6.4), (45.0, -30.0, 10.0))  # the usual heart alone: found faster


def axis_at(azimuth_deg: float, elevation_deg: float) -> Float:
    """Return the unit vector from base to apex: so far to the left of straight ahead, so far down (LPS)."""
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    level = np.cos(elevation)
    return np.array([level * np.sin(azimuth), -level * np.cos(azimuth), -np.sin(elevation)])


@dataclass(frozen=True)
class Heart:
    """A left ventricle with its middle at `middle`; lengths in mm, of the middle of the wall."""

    middle: Point = (45.0, -30.0, 10.0)
    axis: Float = field(default_factory=lambda: axis_at(45.0, 25.0))
    half_width: float = 26.0
    half_length: float = 48.0
    wall: float = 10.0
    base: float = -26.0  # of the valve plane along the axis
    uptake: Callable[[Float], Float] | None = None  # of the direction from the middle, LPS unit vectors `[..., 3]`

    @property
    def base_mm(self) -> Float:
        return np.asarray(self.middle) + self.base * self.axis

    @property
    def center_mm(self) -> Float:
        """Halfway from the valve plane to the endocardial apex."""
        return np.asarray(self.middle) + (self.base + self.half_length - self.wall / 2) / 2 * self.axis

    def activity(self, places: Float) -> Float:
        """Return the share of wall at LPS places, soft over 3 mm at its edges."""
        offset = places - np.asarray(self.middle)
        along = offset @ self.axis
        radius = np.sqrt(np.maximum((offset**2).sum(axis=-1) - along**2, 0.0))
        half = self.wall / 2

        def depth(width: float, length: float) -> Float:
            level = np.sqrt((along / length) ** 2 + (radius / width) ** 2)
            slope = np.sqrt((along / length**2) ** 2 + (radius / width**2) ** 2)
            return (level - 1.0) * level / np.maximum(slope, 1e-9)

        outer = depth(self.half_width + half, self.half_length + half)
        inner = depth(self.half_width - half, self.half_length - half)
        outside = np.maximum(np.maximum(outer, -inner), self.base - along)
        share = np.clip(0.5 - outside / 3.0, 0.0, 1.0)
        if self.uptake is None:
            return share
        return share * self.uptake(offset / np.maximum(np.linalg.norm(offset, axis=-1, keepdims=True), 1e-9))


def places_of(grid: VoxelGrid) -> Float:
    z, y, x = np.meshgrid(*(np.arange(size, dtype=np.float64) for size in grid.shape), indexing="ij")
    return np.stack([x, y, z], axis=-1) @ grid.matrix[:3, :3].T + grid.matrix[:3, 3]


def body(grid: VoxelGrid) -> Float:
    """Return a faint even cylinder along the patient."""
    places = places_of(grid)
    return 0.06 * ((places[..., 0] / 170) ** 2 + (places[..., 1] / 120) ** 2 < 1.0)


def ball(grid: VoxelGrid, middle: Point, radius: float, height: float) -> Float:
    """Return a hot ball."""
    distance = np.linalg.norm(places_of(grid) - np.asarray(middle), axis=-1)
    return height * np.clip(0.5 - (distance - radius) / 6.0, 0.0, 1.0)


def blurred(values: Float, grid: VoxelGrid, fwhm_mm: float = CAMERA_FWHM_MM) -> Float:
    """Return values seen through a camera, by Fourier's transform."""
    sigma = fwhm_mm / 2.3548
    spectrum = np.fft.fftn(values)
    for axis, size in enumerate(grid.voxel_mm):
        damping = np.exp(-2.0 * (np.pi * sigma * np.fft.fftfreq(grid.shape[axis], size)) ** 2)
        spectrum *= damping.reshape([-1 if a == axis else 1 for a in range(3)])
    return np.fft.ifftn(spectrum).real


def seen(heart: Heart | None, grid: VoxelGrid = USUAL_GRID, *others: Float) -> Volume:
    """Return the image of a heart in a body, with what else lies there."""
    values = body(grid) + sum(others, np.zeros(grid.shape))
    if heart is not None:
        # Mean over a few places in each voxel: the wall is hardly wider than one.
        places = places_of(grid)
        shifts = (np.stack(np.meshgrid(*[[-0.25, 0.25]] * 3), axis=-1).reshape(-1, 3)) @ grid.matrix[:3, :3].T
        values = values + np.mean([heart.activity(places + shift) for shift in shifts], axis=0)
    image = np.maximum(blurred(values, grid), 0.0)
    return Volume((100.0 * image).astype(np.float32), grid, Unit.PROPORTIONAL_COUNTS)


def angle_deg(left: Float | Point, right: Float | Point) -> float:
    """Return the angle between two directions."""
    a, b = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1.0, 1.0))))


def without(direction: Float, half_angle_deg: float, left: float) -> Callable[[Float], Float]:
    """Return an uptake of 1, but `left` within an angle of a direction (LPS) seen from the ventricle's middle."""
    toward = direction / np.linalg.norm(direction)

    def uptake(directions: Float) -> Float:
        away = np.degrees(np.arccos(np.clip(directions @ toward, -1.0, 1.0)))
        return left + (1.0 - left) / (1.0 + np.exp(-(away - half_angle_deg) / 3.0))

    return uptake
