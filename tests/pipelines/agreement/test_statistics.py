"""Statistics against numbers worked out by hand or printed in the literature."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.agreement.statistics import bland_altman, detection, holm, paired_test, pearson, unpaired_test

RNG = np.random.default_rng(5)


def approx(values: tuple[float, ...]) -> object:
    return pytest.approx(values)


def test_fishers_interval_of_a_correlation() -> None:
    x = RNG.normal(size=103)
    y = x + RNG.normal(size=103)
    found = pearson(x, y)
    z, reach = math.atanh(found.r), 1.959964 / math.sqrt(100)
    assert found.r == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert (found.low, found.high) == approx((math.tanh(z - reach), math.tanh(z + reach)))


def test_limits_of_agreement_by_hand() -> None:
    found = bland_altman([1.0, 3.0, 5.0, 7.0], [0.0, 1.0, 2.0, 3.0])  # differences 1, 2, 3, 4
    sd = math.sqrt(5 / 3)
    assert found.bias == pytest.approx(2.5)
    assert found.sd == pytest.approx(sd)
    assert (found.low, found.high) == approx((2.5 - 1.96 * sd, 2.5 + 1.96 * sd))
    t = 3.182446  # 97.5 % of Student's t with 3 degrees of freedom
    assert found.bias_interval == approx((2.5 - t * sd / 2, 2.5 + t * sd / 2))
    reach = t * sd * math.sqrt(1 / 4 + 1.96**2 / 6)
    assert found.high_interval == approx((found.high - reach, found.high + reach))


def test_limits_hold_ninety_five_of_a_hundred_differences() -> None:
    reference = RNG.normal(size=4000)
    found = bland_altman(reference + RNG.normal(0.3, 2.0, size=4000), reference)
    fresh = RNG.normal(0.3, 2.0, size=4000)
    assert np.mean((fresh > found.low) & (fresh < found.high)) == pytest.approx(0.95, abs=0.015)


def test_a_shift_that_all_share_is_found_and_no_shift_is_not() -> None:
    values = RNG.normal(size=35)
    noise = RNG.normal(0.0, 0.3, size=35)
    shifted, same = paired_test(values + 0.5 + noise, values), paired_test(values + noise - noise.mean(), values)
    assert max(shifted.t_p, shifted.wilcoxon_p) < 1e-6
    assert min(same.t_p, same.wilcoxon_p) > 0.3
    assert shifted.mean_difference == pytest.approx(0.5, abs=0.2)


def test_differences_with_a_long_tail_are_not_called_normal() -> None:
    assert paired_test(RNG.exponential(size=40) ** 3, np.zeros(40)).shapiro_p < 1e-4


def test_pairs_that_are_equal_differ_in_nothing() -> None:
    found = paired_test([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0])
    assert (found.t_p, found.wilcoxon_p) == (1.0, 1.0)


def test_students_t_by_hand() -> None:
    found = paired_test(
        [1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 0.0, 2.0]
    )  # differences 1, 2, 3, 4: t = 2.5 / (sd / 2) = 3.873
    assert found.t_p == pytest.approx(0.0305, abs=1e-4)
    assert found.wilcoxon_p == pytest.approx(2 / 2**4)  # of 16 ways to set the signs, 2 are as far out


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == approx((0.03, 0.06, 0.06))
    assert holm([]) == ()


def test_detection_counts_the_pairs_that_are_in_order() -> None:
    found = detection([3.0, 5.0, 2.0], [1.0, 2.0])  # 5 of 6 pairs, one of them tied: 5.5 / 6
    assert found.auc == pytest.approx(5.5 / 6)
    assert found.low < found.auc <= found.high


def test_delongs_variance_by_hand() -> None:
    found = detection([1.0, 3.0, 5.0], [0.0, 2.0, 4.0])  # placements 1/3, 2/3, 1 and 1, 2/3, 1/3: variance 1/9 each
    reach = 1.959964 * math.sqrt(1 / 27 + 1 / 27)
    assert (found.auc, found.low) == approx((2 / 3, 2 / 3 - reach))


def test_perfect_detection_in_a_few_patients_is_not_called_certain() -> None:
    found = detection([3.0, 4.0, 5.0], [0.0, 1.0, 2.0])
    assert (found.auc, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 3))  # 0.29: 3 of 3 say no more
    assert detection([0.0, 1.0, 2.0], [3.0, 4.0, 5.0]).high == pytest.approx(1 - found.low)


def test_detection_does_not_depend_on_the_scale_but_on_the_order() -> None:
    ill, healthy = RNG.normal(1.0, 1.0, size=20), RNG.normal(size=30)
    assert detection(np.exp(ill), np.exp(healthy)) == detection(ill, healthy)
    assert detection(healthy, ill).auc == pytest.approx(1 - detection(ill, healthy).auc)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pearson([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), "too few"),
        (lambda: pearson([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]), "all the same"),
        (lambda: bland_altman([1.0, 2.0], [1.0, 2.0]), "too few"),
        (lambda: paired_test([1.0] * 4, [1.0] * 5), "no pairs"),
        (lambda: pearson([1.0, 2.0, 3.0, math.inf], [1.0, 2.0, 3.0, 4.0]), "not finite"),
        (lambda: detection([1.0], [1.0, 2.0]), "at least 2"),
        (lambda: paired_test([1.1, 1.2, 1.3, 1.4], [0.6, 0.7, 0.8, 0.9]), "all pairs differ by 0.5"),
        (lambda: holm([0.5, math.nan]), "between 0 and 1"),
    ],
)
def test_what_has_no_answer_is_refused(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]


def test_groups_that_differ_are_told_apart_and_ranks_are_believed_where_one_is_not_normal() -> None:
    rng = np.random.default_rng(1)
    normal, moved, skewed = rng.normal(0, 1, 40), rng.normal(2, 1, 30), rng.lognormal(0, 1.5, 40)
    found = unpaired_test(normal, moved)
    assert found.mean_difference == pytest.approx(2.0, abs=0.5)
    assert found.p() == found.t_p < 1e-6
    assert unpaired_test(normal, rng.normal(0, 1, 40)).p() > 0.01
    off = unpaired_test(normal, skewed)
    assert off.p() == off.mann_whitney_p


@pytest.mark.parametrize("second", [[1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 2.0, np.nan]])
def test_groups_without_a_spread_are_refused(second: list[float]) -> None:
    with pytest.raises(ValueError, match="group"):
        unpaired_test([1.0, 2.0, 4.0], second)
