"""Held-out counts: the truth is foretold with an error of 1, everything else with more, hot spots included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.evaluation.own_studies.held_out_counts import GAUSSIANS_MM, HeldOutCounts, best_gaussian, smoothed
from pipelines.images import Projections
from pipelines.simulation.acquisition import thin
from tests.pipelines.training.studies import a_study, expected_counts

DOSE = 0.25


def split(seed: int = 0, heart: NDArray[np.bool_] | None = None) -> tuple[HeldOutCounts, Projections]:
    """Return what was taken of a study with a known expectation, and what was left."""
    full = a_study(0)
    counts = np.random.default_rng([seed, 7]).poisson(expected_counts(0))
    counted = replace(full, counts=counts[None].astype(np.float32))
    rng = np.random.default_rng(seed)
    low = thin(counted, DOSE, rng)
    return HeldOutCounts.of(counted, low, heart, rng), low


TRUTH = (1.0 - DOSE) * expected_counts(0)


def test_the_true_expectation_has_the_error_1_and_its_spread_is_told() -> None:
    judged = [split(seed)[0].judge(TRUTH).squared_error for seed in range(40)]
    values, chance = np.array([one.value for one in judged]), judged[0].chance
    assert values.mean() == pytest.approx(1.0, abs=4 * chance / np.sqrt(40))
    assert values.std() == pytest.approx(chance, rel=0.4)


def test_a_wrong_prediction_adds_its_own_error() -> None:
    wrong = 1.2 * TRUTH
    weight = 1.0 / (wrong + 0.5)
    added = (weight * (wrong - TRUTH) ** 2).sum() / (weight * TRUTH).sum()
    judged = split()[0].judge(wrong)
    assert judged.squared_error.value == pytest.approx(1.0 + added, abs=4 * judged.squared_error.chance)
    assert judged.brightest_percent.value == pytest.approx(20.0, abs=5 * judged.brightest_percent.chance)


def test_the_brightest_pixels_are_not_chosen_by_the_counts_that_judge_them() -> None:
    found = [split(seed)[0].judge(TRUTH).brightest_percent for seed in range(40)]
    assert np.mean([one.value for one in found]) == pytest.approx(0.0, abs=4 * found[0].chance / np.sqrt(40))


def test_hot_spots_that_are_smoothed_away_are_noticed() -> None:
    held_out, low = split()
    flat = (1.0 - DOSE) / DOSE * smoothed(low.photopeak_counts(), 25.0, (6.4, 6.4))
    judged = held_out.judge(flat)
    assert judged.brightest_percent.value < -10.0
    assert judged.squared_error.value > 1.2


def test_the_heart_is_judged_for_itself() -> None:
    heart = np.zeros((12, 24, 24), dtype=bool)
    heart[:, 8:16, 8:16] = True
    wrong = np.where(heart, 0.9, 1.0) * TRUTH
    judged = split(heart=heart)[0].judge(wrong)
    assert judged.heart_counts_percent is not None
    assert judged.heart_squared_error is not None
    assert judged.heart_counts_percent.value == pytest.approx(-10.0, abs=4 * judged.heart_counts_percent.chance)
    assert judged.heart_squared_error.value > judged.squared_error.value
    assert split()[0].judge(wrong).heart_squared_error is None


def test_the_rows_at_the_detectors_ends_are_judged_for_themselves() -> None:
    wrong = TRUTH.copy()
    wrong[:, :, :3] *= 2.0
    judged, true = (split()[0].judge(predicted) for predicted in (wrong, TRUTH))
    assert true.edge_squared_error.value == pytest.approx(1.0, abs=4 * true.edge_squared_error.chance)
    assert judged.edge_squared_error.value - true.edge_squared_error.value > 4 * true.edge_squared_error.chance
    assert judged.squared_error.value - true.squared_error.value < 0.2


def test_the_noise_is_the_error_of_the_true_expectation() -> None:
    errors = [
        (held_out.noise_rmse, np.sqrt(np.mean((held_out.counts - TRUTH) ** 2))) for held_out, _ in map(split, range(10))
    ]
    noise, error = np.mean(errors, axis=0)
    assert noise == pytest.approx(error, rel=0.02)


def test_a_filter_keeps_what_is_even_and_leaves_empty_rows_empty() -> None:
    counts = np.zeros((1, 2, 20, 16))
    counts[..., 4:14, 2:] = 5.0
    blurred = smoothed(counts, 15.0, (6.4, 6.4))
    assert np.allclose(blurred, counts)


def test_the_best_gaussian_is_better_than_all_others() -> None:
    held_out, low = split()
    odds = (1.0 - DOSE) / DOSE
    chosen, predicted = best_gaussian(low, odds, held_out)
    best = held_out.judge(predicted).squared_error.value
    for fwhm in set(GAUSSIANS_MM) - {chosen}:
        other = odds * smoothed(low.photopeak_counts(), fwhm, (6.4, 6.4))
        assert held_out.judge(other).squared_error.value > best
