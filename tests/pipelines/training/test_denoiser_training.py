"""The denoiser learns from noisy counts alone, and an interruption leaves no trace in what it learns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.networks.denoise import denoise
from pipelines.networks.denoiser import Denoiser
from pipelines.networks.weights import read_model
from pipelines.training.denoiser_training import DenoiserSettings, train_denoiser
from pipelines.training.progress import Budget, Checked, Report, silent
from pipelines.training.progress_checkpoint import OtherTraining
from pipelines.training.progress_loop import Course
from tests.pipelines.training.studies import a_cohort, a_study, expected_counts

SMALL = DenoiserSettings(width=4, frames=8, crop=(24, 24), validation_batches=3, averaging=0.95)
SHORT = Course(Budget(epochs=4.0), check_every=10)


def trained(folder: Path, settings: DenoiserSettings = SMALL, course: Course = SHORT, report: Report = silent) -> Path:
    """Train on six small patients; return the folder."""
    train_denoiser(a_cohort(), settings, course, folder, report=report)
    return folder


def curve(folder: Path) -> list[float]:
    member = json.loads((folder / "curves.json").read_text())["members"][0]
    return [row["held_out"] for row in member]


def weights(folder: Path) -> bytes:
    return (folder / "denoiser.safetensors").read_bytes()


def test_training_lowers_the_held_out_loss_and_comes_nearer_to_the_truth(tmp_path: Path) -> None:
    folder = trained(tmp_path, course=Course(Budget(epochs=24.0), check_every=40))
    assert curve(folder)[-1] < curve(folder)[0]
    model = read_model("denoiser", folder)
    figures = model.card.figures
    assert figures["held-out deviance per pixel at dose 0.25"] < figures["the same before training at dose 0.25"]
    network, untrained = Denoiser(4), Denoiser(4)
    model.fill(0, network)
    unseen, truth = a_study(77), expected_counts(77)
    errors = [
        float(np.sqrt(np.mean((denoise(unseen, 1.0, [one]).expected.counts[0] - truth) ** 2)))
        for one in (network, untrained)
    ]
    assert errors[0] < 0.9 * errors[1]


def test_an_interrupted_training_comes_out_the_same(tmp_path: Path) -> None:
    checks: list[int] = []

    def interrupt(member: int, checked: Checked) -> None:
        checks.append(checked.step)
        if len(checks) in (1, 3):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "interrupted", report=interrupt)
    trained(tmp_path / "interrupted", report=interrupt)
    assert checks == sorted(set(checks))  # nothing that was checked was trained again
    assert weights(tmp_path / "interrupted") == weights(trained(tmp_path / "whole"))
    assert curve(tmp_path / "interrupted") == curve(tmp_path / "whole")


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tmp_path: Path) -> None:
    first, again = (weights(trained(tmp_path / name)) for name in ("first", "again"))
    other = weights(trained(tmp_path / "other", DenoiserSettings(**{**SMALL.__dict__, "seed": 1})))
    assert first == again
    assert first != other


def test_members_of_an_ensemble_differ_and_are_all_on_the_card(tmp_path: Path) -> None:
    folder = trained(tmp_path, DenoiserSettings(**{**SMALL.__dict__, "members": 2}))
    model = read_model("denoiser", folder)
    assert model.card.members == 2
    assert not all(
        torch.equal(one, other) for one, other in zip(model.members[0].values(), model.members[1].values(), strict=True)
    )
    assert model.card.domain["patients"] == 5


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(OtherTraining, match="other settings or other data"):
        trained(tmp_path, DenoiserSettings(**{**SMALL.__dict__, "seed": 1}))


def test_training_ends_early_when_nothing_gets_better(tmp_path: Path) -> None:
    still = DenoiserSettings(**{**SMALL.__dict__, "learning_rate": 0.0})
    folder = trained(tmp_path, still, Course(Budget(epochs=100.0), check_every=2, patience=3))
    assert len(curve(folder)) == 4
