"""Thresholds come from the pipeline's own figures on held-out patients, by a rule that is honest about few of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.contract import Acquisition
from pipelines.networks.denoiser import ARCHITECTURE
from pipelines.networks.weights import ModelCard, read_model, write_model
from pipelines.quality.denoising_guard import CHECKS
from pipelines.quality.guard import judge
from pipelines.training.guard_thresholds import Calibration, calibrate, thresholds_of, write_thresholds
from tests.pipelines.networks.shared import a_denoiser
from tests.pipelines.training.studies import a_study

FIGURES = [check.figure for check in CHECKS]


def random_runs(number: int, seed: int = 1) -> list[dict[str, float]]:
    values = np.random.default_rng(seed).normal(size=(number, len(FIGURES)))
    return [dict(zip(FIGURES, row, strict=True)) for row in values.tolist()]


def remarked(runs: list[dict[str, float]], limits: dict[str, float], level: str) -> float:
    return float(np.mean([any(run[name] > limits[f"{name}.{level}"] for name in FIGURES) for run in runs]))


def test_one_run_in_twenty_is_remarked_on_by_all_checks_together() -> None:
    runs = random_runs(2000)
    limits = thresholds_of(runs, patients=300)
    assert remarked(runs, limits, "warn") == pytest.approx(0.05, abs=0.01)
    assert remarked(random_runs(2000, seed=2), limits, "warn") == pytest.approx(0.05, abs=0.02)


def test_of_many_patients_a_stray_one_does_not_widen_the_second_limit_and_all_checks_hold_few_sound_runs() -> None:
    runs = random_runs(2000)
    limits = thresholds_of(runs, patients=300)
    values = np.array([run["misfit"] for run in runs])
    top, median = np.quantile(values, 0.995), np.median(values)
    assert limits["misfit.quarantine"] == pytest.approx(top + (top - median) / 2)
    assert remarked(random_runs(2000, seed=2), limits, "quarantine") < 0.01
    stray = thresholds_of([*runs, {**runs[0], "misfit": 1e6}], patients=300)
    assert stray["misfit.quarantine"] == pytest.approx(limits["misfit.quarantine"], rel=0.05)


@pytest.mark.parametrize("patients", [1, 19, 20, 199])
def test_of_few_patients_nothing_that_was_seen_is_held_back(patients: int) -> None:
    runs = random_runs(100)
    limits = thresholds_of(runs, patients)
    assert remarked(runs, limits, "quarantine") == 0.0
    assert remarked(runs, limits, "warn") <= (0.0 if patients < 20 else 0.05)
    largest = max(run["misfit"] for run in runs)
    median = float(np.median([run["misfit"] for run in runs]))
    assert limits["misfit.quarantine"] == pytest.approx(largest + (largest - median) / 2)


def test_a_figure_that_is_always_the_same_passes_when_it_is_the_same_again() -> None:
    runs = [{**run, "heart_spread_percent": 0.0} for run in random_runs(100)]
    limits = thresholds_of(runs, patients=30)
    passing = {**dict.fromkeys(FIGURES, -1.0), "heart_spread_percent": 0.0}
    assert [finding.verdict.value for finding in judge(passing, limits, CHECKS)] == ["pass"]


def test_what_was_never_measured_has_no_thresholds() -> None:
    runs = [{**run, "heart_counts": float("nan")} for run in random_runs(30)]
    limits = thresholds_of(runs, patients=30)
    assert "heart_counts.warn" not in limits
    assert "misfit.warn" in limits
    assert thresholds_of([], 0) == {}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a model of two small networks."""
    card = ModelCard("small", "1.0.0", ARCHITECTURE, {"width": 4}, {"views": [16]}, (1, 2), {"loss": 1.0}, "none")
    write_model(tmp_path, card, [a_denoiser(seed).state_dict() for seed in (1, 2)])
    return tmp_path


def studies(number: int) -> list[tuple[str, Acquisition]]:
    return [
        (f"patient {seed}", Acquisition("a", a_study(seed, views=16, rows=16, columns=16))) for seed in range(number)
    ]


def test_the_pipelines_figures_of_every_dose_become_thresholds_on_the_card(models: Path) -> None:
    found = calibrate("small", models, studies(2), 1, doses=(1.0, 0.5), thinnings=2)
    assert len(found.runs) == 2 * (1 + 2)
    assert set(found.patients) == {"patient 0", "patient 1"}
    before = read_model("small", models)
    card = write_thresholds(models, "small", found)
    after = read_model("small", models)
    assert after.card == card
    assert card.thresholds["misfit.quarantine"] > card.thresholds["misfit.warn"] > 0
    assert card.figures == {"loss": 1.0, "guard: held-out patients": 2.0, "guard: runs": 6.0}
    assert (card.sha256, card.domain) == (before.card.sha256, before.card.domain)


def test_the_same_seed_finds_the_same(models: Path) -> None:
    first, again = (calibrate("small", models, studies(1), 5, doses=(0.5,), thinnings=1) for _ in range(2))
    assert str(first) == str(again)


def test_when_the_time_is_up_the_studies_that_were_run_count(models: Path) -> None:
    found = calibrate("small", models, studies(3), 1, doses=(1.0,), minutes=0.0)
    assert set(found.patients) == {"patient 0"}


def test_what_cannot_be_calibrated_on_is_passed_over(models: Path) -> None:
    (sound,) = studies(1)
    projections = sound[1].projections
    assert projections is not None
    scaled = Acquisition("scaled", replace(projections, counts=0.9 * projections.counts))
    found = calibrate("small", models, [("scaled", scaled), ("none", Acquisition("b")), sound], 1, doses=(0.5,))
    assert set(found.patients) == {"patient 0"}


def test_nothing_to_calibrate_on_leaves_no_thresholds(models: Path) -> None:
    assert calibrate("small", models, [], 1) == Calibration((), ())
    assert write_thresholds(models, "small", Calibration((), ())).thresholds == {}
