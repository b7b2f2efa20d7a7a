"""Which acquisitions are remarked on or held back before they are denoised, and in which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.contract import Acquisition, Finding, Verdict
from pipelines.images import Array, EnergyWindow, Projections
from pipelines.quality.input_checks import input_findings
from tests.pipelines.training.studies import a_study

VIEWS = 30


def a_sound_study(gates: int = 1) -> Projections:
    return a_study(1, gates, views=VIEWS, rows=32, columns=32)


SOUND = a_sound_study()
PER_VIEW = float(SOUND.photopeak_counts().sum()) / VIEWS
DOMAIN: dict[str, object] = {
    "views": [30, 64],
    "gates": [1, 8],
    "matrix": ["32 x 32"],
    "pixel_size_mm": [6.4, 6.8],
    "counts_per_view_percentiles_5_50_95": [0.7 * PER_VIEW, PER_VIEW, 1.4 * PER_VIEW],
}


def found(projections: Projections, dose_fraction: float = 1.0) -> tuple[Finding, ...]:
    return input_findings(Acquisition("a", projections), DOMAIN, dose_fraction)


def with_counts(counts: NDArray[Any], projections: Projections = SOUND) -> Projections:
    return replace(projections, counts=counts.astype(np.float32))


def with_view(view: int, factor: float) -> Projections:
    counts = SOUND.counts.copy()
    counts[:, :, view] *= factor
    return with_counts(counts)


@pytest.mark.parametrize("gates", [1, 8])
def test_a_sound_study_gets_no_remark(gates: int) -> None:
    assert found(a_sound_study(gates)) == ()


def test_an_acquisition_without_projections_or_counts_is_left_to_the_pipeline() -> None:
    assert input_findings(Acquisition("a"), DOMAIN, 1.0) == ()
    assert found(with_counts(np.zeros_like(SOUND.counts))) == ()


@pytest.mark.parametrize(
    ("window", "verdict", "words"),
    [
        (EnergyWindow(68.0, 82.0), Verdict.QUARANTINE, "68-82 keV does not hold technetium's 140.5 keV"),
        (EnergyWindow(110.0, 150.0), Verdict.WARN, "unusual for technetium"),
        (EnergyWindow(138.0, 143.0), Verdict.WARN, "unusual for technetium"),
        (EnergyWindow(126.45, 154.55, stated=False), Verdict.WARN, "not stated"),
    ],
)
def test_another_tracers_window_is_held_back_and_an_unusual_one_remarked_on(
    window: EnergyWindow, verdict: Verdict, words: str
) -> None:
    (finding,) = found(replace(SOUND, windows=(window,)))
    assert finding.verdict is verdict
    assert words in finding.text


@pytest.mark.parametrize("window", [EnergyWindow(126.45, 154.55), EnergyWindow(129.5, 150.5), EnergyWindow(129, 150)])
def test_the_usual_windows_of_technetium_pass(window: EnergyWindow) -> None:
    assert found(replace(SOUND, windows=(window,))) == ()


def test_what_the_model_does_not_know_is_told_in_one_sentence() -> None:
    other = a_study(1, views=24, rows=40, columns=32)
    fewer = replace(other, geometry=replace(other.geometry, pixel_size_mm=(4.8, 4.8)))
    texts = [one.text for one in found(fewer) if "not trained on" in one.text]
    assert texts == [
        "the denoiser was not trained on such acquisitions: a matrix of 40 x 32 (known: 32 x 32); 24 views (known: "
        "30 to 64); pixels of 4.8 mm (known: 6.4 to 6.8)"
    ]


@pytest.mark.parametrize(
    ("camera", "collimator", "words"),
    [
        ("Discovery NM/CT 670", "lehr ", None),
        ("", "", None),
        ("Ventri", "LEHR", "this camera Ventri (known: Discovery NM/CT 670 (virtual))"),
        ("Ventri", "MEGP", "this camera Ventri (known: Discovery NM/CT 670 (virtual)); collimator MEGP (known: LEHR)"),
    ],
)
def test_a_camera_that_the_model_does_not_know_is_remarked_on(camera: str, collimator: str, words: str | None) -> None:
    domain = {**DOMAIN, "camera_models": ["Discovery NM/CT 670 (virtual)"], "collimators": ["LEHR"]}
    acquisition = Acquisition("a", SOUND, camera_model=camera, collimator=collimator)
    findings = input_findings(acquisition, domain, 1.0)
    expected = () if words is None else (Finding(Verdict.WARN, f"the denoiser was not trained on {words}"),)
    assert findings == expected
    assert input_findings(acquisition, DOMAIN, 1.0) == (), "a card that names none is compared with none"


def test_a_card_that_says_nothing_is_compared_with_nothing() -> None:
    assert input_findings(Acquisition("a", SOUND), {}, 1.0) == ()


@pytest.mark.parametrize("dose_fraction", [1 / 4, 1 / 8])
def test_counts_that_do_not_fit_the_stated_dose_are_remarked_on(dose_fraction: float) -> None:
    (finding,) = found(SOUND, dose_fraction)
    assert finding.verdict is Verdict.WARN
    assert f"if this is {100 * dose_fraction:.3g} % of the full dose" in finding.text


@pytest.mark.parametrize(("view", "factor"), [(7, 2.0), (0, 0.5), (28, 1.6), (29, 0.0)])
def test_a_doubled_and_a_dropped_view_are_named_and_their_neighbours_are_not(view: int, factor: float) -> None:
    (finding,) = [one for one in found(with_view(view, factor)) if "neighbours" in one.text]
    assert finding.verdict is Verdict.WARN
    assert f": {view + 1} ({SOUND.geometry.angles_deg[view]:.0f}°, " in finding.text
    assert finding.text.count("°") == 1


def test_more_than_two_odd_views_are_held_back() -> None:
    counts = SOUND.counts.copy()
    counts[:, :, [3, 11, 21]] *= 2
    verdicts = [one.verdict for one in found(with_counts(counts)) if "neighbours" in one.text]
    assert verdicts == [Verdict.QUARANTINE]


def test_few_counts_are_no_odd_views() -> None:
    rng = np.random.default_rng(5)
    few = rng.binomial(SOUND.counts.astype(np.int64), 0.02)
    assert [one for one in found(with_counts(few), 0.02) if "neighbours" in one.text] == []


def test_saturated_pixels_are_held_back() -> None:
    counts = np.minimum(SOUND.counts, 15.0) + np.where(SOUND.counts > 15, 240.0, 0.0)
    assert any(one.verdict is Verdict.QUARANTINE and "stand at 255" in one.text for one in found(with_counts(counts)))


@pytest.mark.parametrize(
    ("gate", "share", "verdict", "words"),
    [
        (7, 0.5, Verdict.WARN, "the last gate holds 50 %"),
        (3, 0.5, Verdict.WARN, "gates don't fit each other"),
        (7, 0.0, Verdict.QUARANTINE, "gates without any count: 8"),
    ],
)
def test_gates_must_fit_each_other(gate: int, share: float, verdict: Verdict, words: str) -> None:
    gated = a_sound_study(8)
    counts = gated.counts.copy()
    counts[:, gate] = np.random.default_rng(2).binomial(counts[:, gate].astype(np.int64), share)
    (finding,) = [one for one in found(with_counts(counts, gated)) if "gate" in one.text]
    assert finding.verdict is verdict
    assert words in finding.text


def test_four_gates_are_few() -> None:
    assert any("4 gates; expected 8" in one.text for one in found(a_sound_study(4)))


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (0.9 * SOUND.counts, "not whole"),
        (3.0 * SOUND.counts, "scaled up"),
        (np.rint(0.5 * (3 * SOUND.counts + np.roll(3 * SOUND.counts, 1, -1)) / 3), "interpolated"),
    ],
    ids=["scaled", "times three", "moved by half a pixel"],
)
def test_counts_that_were_not_counted_so_are_held_back(counts: Array, words: str) -> None:
    texts = [one.text for one in found(with_counts(counts)) if one.verdict is Verdict.QUARANTINE]
    assert any(words in text for text in texts)


def test_a_few_views_in_any_order_and_of_one_angle_are_no_matter() -> None:
    for angles in ((10.0,), (10.0, 10.0), (0.0, 90.0, 45.0)):
        geometry = replace(SOUND.geometry, angles_deg=angles)
        few = Projections(SOUND.counts[:, :, : len(angles)], geometry, SOUND.windows)
        assert isinstance(found(few), tuple)
