"""Does a prediction agree with counts that it never saw? A fifth of the measured photons is held out and compared.

Photons that are drawn at random from a Poisson measurement are independent of the rest. A denoiser that sees four
fifths must therefore foretell the last fifth to within Poisson's law; where it paints or erases, it doesn't.

Each difference is given in units of its chance: the standard deviation of counting and, besides, a tolerance, a share
of the counts themselves. At few counts that is a z score; at many, where every prediction is off by more than chance,
it is the share by which it is off. So one limit serves every dose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Array
from pipelines.quality.dispersion import holds_whole_counts
from pipelines.quality.heart_shadow import HeartPlaces

Float = NDArray[np.float64]
Predict = Callable[[Array, float], Float]  # counts that were kept, their share of all -> what was expected to be kept

KEPT = 0.8
SPLITS = 4
# What sound networks are off by on virtual patients, whatever the dose; as shares of counts
HEART_TOLERANCE = 0.003
PLACE_TOLERANCE = 0.01  # of a place in the heart, or of a view
MISFIT_TOLERANCE = 0.003  # of squared counts: a twentieth, squared
_EVEN = 0.5  # counts; below it a pixel has little say in the misfit, for there chance is all
_NOTHING = 1e-9  # counts: where a view is empty, nothing differs
_BLUR_MM = 10.0  # over which counts are gathered at a place in the heart


@dataclass(frozen=True)
class HeldOutTest:
    """How far held-out counts lie from the prediction, in units of chance and tolerance; means over several splits.

    Counts above 0 say that fewer were predicted than measured, those below 0 that counts were invented. What concerns
    the heart is NaN where no heart was found.
    """

    misfit: float  # squared error of the prediction, whole field of view
    view_misfit: float  # of the worst view
    heart_misfit: float
    heart_counts: float
    heart_place_counts: float  # largest in magnitude over places in the heart, gathered from all views


def held_out_test(
    counts: Array,
    predict: Predict,
    heart: NDArray[np.bool_] | None,
    places: HeartPlaces | None,
    rng: np.random.Generator,
) -> HeldOutTest:
    """Test a prediction on whole counts `[view, row, column]`.

    `heart` masks the pixels `[view, row, column]` that show the heart, `places` lie in it; `predict(kept, share)`
    returns the expected value of `kept`. Raises ValueError on counts that aren't whole.
    """
    if counts.ndim != 3 or not holds_whole_counts(counts):
        raise ValueError("photons can be held out of whole, positive counts [view, row, column] alone")
    whole = np.rint(counts).astype(np.int64)
    sums = [_one_split(whole, predict, heart, places, rng) for _ in range(SPLITS)]
    # held-out sets of two splits share a fifth of their photons: their mean varies by so much less than one of them
    calmer = np.sqrt(SPLITS / (1.0 + (1.0 - KEPT) * (SPLITS - 1)))
    mean = _Sums(*(np.mean([getattr(one, name) for one in sums], axis=0) for name in _Sums.__dataclass_fields__))
    by_place = _in_chances(mean.places, PLACE_TOLERANCE, calmer)
    by_view = _in_chances(mean.views, MISFIT_TOLERANCE, calmer)
    return HeldOutTest(
        misfit=float(_in_chances(mean.views.sum(axis=1), MISFIT_TOLERANCE, calmer)),
        view_misfit=float(by_view.max()),
        heart_misfit=float(_in_chances(mean.heart, MISFIT_TOLERANCE, calmer)),
        heart_counts=float(_in_chances(mean.heart_counts, HEART_TOLERANCE, calmer)),
        heart_place_counts=float(by_place[np.argmax(np.abs(by_place))]),
    )


@dataclass(frozen=True)
class _Sums:
    """Sums of one split, each `[3, ...]`: the difference, its variance by chance, and what tolerance is a share of."""

    views: Float  # misfit [3, view]
    heart: Float
    heart_counts: Float
    places: Float  # [3, place]


def _in_chances(sums: Float, tolerance: float, calmer: float) -> Float:
    difference, variance, whole = sums
    spread = np.sqrt(variance / calmer**2 + (tolerance * whole) ** 2)
    return np.asarray(difference / np.maximum(spread, _NOTHING))


def _one_split(
    whole: NDArray[np.int64],
    predict: Predict,
    heart: NDArray[np.bool_] | None,
    places: HeartPlaces | None,
    rng: np.random.Generator,
) -> _Sums:
    kept = rng.binomial(whole, KEPT)
    held = (whole - kept).astype(np.float64)
    expected = np.asarray(predict(kept.astype(np.float32), KEPT), dtype=np.float64) * (1.0 - KEPT) / KEPT
    misfit = _misfit(held, expected)
    error = held - expected
    views = misfit.sum(axis=(2, 3))
    if heart is None or places is None:
        return _Sums(views, np.full(3, np.nan), np.full(3, np.nan), np.full((3, 1), np.nan))
    return _Sums(
        views,
        (misfit * heart).sum(axis=(1, 2, 3)),
        np.array([error[heart].sum(), expected[heart].sum(), expected[heart].sum()]),
        places.gathered(error, expected, _BLUR_MM),
    )


def _misfit(held: Float, expected: Float) -> Float:
    """Return per pixel the squared error of the prediction, its variance by chance, and the squared counts `[3, ...]`.

    (n - m)^2 - n has the mean d^2 for Poisson counts n whose true mean is m + d, and the variance 2 m^2 for d = 0. The
    weights 1 / (m + 1/2) give bright pixels their due and faint ones no say.
    """
    weight = 1.0 / (expected + _EVEN)
    return np.stack([weight * ((held - expected) ** 2 - held), 2.0 * (weight * expected) ** 2, weight * expected**2])
