"""Retraining at another site: a camera that is new, patients who are new, and a table that says what was gained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.evaluation.denoising import retraining
from pipelines.evaluation.denoising.record import Dose
from pipelines.evaluation.denoising.retraining import ALONE, RETRAINED, SHIPPED, Sample
from pipelines.networks.model_card import SHIPPED as FOLDER
from pipelines.networks.model_card import read_card
from tests.pipelines.training.studies import a_training_study


def a_sample(patient: int, denoiser: str, rmse: float, dose: str = "half") -> Sample:
    return Sample(patient, dose, denoiser, rmse, 4.0, 20.0)


def test_patients_who_are_tested_are_not_learned_from() -> None:
    learn, test = retraining.site_split(retraining.plans(91, 8, 4))
    assert (len(learn), len(test)) == (8, 4)
    assert not {plan.patient for plan in learn} & {plan.patient for plan in test}


def test_the_site_counts_less_with_a_camera_that_the_shipped_networks_never_saw() -> None:
    plan = retraining.plans(91, 2, 2)[0]
    full, expected = retraining.counted(plan)
    assert full.counts.sum() == pytest.approx(expected.counts.sum(), rel=0.01)
    assert np.array_equal(full.counts, np.rint(full.counts))
    assert full.geometry.views not in read_card(FOLDER / "denoiser.json").domain["views"]  # type: ignore[operator]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """Train for a second on small studies; return the folder, and the numbers of the networks that were told of."""
    folder, told = tmp_path_factory.mktemp("site"), list[int]()
    studies = [a_training_study(seed) for seed in range(3)]
    retraining.train_both(studies, 1, 0.01, folder, lambda number, checked: told.append(number))
    return folder, told


def test_every_network_that_is_trained_is_told_of(trained: tuple[Path, list[int]]) -> None:
    assert trained[1] == list(range(retraining.networks_to_train()))


def test_a_site_is_measured_and_shown(trained: tuple[Path, list[int]]) -> None:
    _, (test, *_) = retraining.site_split(retraining.plans(91, 2, 2))
    samples = retraining.measure(test, trained[0], (Dose.EIGHTH,))
    by_name = {one.denoiser: one for one in samples}
    assert set(by_name) == {SHIPPED, RETRAINED, ALONE}
    assert all(one.rmse > 0.98 * one.ceiling_rmse for one in samples)
    assert by_name[SHIPPED].rmse < by_name[ALONE].rmse  # a second's training alone is worth little
    assert by_name[RETRAINED].rmse < by_name[ALONE].rmse
    every = [replace(one, patient=patient, dose=dose.value) for one in samples for patient in (1, 2) for dose in Dose]
    table = retraining.as_markdown(every, 0.01, 3)
    assert "2 test patients" in table
    assert "not clinical evidence" in table


def test_the_distance_to_the_ceiling_is_what_could_be_avoided() -> None:
    assert a_sample(1, SHIPPED, 4.2).above_ceiling_percent == pytest.approx(5.0)
