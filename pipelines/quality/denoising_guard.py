"""What the guard looks at in denoised projections: held-out counts, counts per view, agreement of the networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Projections
from pipelines.networks.denoise import Denoised
from pipelines.quality.dispersion import holds_whole_counts
from pipelines.quality.guard import Check
from pipelines.quality.heart_shadow import HeartPlaces
from pipelines.quality.held_out import PLACE_TOLERANCE, HeldOutTest, Predict, held_out_test

HEART_RADIUS_MM = 60.0

CHECKS = (
    Check("misfit", "the denoised projections don't foretell photons that were held out"),
    Check("view_misfit", "a view doesn't foretell photons that were held out of it"),
    Check("heart_misfit", "in the heart, the denoised projections don't foretell photons that were held out"),
    Check("heart_counts", "the denoiser changes the heart's counts"),
    Check("heart_place_counts", "the denoiser adds or removes activity at a place in the heart"),
    Check("count_factor", "a view's counts had to be corrected after denoising"),
    Check("heart_spread_percent", "the networks disagree about the heart"),
)
_UNTESTED = HeldOutTest(*(float("nan"),) * 5)


def guard_figures(
    projections: Projections,
    denoised: Denoised,
    predict: Predict,
    heart: NDArray[np.bool_] | None,
    rng: np.random.Generator,
) -> Mapping[str, float]:
    """Return the figures of `CHECKS` for an acquisition; the larger, the stranger. NaN is what could not be tested.

    They concern all gates together, for that is what networks see. `heart` masks the pixels `[view, row, column]` that
    show the heart, None: it was not found. `predict` denoises counts of the photopeak `[view, row, column]` to their
    own expectation.
    """
    counts = projections.photopeak_counts().sum(axis=0)
    places = None if heart is None else HeartPlaces.of(projections.geometry, heart)
    test = _UNTESTED
    if holds_whole_counts(counts):
        test = held_out_test(counts, predict, heart, places, rng)
    return {
        "misfit": test.misfit,
        "view_misfit": test.view_misfit,
        "heart_misfit": test.heart_misfit,
        "heart_counts": abs(test.heart_counts),
        "heart_place_counts": abs(test.heart_place_counts),
        "count_factor": _count_factor(projections, denoised),
        "heart_spread_percent": _spread_percent(projections, denoised, heart),
    }


def why_untested(projections: Projections, heart: NDArray[np.bool_] | None) -> str:
    """Return in words why some of the figures are NaN; empty if none is."""
    if not holds_whole_counts(projections.photopeak_counts()):
        return "the counts are not whole"
    if heart is None:
        return "no left ventricle was found"
    return "" if heart.any(axis=(1, 2)).all() else "some views don't show the left ventricle"


def _count_factor(projections: Projections, denoised: Denoised) -> float:
    """Return how far the worst view's prediction was off, in units of chance and tolerance (as in `held_out`)."""
    counted = projections.photopeak_counts().sum(axis=(0, 2, 3), dtype=np.float64)
    off = np.abs(denoised.count_factor[projections.photopeak] - 1.0)
    return float((off / np.sqrt(1.0 / np.maximum(counted, 1.0) + PLACE_TOLERANCE**2)).max())


def _spread_percent(projections: Projections, denoised: Denoised, heart: NDArray[np.bool_] | None) -> float:
    """Return the networks' mean standard deviation in the heart, in % of its counts."""
    if heart is None:
        return float("nan")
    expected = denoised.expected.photopeak_counts().sum(axis=0, dtype=np.float64)
    spread = denoised.spread[projections.photopeak]
    return 100.0 * float(spread[heart].sum(dtype=np.float64) / max(expected[heart].sum(), 1e-9))
