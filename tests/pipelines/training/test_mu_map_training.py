"""The mu-map network learns, an interruption leaves no trace, and the card says how good it got."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.images import UnsuitableAcquisition
from pipelines.networks.model_card import WeightsError
from pipelines.networks.mu_map import ARCHITECTURE
from pipelines.networks.mu_map_predict import load_mu_map_model, predict_mu_map
from pipelines.reconstruction.emission_images import emission_images
from pipelines.training.mu_map_batches import LoadedPair
from pipelines.training.mu_map_data import MapCohort
from pipelines.training.mu_map_figures import errors_of
from pipelines.training.mu_map_training import (
    MuMapLearner,
    MuMapSettings,
    bend,
    map_loss,
    spread_views,
    train_mu_map,
)
from pipelines.training.progress import Budget, Checked, Report, silent
from pipelines.training.progress_checkpoint import OtherTraining
from pipelines.training.progress_loop import Course
from pipelines.training.start import networks_to_start_from
from tests.pipelines.training.maps import a_map_cohort, a_pair, a_scan

SMALL = MuMapSettings(widths=(8, 8, 8, 8), voxel_mm=16.0, slices=8, averaging=0.9, places=16, learning_rate=1e-2)
SHORT = Course(Budget(epochs=3.0), check_every=4)


def trained(folder: Path, settings: MuMapSettings = SMALL, course: Course = SHORT, report: Report = silent) -> Path:
    train_mu_map(a_map_cohort(), settings, course, folder, report=report)
    return folder


def curve(folder: Path) -> list[float]:
    member = json.loads((folder / "curves.json").read_text())["members"][0]
    return [row["held_out"] for row in member]


def test_training_comes_nearer_to_the_map_of_an_unseen_patient(tmp_path: Path) -> None:
    folder = trained(tmp_path, course=Course(Budget(epochs=40.0), check_every=30))
    assert curve(folder)[-1] < curve(folder)[0]
    model = load_mu_map_model(folder=folder)
    projections, _ = a_scan(77)
    images = emission_images(projections)
    predicted = predict_mu_map(images.levels, images.scatter, model.networks, voxel_mm=model.voxel_mm).mu_map.values
    assert predicted[8, 12, 12] > 0.08  # the middle of the body
    assert predicted[8, 1].max() < 0.03  # air in front of it
    figures = model.card.figures
    untrained = errors_of([SMALL.network()], LoadedPair(a_pair(5)), SMALL.grids)
    assert 0.0 < figures["NMAE"] < 0.5 * untrained.nmae
    assert figures["NMAE without a scatter window"] > 0.0
    assert figures["Dice of air"] > 0.9


def test_an_interrupted_training_comes_out_the_same(tmp_path: Path) -> None:
    checks: list[int] = []

    def interrupt(member: int, checked: Checked) -> None:
        checks.append(checked.step)
        if len(checks) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "interrupted", report=interrupt)
    trained(tmp_path / "interrupted", report=interrupt)
    files = [tmp_path / name / "mu-map.safetensors" for name in ("interrupted", "whole")]
    trained(tmp_path / "whole")
    assert checks == sorted(set(checks))  # nothing that was checked was trained again
    assert files[0].read_bytes() == files[1].read_bytes()


def test_members_differ_and_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    folder = trained(tmp_path, replace(SMALL, members=2), Course(Budget(epochs=1.0), check_every=4))
    one, other = load_mu_map_model(folder=folder).networks
    assert not torch.equal(one.told.weight, other.told.weight)
    with pytest.raises(OtherTraining, match="other settings or other data"):
        trained(tmp_path, replace(SMALL, members=2, heart_weight=2.0), Course(Budget(epochs=1.0), check_every=4))


def test_the_loss_of_the_true_map_is_zero_and_what_hides_the_heart_costs_more() -> None:
    sample = LoadedPair(a_pair(0)).whole(SMALL.grids)
    true = sample.mu_per_cm

    def loss(mu: torch.Tensor) -> float:
        return float(map_loss(mu, sample, replace(SMALL, body_weight=0.0), np.random.default_rng(0)))

    assert loss(true) == 0.0
    heart, aside = true.clone(), true.clone()
    slices = sample.wall[:, 0].unique()
    outside = [z for z in range(len(true)) if z not in slices.tolist()][: len(slices)]
    heart[slices] *= 0.9
    aside[outside] *= 0.9
    assert loss(heart) > 2.0 * loss(aside)


def test_a_correction_that_is_too_strong_everywhere_bends_no_polar_map() -> None:
    theirs = torch.rand(20, 6) + 0.1
    assert float(bend(1.3 * theirs, theirs)) == pytest.approx(0.0, abs=1e-6)
    uneven = theirs.clone()
    uneven[:10] *= 1.2
    assert float(bend(uneven, theirs)) == pytest.approx(0.1 / 1.1, abs=1e-6)


def test_views_are_spread_over_the_arc_from_a_random_start() -> None:
    angles = [3.0 * view for view in range(60)]
    for seed in range(20):
        chosen = np.array(spread_views(angles, 12, np.random.default_rng(seed)))
        assert np.all(np.diff(chosen) == 15.0)
    starts = {spread_views(angles, 12, np.random.default_rng(seed))[0] for seed in range(20)}
    assert starts == {0.0, 3.0, 6.0, 9.0, 12.0}
    assert spread_views(angles[:5], 12, np.random.default_rng(0)) == angles[:5]


def test_what_lies_outside_of_a_small_field_teaches_nothing() -> None:
    pair = LoadedPair(a_pair(0))
    box = (slice(3, 13), slice(4, 20), slice(4, 22))
    sample = pair.on(SMALL.grids.of(pair.pair.grid), box=box)
    predicted = sample.mu_per_cm.clone()
    predicted[~sample.field] = 0.2
    assert not sample.field.all()
    assert float(map_loss(predicted, sample, SMALL, np.random.default_rng(0))) == 0.0


def test_a_training_goes_on_from_networks_and_the_card_names_them(tmp_path: Path) -> None:
    first = trained(tmp_path / "first")
    start = networks_to_start_from("mu-map", ARCHITECTURE, first)
    slow = replace(SMALL, learning_rate=1e-5)
    train_mu_map(a_map_cohort(), slow, Course(Budget(epochs=1.0), check_every=4), tmp_path / "second", start=start)
    second = load_mu_map_model(folder=tmp_path / "second")
    assert second.card.settings["started_from"] == start.card.sha256
    for name, value in load_mu_map_model(folder=first).networks[0].state_dict().items():
        assert torch.allclose(second.networks[0].state_dict()[name], value, atol=2e-3)
    with pytest.raises(WeightsError, match="can't go on as"):
        train_mu_map(a_map_cohort(), replace(SMALL, widths=(4, 4, 4, 4)), SHORT, tmp_path / "third", start=start)


def test_slices_without_a_measured_map_teach_nothing() -> None:
    sample = LoadedPair(replace(a_pair(0), known_mm=(-40.0, 48.0))).whole(SMALL.grids)
    predicted = sample.mu_per_cm.clone()
    predicted[~sample.known] = 0.2
    settings = replace(SMALL, heart_weight=0.0, body_weight=0.0)
    assert float(map_loss(predicted, sample, settings, np.random.default_rng(0))) == 0.0


def test_studies_without_a_heart_are_refused() -> None:
    cohort = a_map_cohort()
    blind = MapCohort(tuple(replace(p, wall=np.zeros_like(p.wall)) for p in cohort.train), cohort.validation, ())
    with pytest.raises(UnsuitableAcquisition, match="shows a heart"):
        MuMapLearner([LoadedPair(pair) for pair in blind.train], [], SMALL, 0)
