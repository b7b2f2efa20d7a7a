"""Samples the left ventricle's wall: fits the ridge of the wall around its spheroid, takes the highest count across it.

The result is a polar map `[ring, angle]`; its convention stands in `segments`. numpy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.heart_frame import LeftVentricle, Spheroid
from pipelines.cardiac.sampling import Sampler
from pipelines.cardiac.segments import ANGLES, RINGS, angles_deg, ring_places
from pipelines.cardiac.wall_fit import ridge_of
from pipelines.images import Volume

Float = NDArray[np.float64]

FIT_FWHM_MM = 5.0
# The wall's last millimetres show how its edge blurs into the atrium rather than how it is perfused.
BASAL_MARGIN_MM = 8.0
HALF_WALL_MM = 6.0  # the highest count is taken within so much of the ridge
STEP_MM = 1.5
SMOOTH_RINGS, SMOOTH_ANGLES = 2.0, 5.0  # sd, in samples, of the ridge's smoothing
STRAY_MM = 7.0  # the ridge stays so near to the spheroid
REST_WEIGHT = 0.05  # pull of the spheroid where no ridge is seen


@dataclass(frozen=True)
class PolarMap:
    """The wall's counts `[ring, angle]`, as the volume has them, and the area (mm^2) that each sample stands for."""

    counts: Float
    area_mm2: Float
    ridge_mm: Float  # [ring, angle]: how far outside the spheroid the wall was followed

    def __post_init__(self) -> None:
        shapes = {self.counts.shape, self.area_mm2.shape, self.ridge_mm.shape}
        if shapes != {(RINGS, ANGLES)}:
            raise ValueError(f"a polar map is {RINGS} rings x {ANGLES} angles, not {sorted(shapes)}")
        if not np.all(np.isfinite(self.counts)) or float(self.area_mm2.min()) <= 0.0:
            raise ValueError("a polar map holds finite counts on a wall that has an area")


def polar_map(volume: Volume, ventricle: LeftVentricle) -> PolarMap:
    """Return the polar map of a ventricle in a volume by maximal-count sampling (Germano et al. 1995)."""
    polar, area = _rings(ventricle)
    polar, angle = np.meshgrid(polar, angles_deg(), indexing="ij")
    ridge = ridge_of(Sampler.of(volume, FIT_FWHM_MM), ventricle.ridge, polar, angle)
    weight = ridge.weight + REST_WEIGHT
    offset = _smoothed(ridge.offset_mm * ridge.weight) / _smoothed(weight)
    offset = np.clip(offset, -STRAY_MM, STRAY_MM)
    places, normals = ventricle.ridge.surface(polar, angle)
    across = offset[..., None] + np.arange(-HALF_WALL_MM, HALF_WALL_MM + STEP_MM / 2, STEP_MM)
    profile = Sampler.of(volume).cubic(places[..., None, :] + across[..., None] * normals[..., None, :])
    counts = np.maximum(profile.max(axis=-1), 0.0)
    return PolarMap(counts, np.repeat(area[:, None], ANGLES, axis=1), offset)


def _rings(ventricle: LeftVentricle) -> tuple[Float, Float]:
    """Return the parametric angle (radians from the apex) of each ring's middle, and the area of one of its samples."""
    spheroid = ventricle.ridge
    end = np.clip((ventricle.valve_plane_mm + BASAL_MARGIN_MM) / spheroid.half_length, -0.95, 0.5)
    fine = np.linspace(0.0, math.acos(float(end)), 2001)
    length = np.concatenate([[0.0], np.cumsum(_arc(spheroid, (fine[1:] + fine[:-1]) / 2) * np.diff(fine))])
    polar = np.interp(ring_places() * length[-1], length, fine)
    area = spheroid.half_width * np.sin(polar) * 2 * math.pi / ANGLES * length[-1] / RINGS
    return polar, area


def _arc(spheroid: Spheroid, polar: Float) -> Float:
    """Return the length of arc per radian of the parametric angle."""
    return np.asarray(np.hypot(spheroid.half_length * np.sin(polar), spheroid.half_width * np.cos(polar)))


def _smoothed(values: Float) -> Float:
    """Return a polar map blurred along rings and around them; across the apex it goes on at the other side."""
    reach = math.ceil(3 * SMOOTH_RINGS)
    beyond_apex = np.roll(values[:reach][::-1], ANGLES // 2, axis=1)
    padded = np.concatenate([beyond_apex, values, np.repeat(values[-1:], reach, axis=0)])
    steps = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (steps / SMOOTH_RINGS) ** 2)
    along = sum(k * padded[reach + s : reach + s + RINGS] for k, s in zip(kernel / kernel.sum(), steps, strict=True))
    waves = np.fft.rfftfreq(ANGLES)
    damping = np.exp(-2.0 * (math.pi * SMOOTH_ANGLES * waves) ** 2)
    return np.asarray(np.fft.irfft(np.fft.rfft(along, axis=1) * damping, ANGLES, axis=1))


def as_disk(values: Float, size: int = 256, outside: float = math.nan) -> Float:
    """Return a polar map as a picture `[row, column]`: apex in the middle, anterior up, septum left."""
    line = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    right, up = np.meshgrid(line, -line)
    radius, angle = np.hypot(right, up), np.mod(np.degrees(np.arctan2(up, right)), 360.0)
    ring = np.minimum((radius * RINGS).astype(np.int64), RINGS - 1)
    column = np.minimum((angle / 360.0 * ANGLES).astype(np.int64), ANGLES - 1)
    return np.where(radius <= 1.0, values[ring, column], outside)
