"""A wall of known shape as a camera shows it: a cut hollow spheroid, blurred by a Gaussian.

Blur moves the wall's ridge inward, the more the smaller the heart; a thick wall's ridge lies outside its middle; the
base blurs away. Rather than correct each, a model of the wall is blurred and measured by the very code that measures
the image, until both measure the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipelines.cardiac.heart_frame import APICAL_HALF_WALL_MM, Float, Spheroid
from pipelines.cardiac.sampling import Sampler
from pipelines.cardiac.ventricle_shape import HALF_WALL_MM

APICAL_SHARE = APICAL_HALF_WALL_MM / HALF_WALL_MM  # of the free wall's thickness
STEP_MM = 2.0
SMALLEST_CAVITY_MM = 1.0  # half-width that is left when a wall would close
_RADII = (np.arange(40) + 0.5) * STEP_MM
_HEIGHTS = np.arange(-60, 56) * STEP_MM


@dataclass(frozen=True)
class Shell:
    """The wall in one gate, about the long axis; mm, places along it from the summed image's middle.

    `middle`, `half_width` and `half_length` are those of the spheroid through the middle of the wall.
    """

    middle: float
    half_width: float
    half_length: float
    valve_plane: float
    half_wall: float  # of the free wall

    @property
    def cavity_ml(self) -> float:
        """Volume inside the endocardium, up to the valve plane."""
        return self._inside_ml(-1.0)

    @property
    def wall_ml(self) -> float:
        """Volume of the wall, up to the valve plane."""
        return self._inside_ml(1.0) - self._inside_ml(-1.0)

    def _inside_ml(self, side: float) -> float:
        width, length = self.edge(side)
        start = min(max(self.valve_plane - self.middle, -length), length)
        height = length - start - (length**3 - start**3) / (3.0 * length**2)
        return math.pi * width**2 * height / 1000.0

    def edge(self, side: float) -> tuple[float, float]:
        """Return half-width and half-length of the endocardium (-1) or the epicardium (+1)."""
        width = max(self.half_width + side * self.half_wall, SMALLEST_CAVITY_MM)
        return width, max(self.half_length + side * APICAL_SHARE * self.half_wall, SMALLEST_CAVITY_MM)

    def with_wall(self, wall_ml: float) -> Shell:
        """Return the same spheroid with so much wall about it."""
        low, high = 0.5, 25.0
        for _ in range(24):
            half = (low + high) / 2.0
            thinner = self._with_half_wall(half).wall_ml < wall_ml
            low, high = (half, high) if thinner else (low, half)
        return self._with_half_wall((low + high) / 2.0)

    def _with_half_wall(self, half_wall: float) -> Shell:
        return Shell(self.middle, self.half_width, self.half_length, self.valve_plane, half_wall)


class ShellImage(Sampler):
    """The blurred image of a shell; its values are read like those of a volume. 1 is a wall without blur."""

    def __init__(self, shell: Shell, blur_mm: float, frame: Spheroid) -> None:
        table = _around(blur_mm) @ _wall(shell) @ _along(blur_mm).T
        self._table = np.pad(table, ((0, 3), (2, 3)))
        self._middle, self._axis = np.asarray(frame.middle), np.asarray(frame.axis)

    def cubic(self, places_mm: Float) -> Float:
        """Return the values at LPS places; the image is smooth, so that linear interpolation serves."""
        return self.linear(places_mm)

    def linear(self, places_mm: Float) -> Float:
        """Return the values at LPS places `[..., 3]`."""
        offset = places_mm - self._middle
        height = offset @ self._axis
        radius = np.sqrt(np.maximum((offset**2).sum(axis=-1) - height**2, 0.0))
        rows, columns = self._table.shape
        row = np.clip(np.abs(radius / STEP_MM - 0.5), 0.0, rows - 2.001)
        column = np.clip((height - _HEIGHTS[0]) / STEP_MM + 2.0, 0.0, columns - 2.001)
        i, j = row.astype(np.int64), column.astype(np.int64)
        a, b, t = row - i, column - j, self._table
        near = (1.0 - b) * t[i, j] + b * t[i, j + 1]
        return np.asarray((1.0 - a) * near + a * ((1.0 - b) * t[i + 1, j] + b * t[i + 1, j + 1]))


def _wall(shell: Shell) -> Float:
    """Return the share of wall `[radius, height]`, soft over a step at its edges."""
    along, radius = _HEIGHTS[None, :] - shell.middle, _RADII[:, None]

    def depth(side: float) -> Float:
        width, length = shell.edge(side)
        level = np.sqrt((along / length) ** 2 + (radius / width) ** 2)
        slope = np.sqrt((along / length**2) ** 2 + (radius / width**2) ** 2)
        return np.asarray((level - 1.0) * level / np.maximum(slope, 1e-9))

    outside = np.maximum(np.maximum(depth(1.0), -depth(-1.0)), shell.valve_plane - shell.middle - along)
    return np.asarray(np.clip(0.5 - outside / STEP_MM, 0.0, 1.0))


def _around(blur_mm: float) -> Float:
    """Return the matrix that blurs an image across its axis of symmetry: a ring's Gaussian is a Bessel function I0."""
    product = _RADII[:, None] * _RADII[None, :] / blur_mm**2
    nearness = np.exp(-0.5 * ((_RADII[:, None] - _RADII[None, :]) / blur_mm) ** 2)
    return np.asarray(nearness * np.i0(product) * np.exp(-product) * _RADII[None, :] * STEP_MM / blur_mm**2)


def _along(blur_mm: float) -> Float:
    """Return the matrix that blurs an image along its axis."""
    apart = (_HEIGHTS[:, None] - _HEIGHTS[None, :]) / blur_mm
    return np.asarray(np.exp(-0.5 * apart**2) * STEP_MM / (blur_mm * math.sqrt(2.0 * math.pi)))
