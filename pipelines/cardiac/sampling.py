"""Reads a volume between its voxels (linear and cubic) and smooths it by Gaussians of a width in mm. numpy alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import VoxelGrid
from pipelines.images import Volume

Float = NDArray[np.float64]

FWHM_PER_SIGMA = math.sqrt(8.0 * math.log(2.0))


class Sampler:
    """A volume that can be asked for its value at any place; zero outside of its voxels."""

    def __init__(self, values: NDArray[np.floating], grid: VoxelGrid) -> None:
        self._values = np.pad(values, 3).astype(np.float64)
        self._strides = (self._values.shape[1] * self._values.shape[2], self._values.shape[2])
        self._flat = self._values.ravel()
        inverse = np.linalg.inv(grid.matrix)
        self._to_index, self._origin = inverse[:3, :3][::-1].T, inverse[:3, 3][::-1] + 3.0

    @classmethod
    def of(cls, volume: Volume, fwhm_mm: float = 0.0) -> Sampler:
        """Return a sampler of the volume, smoothed by a Gaussian of this width if asked."""
        values = smoothed(volume.values, volume.grid.voxel_mm, fwhm_mm) if fwhm_mm else volume.values
        return cls(values, volume.grid)

    def linear(self, places_mm: Float) -> Float:
        """Return the values at LPS places `[..., 3]` by trilinear interpolation."""
        return self._weighted(places_mm, (0, 1), lambda part: (1.0 - part, part))

    def cubic(self, places_mm: Float) -> Float:
        """Return the values at LPS places `[..., 3]` by tricubic convolution (Keys 1981, a = -1/2)."""
        return self._weighted(places_mm, (-1, 0, 1, 2), _keys)

    def _weighted(
        self, places_mm: Float, steps: tuple[int, ...], weights_of: Callable[[Float], tuple[Float, ...]]
    ) -> Float:
        index = places_mm @ self._to_index + self._origin
        # Beyond the padding everything is zero; the clip keeps the neighbours inside.
        index = np.clip(index, 1.0, np.array(self._values.shape) - 3.0)
        whole = np.floor(index)
        part = index - whole
        # axis by axis, each an array of its own: numpy reads that faster than every third number of one
        in_z, in_y, in_x = (weights_of(np.ascontiguousarray(part[..., axis])) for axis in range(3))
        z, y, x = (whole[..., axis].astype(np.int64) for axis in range(3))
        first = z * self._strides[0] + y * self._strides[1] + x
        total = np.zeros(first.shape)
        for weight_z, step_z in zip(in_z, steps, strict=True):
            for weight_y, step_y in zip(in_y, steps, strict=True):
                plane = weight_z * weight_y
                row = first + (step_z * self._strides[0] + step_y * self._strides[1])
                for weight_x, step_x in zip(in_x, steps, strict=True):
                    total += plane * weight_x * self._flat.take(row + step_x)
        return total


def _keys(part: Float) -> tuple[Float, Float, Float, Float]:
    square, cube = part**2, part**3
    return (
        -0.5 * part + square - 0.5 * cube,
        1.0 - 2.5 * square + 1.5 * cube,
        0.5 * part + 2.0 * square - 1.5 * cube,
        -0.5 * square + 0.5 * cube,
    )


def voxel_centers(grid: VoxelGrid) -> Float:
    """Return the LPS place `[z, y, x, 3]` of each voxel."""
    z, y, x = np.meshgrid(*(np.arange(size, dtype=np.float64) for size in grid.shape), indexing="ij")
    return np.asarray(np.stack([x, y, z], axis=-1) @ grid.matrix[:3, :3].T + grid.matrix[:3, 3])


def smoothed(values: NDArray[np.floating], voxel_mm: tuple[float, float, float], fwhm_mm: float) -> Float:
    """Return values `[z, y, x]` blurred by a Gaussian; the borders repeat."""
    result = values.astype(np.float64)
    for axis, size in enumerate(voxel_mm):
        blur = _blur_matrix(values.shape[axis], fwhm_mm / FWHM_PER_SIGMA / size)
        result = np.moveaxis(np.tensordot(blur, result, axes=(1, axis)), 0, axis)
    return result


def _blur_matrix(count: int, sigma: float) -> Float:
    """Return the matrix that blurs a line of `count` values by a Gaussian of `sigma` voxels."""
    places = np.arange(count)
    reach = math.ceil(4.0 * sigma)
    matrix = np.zeros((count, count))
    for step in range(-reach, reach + 1):
        np.add.at(
            matrix, (places, np.clip(places + step, 0, count - 1)), math.exp(-0.5 * (step / max(sigma, 1e-9)) ** 2)
        )
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))
