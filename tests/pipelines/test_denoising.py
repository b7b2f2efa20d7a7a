"""The pipeline `denoising`, run by its name as the node runs it: what comes back, what is said of it, what holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipelines import catalog
from pipelines.contract import Acquisition, DerivedKind, NotNow, OptionValue, PipelineInput, PipelineResult, Verdict
from pipelines.denoising import _changes
from pipelines.images import Projections, UnsuitableAcquisition, Volume
from pipelines.networks.denoise import denoise, load_denoiser
from pipelines.networks.model_card import read_card
from pipelines.perfusion.hearts import HeartReading
from tests.pipelines.denoising_cases import a_model, an_acquisition, with_empty_view


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_model(tmp_path_factory.mktemp("models"))


@cache
def _run(models: Path, gates: int = 1) -> PipelineResult:
    return run(an_acquisition(gates=gates), models)


def run(acquisition: Acquisition, models: Path, **options: OptionValue) -> PipelineResult:
    given: Mapping[str, OptionValue] = {"dose_fraction": 0.5, "models": str(models), **options}
    return catalog.run("denoising", PipelineInput(acquisition, options=given), "cpu")


def projections_of(result: PipelineResult) -> Projections:
    (found,) = (one.data for one in result.derived if one.kind is DerivedKind.DENOISED_PROJECTIONS)
    assert isinstance(found, Projections)
    return found


def volume_of(result: PipelineResult) -> Volume:
    (found,) = (one.data for one in result.derived if one.kind is DerivedKind.RECONSTRUCTION)
    assert isinstance(found, Volume)
    return found


def counted(acquisition: Acquisition) -> Projections:
    assert acquisition.projections is not None
    return acquisition.projections


def held_by(result: PipelineResult) -> list[str]:
    return [finding.text for finding in result.findings if finding.verdict is Verdict.QUARANTINE]


def test_projections_reconstruction_short_axis_and_page_come_back(models: Path) -> None:
    result = _run(models)
    kinds = [one.kind for one in result.derived]
    assert kinds == [DerivedKind.DENOISED_PROJECTIONS, DerivedKind.RECONSTRUCTION, DerivedKind.SHORT_AXIS]
    assert isinstance(result.derived[1].data, Volume)
    assert [heart.label for heart in result.hearts] == ["as received", "denoised"]
    assert result.page is not None
    assert result.verdict is Verdict.PASS


def test_the_expected_counts_are_those_of_the_full_dose_view_by_view(models: Path) -> None:
    measured = counted(an_acquisition()).counts.sum(axis=(0, 1, 3, 4))
    expected = projections_of(_run(models)).counts.sum(axis=(0, 1, 3, 4))
    assert np.allclose(0.5 * expected, measured, rtol=1e-4)


def test_the_virtual_full_dose_is_sent_where_a_rule_asks_for_it(models: Path) -> None:
    result = run(an_acquisition(), models, projections="virtual_full_dose")
    added = projections_of(result).counts - counted(an_acquisition()).counts
    _, networks = load_denoiser("denoiser", models)
    expected = denoise(counted(an_acquisition()), 0.5, networks).expected.counts
    assert np.allclose(added, 0.5 * expected, rtol=1e-4, atol=1e-4)
    assert result.derived[0].description.startswith("Virtual full dose: the counts measured at 50 %")
    assert np.array_equal(volume_of(result).values, volume_of(_run(models)).values), (
        "images are those of the usual kind"
    )


def test_the_result_says_which_networks_made_it_and_how_the_dose_is_known(models: Path) -> None:
    made, card = _run(models).provenance, read_card(models / "denoiser.json")
    settings = dict(made.settings)
    assert made.version == f"{catalog.PIPELINES['denoising'].version}+{card.sha256[:12]}"
    assert settings["Weights"] == f"SHA-256 {card.sha256}"
    assert settings["Denoiser"] == "denoiser 1.0.0, mean of 2 networks; no patients: a Gaussian filter"
    assert settings["Dose"] == "50 % of the full dose (stated by the rule)"
    assert made.headline.startswith("50 % of the full dose (stated by the rule)")
    assert {"Dose fraction", "Guard: misfit"} <= {one.name for one in _run(models).measurements}


@pytest.mark.parametrize(
    ("options", "share", "source"),
    [
        ({"full_dose_mbq": 740.0}, 0.25, "185 MBq injected of the usual 740 MBq"),
        ({"full_dose_counts": 8e5}, 0.5, "0.40 million counts of the usual 0.80 million"),
        ({}, 1.0, "not known: taken as the full dose"),
    ],
)
def test_the_dose_is_taken_from_what_is_known(
    models: Path, options: dict[str, OptionValue], share: float, source: str
) -> None:
    result = run(an_acquisition(), models, dose_fraction=0.0, **options)
    (found,) = (one.value for one in result.measurements if one.name == "Dose fraction")
    assert found == pytest.approx(share, rel=0.01)
    assert source in dict(result.provenance.settings)["Dose"]


def test_every_window_is_denoised(models: Path) -> None:
    acquisition = an_acquisition(windows=2)
    expected = projections_of(run(acquisition, models)).counts
    assert expected.shape[0] == 2
    assert np.allclose(
        0.5 * expected.sum(axis=(1, 2, 3, 4)), counted(acquisition).counts.sum(axis=(1, 2, 3, 4)), rtol=1e-4
    )


def test_a_gated_study_keeps_its_gates_and_is_read_before_and_after(models: Path) -> None:
    result = _run(models, gates=8)
    assert projections_of(result).gates == 8
    assert all(heart.function is not None for heart in result.hearts)
    (kept,) = (one.value for one in result.measurements if one.name == "Beat kept")
    assert kept == pytest.approx(100.0, abs=2.0)


def test_the_same_study_gives_the_same_bits_and_the_same_verdict(models: Path) -> None:
    first, again = _run(models), run(an_acquisition(), models)
    assert np.array_equal(projections_of(first).counts, projections_of(again).counts)
    assert first.measurements == again.measurements
    assert first.page is not None
    assert again.page is not None
    assert np.array_equal(first.page, again.page)


def test_a_view_without_counts_stays_empty_and_is_said(models: Path) -> None:
    result = run(with_empty_view(an_acquisition(), 4), models)
    assert float(projections_of(result).counts[:, :, 4].sum()) == 0.0
    assert any("left out: 5" in finding.text for finding in result.findings)


def test_an_upside_down_study_is_held(models: Path) -> None:
    assert any("upside down" in words for words in held_by(run(an_acquisition(upside_down=True), models)))


def test_a_network_that_wipes_out_the_heart_is_held(tmp_path: Path) -> None:
    result = run(an_acquisition(), a_model(tmp_path, flat=True, limit=20.0))  # without that fault 6.5 at most
    assert any("the denoiser changes the heart's counts" in words for words in held_by(result))


def test_a_heart_that_only_the_input_shows_is_held(models: Path) -> None:
    reading = HeartReading(_run(models).hearts, found_in="as received")
    (finding, *_) = _changes(counted(an_acquisition()), reading)
    assert finding.verdict is Verdict.QUARANTINE
    assert "not found after denoising" in finding.text


def test_what_lies_beyond_the_models_thresholds_is_held(tmp_path: Path) -> None:
    result = run(an_acquisition(), a_model(tmp_path, limit=-1.0))
    assert any("usual up to -1" in words for words in held_by(result))


def test_unsuitable_acquisitions_are_refused(models: Path) -> None:
    with pytest.raises(UnsuitableAcquisition, match="needs projections"):
        run(Acquisition("1.2.3"), models)
    acquisition = an_acquisition()
    negative = replace(counted(acquisition), counts=counted(acquisition).counts - 1)
    with pytest.raises(UnsuitableAcquisition, match="negative"):
        run(replace(acquisition, projections=negative), models)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dose_fraction": 1.5}, r"dose_fraction must lie in \(0, 1\]"),
        ({"projections": "noisy"}, "projections is expected or virtual_full_dose"),
        ({"full_dose_mbq": -1.0}, "full_dose_mbq is a positive number"),
        ({"model": "../other"}, "model is a name"),
        ({"dose": 0.5}, "no option dose; there are iterations"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, OptionValue], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        catalog.check_options("denoising", options)


def test_a_model_that_is_away_may_be_back_later(tmp_path: Path) -> None:
    with pytest.raises(NotNow, match="no such model card"):
        run(an_acquisition(), tmp_path)
