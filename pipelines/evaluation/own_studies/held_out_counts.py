"""How well are the photons foretold that thinning took away? Errors in units of Poisson's law: 1 can't be beaten.

Thinning splits the counts N of a study into x, which are kept, and h = N - x, which are held out: independent Poisson
counts with the means p λ and (1 - p) λ. Of a prediction m of h, Σ w (h - m)² is Σ w h on average where m is the true
mean, whatever that is, and larger by Σ w d² where it is off by d (the guard's measure, `pipelines/quality/held_out`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipelines.images import Projections

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

GAUSSIANS_MM = (4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0)  # full widths at half maximum that are tried
EDGE_ROWS = 3  # at each end, among those with counts: a camera's field of view ends as sharply as nothing in the body
BRIGHTEST = 0.01  # of all pixels: where hot spots are looked for
_EVEN = 0.5  # counts; below it a pixel has little say, for there chance is all
_SEEK_MM = 8.0  # full width of the filter before the brightest pixels are sought
_FWHM = float(np.sqrt(8 * np.log(2)))  # of a Gaussian with an sd of 1
_NOTHING = 1e-9


@dataclass(frozen=True)
class Measured:
    """A figure, and the standard deviation that counting alone gives it."""

    value: float
    chance: float


@dataclass(frozen=True)
class HeldOut:
    """How a prediction fares with held-out counts; of the heart None where no ventricle is known."""

    squared_error: Measured  # over that of Poisson's law: 1 for a perfect prediction
    edge_squared_error: Measured  # the same in the rows at both ends of the detector
    heart_squared_error: Measured | None
    heart_counts_percent: Measured | None  # predicted less measured, in the shadow of the heart
    brightest_percent: Measured  # the same in the brightest pixels


@dataclass(frozen=True)
class HeldOutCounts:
    """Counts `[gate, view, row, column]` that were taken away, and where they are looked at.

    One half of them says which pixels are the brightest, the other half what these hold: were it the same half,
    its own noise would be among what makes them bright.
    """

    counts: Float
    heart: Mask | None  # [view, row, column]
    brightest: Mask  # [gate, view, row, column]
    second_half: Float

    @classmethod
    def of(cls, full: Projections, low: Projections, heart: Mask | None, rng: np.random.Generator) -> HeldOutCounts:
        """Return what thinning took from the photopeak of a study."""
        counts = full.photopeak_counts().astype(np.float64) - low.photopeak_counts()
        first = rng.binomial(counts.astype(np.int64), 0.5)
        smooth = smoothed(first, _SEEK_MM, full.geometry.pixel_size_mm)
        brightest = smooth >= np.quantile(smooth, 1.0 - BRIGHTEST)
        return cls(counts, heart, brightest, counts - first)

    @property
    def noise_rmse(self) -> float:
        """Root of the mean squared error in counts that Poisson's law alone gives the best prediction."""
        return float(np.sqrt(self.counts.mean()))

    def judge(self, predicted: Float) -> HeldOut:
        """Return how a prediction of the counts `[gate, view, row, column]` fares."""
        weight = 1.0 / (predicted + _EVEN)
        parts = np.stack(
            [weight * (self.counts - predicted) ** 2, weight * self.counts, 2.0 * (weight * predicted) ** 2]
        )
        inside = None if self.heart is None else np.broadcast_to(self.heart, predicted.shape)
        return HeldOut(
            squared_error=_over_chance(parts.reshape(3, -1)),
            edge_squared_error=_over_chance(parts[..., self._edges(), :].reshape(3, -1)),
            heart_squared_error=None if inside is None else _over_chance(parts[:, inside]),
            heart_counts_percent=None if inside is None else _percent(predicted[inside], self.counts[inside]),
            brightest_percent=_percent(0.5 * predicted[self.brightest], self.second_half[self.brightest]),
        )

    def _edges(self) -> list[int]:
        """Return the first and the last rows that hold counts."""
        rows = np.flatnonzero(self.counts.any(axis=(0, 1, 3))).tolist()
        return sorted({*rows[:EDGE_ROWS], *rows[-EDGE_ROWS:]})


def _over_chance(parts: Float) -> Measured:
    error, noise, variance = parts.sum(axis=1)
    return Measured(float(error / max(noise, _NOTHING)), float(np.sqrt(variance) / max(noise, _NOTHING)))


def _percent(predicted: Float, measured: Float) -> Measured:
    counted = max(float(measured.sum()), 1.0)
    return Measured(100.0 * (float(predicted.sum()) / counted - 1.0), 100.0 / float(np.sqrt(counted)))


def smoothed(counts: NDArray[np.generic], fwhm_mm: float, pixel_size_mm: Sequence[float]) -> Float:
    """Return frames `[..., row, column]` after a Gaussian.

    Rows and columns that never count belong to no detector: nothing bleeds into them.
    """
    values = counts.astype(np.float64)
    seen = values.reshape(-1, *values.shape[-2:]).sum(axis=0)
    detector = (np.outer(seen.any(axis=1), seen.any(axis=0))).astype(np.float64)
    sigmas = [fwhm_mm / _FWHM / size for size in pixel_size_mm]
    blurred = gaussian_filter(values, (0.0,) * (values.ndim - 2) + tuple(sigmas), mode="constant")
    share = gaussian_filter(detector, sigmas, mode="constant")
    return np.asarray(np.where(detector > 0, blurred / np.maximum(share, _NOTHING), 0.0))


def best_gaussian(low: Projections, odds: float, held_out: HeldOutCounts) -> tuple[float, Float]:
    """Return the Gaussian that foretells held-out counts best, as full width in mm, and its prediction.

    `odds` is (1 - p) / p. Chosen by the very counts that judge it: an advantage that no department could give it.
    """
    size = low.geometry.pixel_size_mm
    tried = [(fwhm, odds * smoothed(low.photopeak_counts(), fwhm, size)) for fwhm in GAUSSIANS_MM]
    return min(tried, key=lambda one: held_out.judge(one[1]).squared_error.value)
