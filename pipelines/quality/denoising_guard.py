"""What the guard looks at in denoised projections: held-out counts, counts per view, agreement of the networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Projections
from pipelines.networks.denoise import Denoised
from pipelines.quality.guard import Check
from pipelines.quality.held_out import Predict, held_out_test

HEART_RADIUS_MM = 60.0
_SPLITS, _SPLITS_OF_GATED = 4, 1  # a gated study holds eight times the pixels

CHECKS = (
    Check("deviance_z", "the denoised projections don't foretell photons that were held out"),
    Check("heart_deviance_z", "in the heart, the denoised projections don't foretell photons that were held out"),
    Check("heart_count_z", "the denoiser changes the heart's counts"),
    Check("view_count_z", "the denoiser changes the counts of a view"),
    Check("count_factor_percent", "a view's counts had to be corrected after denoising"),
    Check("heart_spread_percent", "the networks disagree about the heart"),
)


def guard_figures(
    projections: Projections,
    denoised: Denoised,
    predict: Predict,
    heart: NDArray[np.bool_] | None,
    rng: np.random.Generator,
) -> Mapping[str, float]:
    """Return the figures of `CHECKS` for an acquisition; the larger, the stranger.

    `heart` masks the pixels `[view, row, column]` that show the heart, None: it was not found. `predict` denoises
    counts of the photopeak `[gate, view, row, column]` to their own expectation.
    """
    splits = _SPLITS if projections.gates == 1 else _SPLITS_OF_GATED
    test = held_out_test(projections.photopeak_counts(), predict, heart, rng, splits)
    expected = denoised.expected.photopeak_counts().sum(axis=0, dtype=np.float64)
    spread = denoised.spread[projections.photopeak].sum(axis=0, dtype=np.float64)
    where = np.ones(expected.shape, dtype=bool) if heart is None else heart
    factors = denoised.count_factor[projections.photopeak]
    return {
        "deviance_z": max(test.deviance_z, 0.0),
        "heart_deviance_z": max(test.heart_deviance_z, 0.0),
        "heart_count_z": abs(test.heart_count_z),
        "view_count_z": abs(test.worst_view_count_z),
        "count_factor_percent": 100.0 * float(np.abs(factors - 1.0).max()),
        "heart_spread_percent": 100.0 * float(spread[where].sum() / max(expected[where].sum(), 1e-9)),
    }
