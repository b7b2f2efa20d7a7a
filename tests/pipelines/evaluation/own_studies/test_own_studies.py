"""A study thinned, denoised and compared with itself: with a heart, without one, gated; its tables and its figure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.contract import Acquisition, CardiacState, PatientSex
from pipelines.evaluation.own_studies.figure import draw_own_study, square
from pipelines.evaluation.own_studies.studies import (
    Pictures,
    StudyRecord,
    check_doses,
    evaluate_study,
    load_networks,
    study_key,
)
from pipelines.evaluation.own_studies.tables import NOT_FOUND, OwnStudies, as_json, as_markdown, segments_off
from pipelines.evaluation.page import save
from pipelines.images import Projections, UnsuitableAcquisition
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import StudySettings, make_study, plan_denoising_cohort
from pipelines.training.model_card import VIRTUAL
from tests.pipelines.training.studies import a_study

Evaluated = tuple[StudyRecord, Pictures]


def evaluated(
    projections: Projections, *doses: float, seed: int = 0, sex: PatientSex = PatientSex.UNKNOWN
) -> Evaluated:
    card, networks = load_networks("denoiser", None)
    acquisition = Acquisition("1.2.3", projections, state=CardiacState.STRESS, sex=sex)
    return evaluate_study(acquisition, card, networks, doses, seed)


def bright_spots() -> Projections:
    """Return a small study that is gated and shows no heart."""
    return a_study(0, gates=2, rows=16, columns=16)


@pytest.fixture(scope="module")
def spots() -> Evaluated:
    return evaluated(bright_spots(), 0.5, 0.25)


@pytest.fixture(scope="module")
def patient() -> Evaluated:
    """A virtual patient at an eighth of the dose."""
    plan = plan_denoising_cohort(1)[0]
    study = make_study(plan, StudySettings(CAMERAS["prospect"]))
    return evaluated(study.projections, 0.125, sex=PatientSex(study.patient.truth.sex))


def test_doses_are_shares_below_the_full_one() -> None:
    check_doses([0.5, 1 / 64])
    for wrong in ([], [1.0], [0.5, 0.01], [float("nan")]):
        with pytest.raises(ValueError, match="a dose is a share of the full one"):
            check_doses(wrong)


def test_a_reconstruction_cant_be_thinned() -> None:
    card, networks = load_networks("denoiser", None)
    with pytest.raises(UnsuitableAcquisition, match="nothing can be thinned"):
        evaluate_study(Acquisition("1.2.3"), card, networks, (0.5,), 0)


def test_a_name_is_made_of_the_counts_alone() -> None:
    study = a_study(0)
    assert study_key(study) == study_key(replace(study, view_time_s=3.0))
    assert study_key(study) != study_key(a_study(1))


def test_a_heart_that_isnt_there_is_said_and_not_guessed(spots: Evaluated) -> None:
    record, pictures = spots
    assert record.heart is None
    assert any("no left ventricle" in remark or "left ventricle" in remark for remark in record.remarks)
    for one in record.doses:
        assert one.low_image.heart is None
        assert one.held_out.heart_counts_percent is None
        assert one.low_image.nrmse_percent > 0
    assert not pictures.short_axis


def test_gates_are_thinned_one_by_one_and_shown_together(spots: Evaluated) -> None:
    record, pictures = spots
    full, half, _, quarter, _ = pictures.images
    assert record.gates == 2
    assert [one.dose for one in pictures.images] == [1.0, 0.5, 0.5, 0.25, 0.25]
    counted = float(full.projections.sum())
    for one in (half, quarter):
        assert float(one.projections.sum()) == pytest.approx(counted, abs=5 * float(np.sqrt(counted / one.dose)))
        assert np.array_equal(one.projections * one.dose, np.rint(one.projections * one.dose))


def test_a_dose_is_the_same_draw_whatever_else_is_tried(spots: Evaluated) -> None:
    alone, _ = evaluated(bright_spots(), 0.25)
    assert alone.doses[0] == spots[0].doses[1]


def test_another_seed_is_another_draw(spots: Evaluated) -> None:
    other, _ = evaluated(bright_spots(), 0.25, seed=1)
    assert other.doses[0].low != spots[0].doses[1].low
    assert other.heart == spots[0].heart


def test_the_virtual_full_dose_comes_near_the_noise_that_nobody_can_foretell(patient: Evaluated) -> None:
    (one,) = patient[0].doses
    assert one.low.rmse > one.gaussian.rmse > one.full.rmse > 0.97 * one.noise_rmse
    assert 70.0 < one.noise_percent(one.full) < 103.0
    assert one.held_out.squared_error.value < one.gaussian_held_out.squared_error.value
    assert one.held_out.heart_squared_error is not None


def test_hearts_are_read_against_limits_and_the_full_dose_is_the_reference(patient: Evaluated) -> None:
    record, pictures = patient
    (one,) = record.doses
    assert record.limits
    assert record.heart is not None
    assert record.heart.tpd_percent is not None
    assert one.denoised_image.heart is not None
    assert one.denoised_image.heart.tpd_percent == pytest.approx(record.heart.tpd_percent, abs=8.0)
    assert segments_off(record.heart, record.heart) == (0.0, 0.0)
    assert one.denoised_image.held_out_nrmse_percent < one.low_image.held_out_nrmse_percent
    assert pictures.short_axis


def test_tables_tell_all_of_it(spots: Evaluated, patient: Evaluated) -> None:
    quarter = replace(spots[0], doses=spots[0].doses[1:])
    own = OwnStudies(
        (quarter, replace(patient[0], doses=patient[0].doses)), load_networks("denoiser", None)[0], VIRTUAL, 0
    )
    words, document = as_markdown(own), json.loads(json.dumps(as_json(own)))
    assert VIRTUAL in words
    assert f"| {quarter.key} | 0.25 | thinned |" in words
    assert NOT_FOUND in words
    assert "Means of 2 studies" in words
    assert document["evidence"] == VIRTUAL
    assert [one["key"] for one in document["studies"]] == [quarter.key, patient[0].key]
    rows = document["tables"]["projections"]["rows"]
    assert [row["projections"] for row in rows[::4]] == ["thinned", "thinned"]


def test_the_figure_shows_every_dose(spots: Evaluated, patient: Evaluated, tmp_path: Path) -> None:
    for number, (record, pictures) in enumerate((spots, patient)):
        figure = draw_own_study(pictures, record.key, VIRTUAL)
        said = [text.get_text() for text in figure.texts]
        assert "full counts" in said
        assert said.count("thinned") == len(record.doses)
        assert any(VIRTUAL in words for words in said)
        assert ("Short-axis slices" if pictures.short_axis else "Transaxial slices") in said
        path = tmp_path / f"{number}.png"
        save(figure, path)
        assert path.read_bytes().startswith(b"\x89PNG")


def test_a_frame_is_shown_amid_empty_pixels() -> None:
    frame = np.ones((3, 6), dtype=np.float32)
    shown = square(frame)
    assert shown.shape == (6, 6)
    assert shown[1:4].sum() == shown.sum() == 18
