"""Reads pictures out of arrays: cubic convolution between samples, the mean over a pixel where samples are finer.

Matrix by matrix, axis after axis, so that a page with a hundred pictures takes a fraction of a second.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def spread(middle: float, size: float, count: int) -> Float:
    """Return the middles of `count` pixels that share `size` evenly about `middle`."""
    return middle + ((np.arange(count) + 0.5) / count - 0.5) * size


def interpolated(values: NDArray[np.floating], *indices: Float) -> Float:
    """Return values at fractional indices, one array of them for each axis; all combinations are returned.

    Indices must be evenly spaced. Beyond the middle of the outermost samples these go on for half a sample, then 0.
    """
    result: NDArray[np.floating] = values
    for axis in sorted(range(len(indices)), key=lambda axis: len(indices[axis])):  # the work gets smaller soonest
        index = indices[axis]
        weights = _weights(index, values.shape[axis])
        used = np.flatnonzero(weights.any(axis=0))
        near = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 1)
        part = np.moveaxis(result, axis, 0)[near].astype(np.float64)
        result = np.moveaxis(np.tensordot(weights[:, near], part, axes=(1, 0)), 0, axis)
    return np.asarray(result, dtype=np.float64)


def _weights(index: Float, count: int) -> Float:
    """Return the matrix `[index, sample]` that interpolates (Keys 1981, a = -1/2)."""
    step = abs(float(index[1] - index[0])) if len(index) > 1 else 1.0
    parts = max(1, math.ceil(step - 1e-6))
    weights = np.zeros((len(index), count))
    for offset in spread(0.0, step, parts):
        place = index + offset
        first = np.floor(place)
        part = place - first
        inside = (place >= -0.5) & (place <= count - 0.5)
        for neighbor in (-1, 0, 1, 2):
            sample = np.clip(first + neighbor, 0, count - 1).astype(np.intp)
            np.add.at(weights, (np.arange(len(index)), sample), np.where(inside, _keys(part - neighbor), 0.0) / parts)
    return weights


def _keys(distance: Float) -> Float:
    d = np.abs(distance)
    near = 1.5 * d**3 - 2.5 * d**2 + 1.0
    far = -0.5 * d**3 + 2.5 * d**2 - 4.0 * d + 2.0
    return np.where(d <= 1.0, near, np.where(d < 2.0, far, 0.0))
