"""Does a prediction agree with counts that it never saw? A fifth of the measured photons is held out and compared.

Photons that are drawn at random from a Poisson measurement are independent of the rest. A denoiser that sees four
fifths must therefore foretell the last fifth to within Poisson's law; where it paints or erases, it doesn't.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Array

Float = NDArray[np.float64]
Predict = Callable[[Array, float], Float]  # counts that were kept, their share of all -> what was expected to be kept

KEPT = 0.8
SPLITS = 4
_TABLE_MEANS = np.geomspace(1e-4, 60.0, 400)
_LOWEST_MEAN = 1e-6  # a prediction of nothing at all would make one count infinitely unlikely


@dataclass(frozen=True)
class HeldOutTest:
    """How far the held-out counts lie from the prediction, in standard deviations; means over several splits.

    A count z above 0 says that fewer counts were predicted than measured, one below 0 that counts were invented.
    """

    deviance_z: float  # pixel by pixel, whole field of view
    heart_deviance_z: float
    heart_count_z: float
    worst_view_count_z: float  # largest magnitude over the views


def held_out_test(
    counts: Array,
    predict: Predict,
    heart: NDArray[np.bool_] | None,
    rng: np.random.Generator,
    splits: int = SPLITS,
) -> HeldOutTest:
    """Test a prediction on whole counts `[gate, view, row, column]`.

    `heart` masks the pixels `[view, row, column]` that show the heart; `predict(kept, share)` returns the expected
    value of `kept`. Raises ValueError on counts that aren't whole.
    """
    whole = np.rint(counts).astype(np.int64)
    if counts.ndim != 4 or np.abs(counts - whole).max(initial=0.0) > 1e-3 or whole.min(initial=0) < 0:
        raise ValueError("photons can be held out of whole, positive counts [gate, view, row, column] alone")
    heart = np.broadcast_to(False if heart is None else heart, counts.shape)
    rows = np.array([_one_split(whole, predict, heart, rng) for _ in range(splits)])
    deviance, heart_deviance, heart_count = rows[:, :3].mean(axis=0)
    views = rows[:, 3:].mean(axis=0)
    return HeldOutTest(
        float(deviance), float(heart_deviance), float(heart_count), float(views[np.argmax(np.abs(views))])
    )


def _one_split(
    whole: NDArray[np.int64], predict: Predict, heart: NDArray[np.bool_], rng: np.random.Generator
) -> list[float]:
    kept = rng.binomial(whole, KEPT)
    held = whole - kept
    expected = np.asarray(predict(kept.astype(np.float32), KEPT), dtype=np.float64) * (1.0 - KEPT) / KEPT
    expected = np.maximum(expected, _LOWEST_MEAN)
    everywhere = np.ones_like(heart)
    by_view = [_count_z(held[:, view], expected[:, view]) for view in range(held.shape[1])]
    return [
        deviance_z(held, expected, everywhere),
        deviance_z(held, expected, heart),
        _count_z(held[heart], expected[heart]),
        *by_view,
    ]


def _count_z(counts: NDArray[np.int64], mean: Float) -> float:
    total = float(mean.sum())
    return (float(counts.sum()) - total) / np.sqrt(total) if total > 0 else 0.0


def deviance_z(counts: NDArray[np.int64], mean: Float, where: NDArray[np.bool_]) -> float:
    """Return Poisson's deviance of counts against their means, less what chance makes of it, over its sd.

    At the few counts of a pixel the limit of chi squared is wrong; expectation and variance are computed exactly.
    """
    chosen, means = counts[where].astype(np.float64), mean[where]
    if chosen.size == 0:
        return 0.0
    logs = np.where(chosen > 0, chosen * np.log(np.maximum(chosen, 1.0) / means), 0.0)
    deviance = 2.0 * (logs - chosen + means)
    expected, variance = _moments(means)
    return float((deviance - expected).sum() / np.sqrt(variance.sum()))


def _moments(means: Float) -> tuple[Float, Float]:
    """Return expectation and variance of the deviance of a Poisson count of each mean."""
    table_expected, table_variance = _moment_table()
    place = np.log(np.clip(means, _TABLE_MEANS[0], _TABLE_MEANS[-1]))
    expected = np.interp(place, np.log(_TABLE_MEANS), table_expected)
    variance = np.interp(place, np.log(_TABLE_MEANS), table_variance)
    # where more than one count hardly ever happens, none weighs 2 mean and one 2 (mean - 1 - ln mean)
    one = 2.0 * (means - 1.0 - np.log(means))
    faint = means < _TABLE_MEANS[0]
    return np.where(faint, means * (one + 2.0), expected), np.where(faint, means * one**2, variance)


@cache
def _moment_table() -> tuple[Float, Float]:
    """Return expectation and variance of the deviance at `_TABLE_MEANS`, summed over all counts that can happen."""
    counts = np.arange(0.0, 200.0)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    means = _TABLE_MEANS[:, None]
    chance = np.exp(counts * np.log(means) - means - log_factorial)
    logs = np.where(counts > 0, counts * np.log(np.maximum(counts, 1.0) / means), 0.0)
    deviance = 2.0 * (logs - counts + means)
    expected = (chance * deviance).sum(axis=1)
    return expected, (chance * deviance**2).sum(axis=1) - expected**2
