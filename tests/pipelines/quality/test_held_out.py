"""Held-out counts: an honest prediction passes, painted or erased activity does not."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.quality.held_out import Float, HeldOutTest, deviance_z, held_out_test

SHAPE = (2, 16, 24, 24)  # gate, view, row, column
HEART = np.zeros(SHAPE[1:], dtype=bool)
HEART[:, 8:16, 8:16] = True
TRUE = np.where(HEART, 12.0, 3.0) + np.linspace(0.0, 1.0, SHAPE[1])[:, None, None] + np.zeros(SHAPE)


def outcome(change: Float, *, seed: int = 1) -> HeldOutTest:
    counts = np.random.default_rng(seed).poisson(TRUE).astype(np.float32)
    return held_out_test(counts, lambda kept, share: share * TRUE * change, HEART, np.random.default_rng(2))


def test_the_truth_passes_at_every_seed() -> None:
    zs = [outcome(np.ones(SHAPE), seed=seed) for seed in range(12)]
    spread = np.array([[z.deviance_z, z.heart_deviance_z, z.heart_count_z] for z in zs])
    assert np.abs(spread).max() < 3.5
    assert np.abs(spread.mean(axis=0)).max() < 1.0


def test_an_erased_tenth_of_the_heart_is_missed_counts() -> None:
    z = outcome(np.where(HEART, 0.9, 1.0))
    assert z.heart_count_z > 4.0


def test_a_painted_tenth_of_the_heart_is_invented_counts() -> None:
    z = outcome(np.where(HEART, 1.1, 1.0))
    assert z.heart_count_z < -4.0


def test_one_view_that_is_dimmed_is_named_by_its_counts() -> None:
    change = np.ones(SHAPE)
    change[:, 5] = 0.8
    assert outcome(change).worst_view_count_z > 4.0


def test_structure_that_is_flattened_shows_in_the_deviance_alone() -> None:
    flat = np.broadcast_to(TRUE.mean(axis=(2, 3), keepdims=True), SHAPE)
    z = outcome(flat / TRUE)
    assert z.deviance_z > 10.0
    assert abs(z.worst_view_count_z) < 4.0


@pytest.mark.parametrize("mean", [1e-5, 0.003, 0.2, 1.0, 7.3, 55.0, 400.0])
def test_the_deviance_of_chance_has_mean_0_and_variance_1(mean: float) -> None:
    rng = np.random.default_rng(3)
    pixels = 200_000 if mean < 0.01 else 2_000
    means = np.full(pixels, mean)
    where = np.ones(pixels, dtype=bool)
    zs = [deviance_z(rng.poisson(means), means, where) for _ in range(200)]
    assert abs(np.mean(zs)) < 0.3
    assert np.std(zs) == pytest.approx(1.0, abs=0.2)


def test_counts_that_are_not_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="whole"):
        held_out_test(np.full(SHAPE, 0.5, dtype=np.float32), lambda kept, share: kept, None, np.random.default_rng(1))
