"""Agreement of paired values over patients: correlation, Bland-Altman, tests of difference, detection. SciPy's work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """Pearson's r with its interval by Fisher's transformation."""

    r: float
    low: float
    high: float
    p: float
    number: int


@dataclass(frozen=True)
class BlandAltman:
    """Mean difference and limits of agreement (bias +- 1.96 sd), each with its 95 % interval."""

    bias: float
    low: float
    high: float
    sd: float
    bias_interval: tuple[float, float]
    low_interval: tuple[float, float]
    high_interval: tuple[float, float]
    number: int


@dataclass(frozen=True)
class PairedTest:
    """Whether paired values differ: Student's t and Wilcoxon's signed ranks; Shapiro-Wilk says which to believe."""

    mean_difference: float
    t_p: float
    wilcoxon_p: float
    shapiro_p: float  # of the differences; small: not normal
    number: int


@dataclass(frozen=True)
class UnpairedTest:
    """Whether two groups differ: Welch's t and Mann-Whitney's ranks; Shapiro-Wilk of each says which to believe."""

    mean_difference: float  # second less first
    t_p: float
    mann_whitney_p: float
    shapiro_p: tuple[float, float]  # of each group; small: not normal
    numbers: tuple[int, int]

    def p(self, level: float = 0.05) -> float:
        """Return the p value to believe: that of ranks where a group isn't normal."""
        return self.t_p if min(self.shapiro_p) >= level else self.mann_whitney_p


@dataclass(frozen=True)
class Detection:
    """Area under the ROC curve with its interval."""

    auc: float
    low: float
    high: float
    positives: int
    negatives: int


def pearson(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Correlation:
    """Return Pearson's correlation. Raises ValueError for fewer than 4 pairs or values that are all the same."""
    a, b = _pairs(first, second, 4)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ValueError("values that are all the same have no correlation")
    found = stats.pearsonr(a, b)
    interval = found.confidence_interval(confidence)
    return Correlation(float(found.statistic), float(interval.low), float(interval.high), float(found.pvalue), len(a))


def bland_altman(values: ArrayLike, reference: ArrayLike, confidence: float = 0.95) -> BlandAltman:
    """Return bias and limits of agreement of values against a reference (Bland and Altman 1986).

    The limits' standard error is sd sqrt(1/n + 1.96^2 / (2 (n - 1))). Raises ValueError for fewer than 3 pairs.
    """
    a, b = _pairs(values, reference, 3)
    difference = a - b
    number = len(difference)
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    t = float(stats.t.ppf((1 + confidence) / 2, number - 1))
    of_bias = t * sd / np.sqrt(number)
    of_limit = t * sd * np.sqrt(1 / number + 1.96**2 / (2 * (number - 1)))
    low, high = bias - 1.96 * sd, bias + 1.96 * sd
    return BlandAltman(
        bias, low, high, sd, _about(bias, of_bias), _about(low, of_limit), _about(high, of_limit), number
    )


def paired_test(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Return tests of whether paired values differ. Pairs that are all equal differ in nothing: every p is 1.

    Raises ValueError for fewer than 4 pairs, and where all differ by the same amount: no test has a spread then.
    """
    a, b = _pairs(first, second, 4)
    difference = a - b
    if not np.any(difference):
        return PairedTest(0.0, 1.0, 1.0, 1.0, len(a))
    if np.ptp(difference) <= 1e-12 * max(np.abs(a).max(), np.abs(b).max()):  # no more than rounding
        raise ValueError(f"all pairs differ by {difference[0]:g}: without a spread there is nothing to test against")
    return PairedTest(
        float(difference.mean()),
        float(stats.ttest_rel(a, b).pvalue),
        float(stats.wilcoxon(a, b).pvalue),
        float(stats.shapiro(difference).pvalue),
        len(a),
    )


def unpaired_test(first: ArrayLike, second: ArrayLike) -> UnpairedTest:
    """Return tests of whether two groups differ. Raises ValueError for fewer than 3 in one or values all the same."""
    a, b = (np.asarray(one, dtype=np.float64).ravel() for one in (first, second))
    if min(a.size, b.size) < 3 or not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        raise ValueError(f"groups of {a.size} and {b.size}: at least 3 finite values each are needed")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ValueError("a group whose values are all the same has no spread to test against")
    return UnpairedTest(
        float(b.mean() - a.mean()),
        float(stats.ttest_ind(a, b, equal_var=False).pvalue),
        float(stats.mannwhitneyu(a, b, alternative="two-sided").pvalue),
        (float(stats.shapiro(a).pvalue), float(stats.shapiro(b).pvalue)),
        (a.size, b.size),
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p values corrected for having asked so many questions (Holm 1979). Raises ValueError on what is no p."""
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise ValueError(f"a p value lies between 0 and 1: {list(p_values)}")
    if not p_values:
        return ()
    return tuple(float(p) for p in multipletests(list(p_values), method="holm")[1])


def detection(ill: ArrayLike, healthy: ArrayLike, confidence: float = 0.95) -> Detection:
    """Return how well a value tells the ill (higher) from the healthy; variance by DeLong et al. 1988.

    Where all pairs are in order (or all in reverse) DeLong's variance is 0, and an interval without width would
    promise too much: the smaller group, all told correctly, then gives the bound (Clopper and Pearson 1934).
    Raises ValueError unless there are at least 2 of each.
    """
    positive, negative = np.asarray(ill, dtype=np.float64).ravel(), np.asarray(healthy, dtype=np.float64).ravel()
    if min(positive.size, negative.size) < 2 or not np.all(np.isfinite([*positive, *negative])):
        raise ValueError("at least 2 ill and 2 healthy, all with finite values, are needed")
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    auc = float(wins.mean())
    if auc in (0.0, 1.0):
        bound = float(((1 - confidence) / 2) ** (1 / min(positive.size, negative.size)))
        low, high = (bound, 1.0) if auc == 1.0 else (0.0, 1.0 - bound)
        return Detection(auc, low, high, positive.size, negative.size)
    variance = wins.mean(axis=1).var(ddof=1) / positive.size + wins.mean(axis=0).var(ddof=1) / negative.size
    reach = float(stats.norm.ppf((1 + confidence) / 2) * np.sqrt(variance))
    return Detection(auc, max(auc - reach, 0.0), min(auc + reach, 1.0), positive.size, negative.size)


def _about(value: float, reach: float) -> tuple[float, float]:
    return float(value - reach), float(value + reach)


def _pairs(first: ArrayLike, second: ArrayLike, least: int) -> tuple[Float, Float]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"{a.shape} values and {b.shape} make no pairs")
    if len(a) < least:
        raise ValueError(f"{len(a)} pairs are too few: at least {least} are needed")
    if not np.all(np.isfinite(a)) or not np.all(np.isfinite(b)):
        raise ValueError("a pair holds a value that is not finite")
    return a, b
