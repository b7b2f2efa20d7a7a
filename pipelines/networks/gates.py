"""The gates of a denoised study: each one's share of all gates, and the beat as it was measured.

In a single pixel of a single gate the beat lies below the noise. Whatever is nearest to the truth there on average, a
network or any other estimate, leaves the beat out and makes all gates alike. So no estimate is asked: the sum of the
gates is denoised, and how each gate differs from its share of that sum is taken from the measurement. Only what the
camera can't resolve or the heart can't do is filtered out of it.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Array
from pipelines.neighbors import REACH
from pipelines.networks.low_pass import butterworth, low_passed

Float = NDArray[np.float64]

HARMONICS = 3  # of the heart rate: as many as the curve of volumes has (`cardiac.gated_function`)
CUTOFF_CYCLES_PER_CM, ORDER = 0.53, 10  # the gates' reconstruction shows nothing finer (`cardiac.gated_function`)
_BESIDE = 0.25  # weight of each of the two views beside a view


def gates_of(whole: Array, counts: Array, neighbors: NDArray[np.int64], pixel_size_mm: tuple[float, float]) -> Array:
    """Return gates `[gate, view, row, column]` without noise whose sum is the denoised `whole` `[view, row, column]`.

    `counts` are the gates as measured, on the same scale; `neighbors` are as `neighbor_views` gives them, pixels are
    rows' and columns' distance. The sum of what is returned is `whole` in every pixel, and nothing is negative.
    """
    if len(counts) == 1:
        return whole[None]
    share = counts.sum(axis=(1, 2, 3), dtype=np.float64) / max(float(counts.sum(dtype=np.float64)), 1.0)
    expected = share[:, None, None, None] * whole + beat(counts, neighbors, pixel_size_mm)
    np.maximum(expected, 0.0, out=expected)
    total = expected.sum(axis=0)
    # below zero nothing is counted: where a gate ended there, the sum has grown
    expected *= whole / np.maximum(total, np.finfo(np.float32).tiny)
    return np.asarray(expected, dtype=np.float32)


def beat(counts: Array, neighbors: NDArray[np.int64], pixel_size_mm: tuple[float, float]) -> Float:
    """Return how gates `[gate, view, row, column]` differ from their share of all gates; the sum over them is 0.

    Kept are the first harmonics of the heart rate, the mean of three neighboring views, and the frequencies that a
    gate's reconstruction shows.
    """
    moving = _harmonics(difference(counts))
    moving = (1.0 - 2.0 * _BESIDE) * moving + _BESIDE * (
        moving[:, neighbors[:, REACH - 1]] + moving[:, neighbors[:, REACH + 1]]
    )
    resolved = functools.partial(butterworth, cutoff_per_cm=CUTOFF_CYCLES_PER_CM, order=ORDER)
    return low_passed(moving, pixel_size_mm, resolved)


def difference(counts: Array | Float) -> Float:
    """Return how each gate `[gate, view, row, column]` differs from its share of all gates, unfiltered."""
    gates = counts.astype(np.float64)
    share = gates.sum(axis=(1, 2, 3), keepdims=True) / max(float(gates.sum()), 1.0)
    return np.asarray(gates - share * gates.sum(axis=0))


def _harmonics(moving: Float) -> Float:
    waves = np.fft.rfft(moving, axis=0)
    waves[0] = 0.0
    waves[HARMONICS + 1 :] = 0.0
    return np.fft.irfft(waves, len(moving), axis=0)
