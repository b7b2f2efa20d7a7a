"""The guard of predicted maps learns its limits from runs on held-out patients, with and without a scatter window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.contract import Acquisition
from pipelines.networks.model_card import read_card
from pipelines.quality.map_guard import LEARNED_FIGURES
from pipelines.training.guard_thresholds import write_thresholds
from pipelines.training.mu_map_thresholds import calibrate_maps, virtual_studies
from tests.pipelines.chests import an_acquisition
from tests.pipelines.mu_map_models import a_mu_map_model


def test_every_figure_gets_limits_that_the_held_out_patients_pass(tmp_path: Path) -> None:
    models = a_mu_map_model(tmp_path)
    studies = [("one", an_acquisition(windows=2)), ("two", Acquisition("nothing in it"))]
    found = calibrate_maps("mu-map", models, studies)
    assert found.patients == ("one", "one"), "as it is and without its scatter window; what can't be run is passed over"
    card = write_thresholds(models, "mu-map", found)
    assert card == read_card(models / "mu-map.json")
    assert set(card.thresholds) == {
        f"{figure}.{level}" for figure in LEARNED_FIGURES for level in ("warn", "quarantine")
    }
    for run in found.runs:
        for figure, value in run.items():
            assert (
                value <= card.thresholds[f"{figure}.warn"] * 1.0001 <= card.thresholds[f"{figure}.quarantine"] * 1.0002
            )
    assert card.figures["guard: held-out patients"] == 1.0


def test_no_more_studies_are_run_when_the_time_is_up(tmp_path: Path) -> None:
    models = a_mu_map_model(tmp_path)
    one = an_acquisition()
    found = calibrate_maps("mu-map", models, [("one", one), ("two", replace(one, key="2"))], minutes=0.0)
    assert found.patients == ("one",)


def test_virtual_patients_of_a_seed_are_the_same_again() -> None:
    (first,), (again,) = (list(virtual_studies(3, 1)) for _ in range(2))
    assert first[0] == again[0]
    assert first[1].projections is not None
    assert again[1].projections is not None
    assert first[1].projections.counts.sum() == pytest.approx(again[1].projections.counts.sum())
