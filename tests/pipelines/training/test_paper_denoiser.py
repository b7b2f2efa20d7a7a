"""The paper's networks are trained on pairs of low-dose and full-dose projections, each on its own scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.images import UnsuitableAcquisition
from pipelines.networks.adversarial import Generator
from pipelines.networks.weights import read_model
from pipelines.training.denoiser_data import Cohort
from pipelines.training.paper_denoiser import PaperLearner, PaperSettings, in_counts, make_pair, predict, train_paper
from pipelines.training.progress import Budget
from tests.pipelines.training.studies import a_cohort, a_training_study

FEW = PaperSettings(dose=0.5, learning_rate=2e-4, frames=2)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return a_cohort(patients=3, views=4, rows=64, columns=64)


def test_a_pair_is_a_thinned_study_and_the_study_each_divided_by_its_maximum() -> None:
    study = a_training_study(views=4, rows=64, columns=64)
    pair = make_pair(study, PaperSettings(dose=0.25), np.random.default_rng(0))
    assert pair.low_dose.max() == pair.full_dose.max() == 1.0
    low = pair.low_dose * np.rint(1.0 / pair.low_dose[pair.low_dose > 0].min())
    assert np.allclose(low, np.rint(low), atol=1e-3)  # whole counts
    assert low.sum() == pytest.approx(0.25 * float(study.counts.sum()), rel=0.05)


def test_gates_are_frames_of_their_own_or_summed() -> None:
    study = a_training_study(gates=2, views=4, rows=64, columns=64)
    shapes = [
        make_pair(study, PaperSettings(gated=gated), np.random.default_rng(0)).full_dose.shape
        for gated in (False, True)
    ]
    assert shapes == [(4, 64, 64), (8, 64, 64)]


def test_another_matrix_is_refused() -> None:
    with pytest.raises(UnsuitableAcquisition, match="64 x 64 alone"):
        make_pair(a_training_study(), FEW, np.random.default_rng(0))


def test_a_learner_that_is_restored_goes_on_as_if_nothing_had_been(cohort: Cohort) -> None:
    first, second = PaperLearner(cohort, FEW), PaperLearner(cohort, FEW)
    first.step(0, 0.0)
    second.restore({key: value.clone() for key, value in first.tensors().items()})
    assert first.step(1, 0.5) == second.step(1, 0.5)
    kept = second.tensors()
    assert all(torch.equal(value, kept[key]) for key, value in first.tensors().items())


def test_both_networks_learn(cohort: Cohort) -> None:
    learner = PaperLearner(cohort, FEW)
    before = {key: value.clone() for key, value in learner.tensors().items()}
    errors = [learner.step(number, 0.0) for number in range(5)]
    after = learner.tensors()
    for name in ("generator.encoder.0.0.weight", "discriminator.layers.0.weight"):
        assert not torch.equal(before[name], after[name])
    assert errors[-1] < errors[0]


def test_a_training_leaves_weights_that_predict_full_dose(cohort: Cohort, tmp_path: Path) -> None:
    card = train_paper(cohort, FEW, Budget(epochs=1.0), tmp_path, name="half-dose")
    model = read_model("half-dose", tmp_path)
    assert model.card == card
    generator = Generator()
    model.fill(0, generator)
    predicted = predict(generator, np.ones((3, 64, 64), dtype=np.float32), batch=2)
    assert predicted.shape == (3, 64, 64)
    assert 0.0 <= float(predicted.min()) <= float(predicted.max()) <= 1.0


def test_the_trainings_of_all_doses_lie_in_one_folder(cohort: Cohort, tmp_path: Path) -> None:
    for dose in (0.5, 0.25):
        train_paper(cohort, replace(FEW, dose=dose), Budget(epochs=0.5), tmp_path, name=f"paper-{dose:g}")
    assert [read_model(name, tmp_path).card.settings["dose"] for name in ("paper-0.5", "paper-0.25")] == [0.5, 0.25]
    assert (tmp_path / "paper-0.5-curves.json").read_text() != (tmp_path / "paper-0.25-curves.json").read_text()


def test_a_prediction_becomes_as_many_counts_as_the_full_dose_has() -> None:
    low, predicted = np.full((2, 3, 3), 5.0, dtype=np.float32), np.full((2, 3, 3), 0.7, dtype=np.float32)
    assert np.allclose(in_counts(predicted, low, dose=0.25), 20.0)


def test_gated_training_needs_gated_studies(cohort: Cohort) -> None:
    with pytest.raises(UnsuitableAcquisition, match="no gated projections"):
        PaperLearner(cohort, PaperSettings(gated=True))
