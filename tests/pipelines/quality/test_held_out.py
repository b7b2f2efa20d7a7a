"""Held-out counts: an honest prediction passes at every dose, painted or erased activity does not."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import AcquisitionGeometry
from pipelines.quality.heart_shadow import HeartPlaces, heart_shadow
from pipelines.quality.held_out import Float, HeldOutTest, held_out_test

GEOMETRY = AcquisitionGeometry(tuple(225.0 - 11.25 * view for view in range(16)), (6.4, 6.4), 32, 32)
SHAPE = (16, 32, 32)  # view, row, column
HEART = heart_shadow(GEOMETRY, (30.0, -20.0, 10.0), 40.0)
PLACES = HeartPlaces.of(GEOMETRY, HEART)
TRUE = np.where(HEART, 24.0, 6.0) + np.linspace(0.0, 1.0, SHAPE[0])[:, None, None] + np.zeros(SHAPE)
SAME = np.ones(SHAPE)


def outcome(change: Float, *, seed: int = 1, dose: float = 1.0) -> HeldOutTest:
    counts = np.random.default_rng(seed).poisson(dose * TRUE).astype(np.float32)
    predict = lambda kept, share: share * dose * TRUE * change  # noqa: E731
    return held_out_test(counts, predict, HEART, PLACES, np.random.default_rng(2))


@pytest.mark.parametrize("dose", [1.0, 1 / 8, 1 / 64])
def test_the_truth_passes_at_every_seed_and_dose(dose: float) -> None:
    tests = [outcome(SAME, seed=seed, dose=dose) for seed in range(12)]
    found = np.array([[one.misfit, one.heart_misfit, one.heart_counts] for one in tests])
    assert np.abs(found).max() < 3.5
    assert np.abs(found.mean(axis=0)).max() < 1.0
    assert max(abs(one.heart_place_counts) for one in tests) < 5.0
    assert max(one.view_misfit for one in tests) < 5.0


def test_an_erased_tenth_of_the_heart_is_missed_counts() -> None:
    assert outcome(np.where(HEART, 0.9, 1.0)).heart_counts > 10.0


def test_a_painted_tenth_of_the_heart_is_invented_counts() -> None:
    assert outcome(np.where(HEART, 1.1, 1.0)).heart_counts < -10.0


def test_what_is_painted_at_one_place_is_found_though_the_heart_keeps_its_counts() -> None:
    there, elsewhere = (heart_shadow(GEOMETRY, (30.0 + x, -20.0, 10.0), 13.0) for x in (20.0, -20.0))
    test = outcome(np.where(there, 1.3, np.where(elsewhere, 0.7, 1.0)))
    assert abs(test.heart_counts) < 4.0
    assert abs(test.heart_place_counts) > 6.0


def test_one_view_that_shows_something_else_is_found_though_it_keeps_its_counts() -> None:
    change = SAME.copy()
    change[5] = np.roll(TRUE[5], 3, axis=1) / TRUE[5]
    assert outcome(change).view_misfit > 4.0 * outcome(SAME).view_misfit


def test_structure_that_is_flattened_is_a_misfit() -> None:
    flat = np.broadcast_to(TRUE.mean(axis=(1, 2), keepdims=True), SHAPE)
    test = outcome(flat / TRUE)
    assert test.misfit > 10.0
    assert test.heart_misfit > 10.0


def test_a_prediction_that_is_off_by_the_same_share_stands_out_alike_at_every_dose_that_shows_it() -> None:
    change = np.where(HEART, 0.97, 1.0)
    figures = [outcome(change, dose=dose).heart_counts for dose in (16.0, 64.0, 256.0)]
    assert max(figures) < 1.5 * min(figures)  # where a z score would double each time


def test_without_a_heart_there_is_no_word_on_it() -> None:
    counts = np.random.default_rng(1).poisson(TRUE).astype(np.float32)
    test = held_out_test(counts, lambda kept, share: share * TRUE, None, None, np.random.default_rng(2))
    assert abs(test.misfit) < 3.5
    assert np.isnan([test.heart_misfit, test.heart_counts, test.heart_place_counts]).all()


@pytest.mark.parametrize("wrong", [np.full(SHAPE, 0.5), np.full(SHAPE, -1.0), np.ones(SHAPE[1:])])
def test_counts_that_are_not_whole_are_refused(wrong: Float) -> None:
    with pytest.raises(ValueError, match="whole"):
        held_out_test(
            wrong.astype(np.float32), lambda kept, share: kept.astype(np.float64), None, None, np.random.default_rng(1)
        )


def test_an_empty_view_that_is_foretold_empty_is_no_misfit() -> None:
    empty = np.where(np.arange(SHAPE[0])[:, None, None] == 5, 0.0, TRUE)
    counts = np.random.default_rng(1).poisson(empty).astype(np.float32)
    test = held_out_test(counts, lambda kept, share: share * empty, HEART, PLACES, np.random.default_rng(2))
    assert abs(test.view_misfit) < 5.0
