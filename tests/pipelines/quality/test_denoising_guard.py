"""The guard's figures of a denoised acquisition: what they notice, and what can't be tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Projections
from pipelines.networks.denoise import denoise
from pipelines.quality.denoising_guard import CHECKS, guard_figures
from pipelines.quality.heart_shadow import heart_shadow
from tests.pipelines.networks.shared import a_denoiser
from tests.pipelines.training.studies import a_study

STUDY = a_study(1, views=30, rows=24, columns=24)
HEART = heart_shadow(STUDY.geometry, (10.0, 0.0, 0.0), 40.0)


def figures(
    study: Projections = STUDY, heart: NDArray[np.bool_] | None = HEART, members: tuple[int, ...] = (1, 2)
) -> Mapping[str, float]:
    networks = [a_denoiser(seed) for seed in members]

    def predict(kept: NDArray[np.float32], share: float) -> NDArray[np.float64]:
        thinned = replace(study, counts=kept[None, None])
        return denoise(thinned, 1.0, networks).expected.photopeak_counts()[0].astype(np.float64)

    return guard_figures(study, denoise(study, 1.0, networks), predict, heart, np.random.default_rng(1))


def test_there_is_a_figure_for_each_check_and_the_same_every_time() -> None:
    first = figures()
    assert list(first) == [check.figure for check in CHECKS]
    assert np.isfinite(list(first.values())).all()
    assert figures() == first


def test_random_weights_are_noticed_everywhere() -> None:
    found = figures()
    assert found["misfit"] > 5.0
    assert found["count_factor"] > 1.5
    assert found["heart_spread_percent"] > 1.0


def test_a_single_network_agrees_with_itself() -> None:
    assert figures(members=(1,))["heart_spread_percent"] == 0.0


def test_without_a_heart_what_concerns_it_is_not_a_number() -> None:
    found = figures(heart=None)
    unknown = {name for name, value in found.items() if np.isnan(value)}
    assert unknown == {"heart_misfit", "heart_counts", "heart_place_counts", "heart_spread_percent"}


def test_counts_that_are_not_whole_leave_the_held_out_test_undone() -> None:
    found = figures(replace(STUDY, counts=0.9 * STUDY.counts))
    assert np.isnan(found["misfit"])
    assert np.isfinite(found["count_factor"])
