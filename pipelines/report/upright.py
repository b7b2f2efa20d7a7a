"""A volume turned to the patient's axes, so that its planes can be shown as physicians are used to see them.

Transaxial planes are seen from the feet, coronal ones from the front, sagittal ones from the left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.heart_frame import Point
from pipelines.images import Volume
from pipelines.report.sampling import Float, interpolated

_CHEST_MM = ((-35.0, 135.0), (-105.0, 65.0))  # left-right and front-back about the axis: holds most hearts
_EDGE, _BRIGHT = 0.35, 0.6  # of the height, of the brightest: hearts are put in the middle of the field of view


@dataclass(frozen=True)
class UprightVolume:
    """Values whose axes run [feet to head, front to back, right to left]; the rest is in the same order."""

    values: NDArray[np.floating]
    voxel_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]  # of the first voxel

    @classmethod
    def of(cls, volume: Volume) -> UprightVolume:
        """Turn a volume by whole quarter turns to the patient's axes that its own are nearest to."""
        matrix = volume.grid.matrix
        steps = matrix[:3, 2::-1]  # columns: what a step along array axis z, y, x does to patient x, y, z
        order = [int(np.argmax(np.abs(steps[axis]))) for axis in (2, 1, 0)]
        if len(set(order)) < 3:
            order = [0, 1, 2]
        backward = [steps[axis, k] < 0 for axis, k in zip((2, 1, 0), order, strict=True)]
        values = np.flip(volume.values.transpose(order), tuple(k for k, turned in enumerate(backward) if turned))
        z_mm, y_mm, x_mm = (volume.grid.voxel_mm[k] for k in order)
        last = volume.grid.position_mm(*(count - 1 for count in volume.grid.shape))
        first = volume.grid.position_mm(0, 0, 0)
        x, y, z = (float(min(pair)) for pair in zip(first, last, strict=True))
        return cls(values, (z_mm, y_mm, x_mm), (z, y, x))

    @property
    def center_mm(self) -> Point:
        """The middle of the volume (x, y, z)."""
        z, y, x = (self.origin_mm[k] + self.voxel_mm[k] * (self.values.shape[k] - 1) / 2 for k in range(3))
        return x, y, z

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Edge lengths of the volume (z, y, x)."""
        z, y, x = (self.voxel_mm[k] * self.values.shape[k] for k in range(3))
        return z, y, x

    def at(self, z_mm: Float, y_mm: Float, x_mm: Float) -> Float:
        """Return the values at all combinations of these positions."""
        places = zip((z_mm, y_mm, x_mm), self.origin_mm, self.voxel_mm, strict=True)
        return interpolated(self.values, *((place - first) / step for place, first, step in places))

    def span(self, axis: int, low_mm: float, high_mm: float) -> slice:
        """Return the voxels of an axis between two positions relative to the volume's middle."""
        count, size = self.values.shape[axis], self.voxel_mm[axis]
        middle = (count - 1) / 2
        return slice(max(int(middle + low_mm / size), 0), max(min(int(middle + high_mm / size) + 1, count), 1))

    def chest(self) -> NDArray[np.floating]:
        """Return the left front chest, all slices."""
        return self.values[:, self.span(1, *_CHEST_MM[1]), self.span(2, *_CHEST_MM[0])]

    def chest_center_mm(self) -> tuple[float, float]:
        """Return the middle (x, y) of the left front chest."""
        x, y, _ = self.center_mm
        return x + sum(_CHEST_MM[0]) / 2, y + sum(_CHEST_MM[1]) / 2

    def brightest_mm(self) -> Point:
        """Return the place about which the brightest of the left front chest lies: a choice of planes, no finding."""
        slices = self.values.shape[0]
        edge = round(slices * _EDGE) if slices > 2 else 0  # beyond it thyroid, liver and gut may outshine the heart
        part = self.chest()[edge : slices - edge]
        if part.size == 0 or float(part.max()) <= 0.0:
            return self.center_mm
        z, row, column = np.median(np.argwhere(part > _BRIGHT * float(part.max())), axis=0)
        index = (z + edge, row + self.span(1, *_CHEST_MM[1]).start, column + self.span(2, *_CHEST_MM[0]).start)
        place = [self.origin_mm[k] + self.voxel_mm[k] * index[k] for k in range(3)]
        return float(place[2]), float(place[1]), float(place[0])
