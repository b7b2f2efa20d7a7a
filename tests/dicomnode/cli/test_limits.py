"""`train normal-limits` on a site's folder: limits where there are enough normals, a sentence where there are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dicomnode.cli.main import ExitStatus, run
from pipelines.cardiac.limits_library import limits_for
from pipelines.contract import Acquisition, CardiacState, PatientSex
from pipelines.images import Projections
from pipelines.simulation.acquisition import acquire
from pipelines.simulation.anatomy import Sex
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.virtual_patient import make_patient
from pipelines.training.site_limits import site_limits


@pytest.fixture(scope="module")
def projections() -> Projections:
    patient = make_patient(6001, state=CardiacState.STRESS, sex=Sex.FEMALE, defects=())
    return acquire(patient, CAMERAS["prospect"], np.random.default_rng(6001))


def study(projections: Projections, sex: PatientSex = PatientSex.FEMALE) -> tuple[str, Acquisition]:
    return "a study", Acquisition("key", projections, state=CardiacState.STRESS, sex=sex)


def test_eight_normal_studies_make_limits_and_seven_do_not(projections: Projections) -> None:
    quick = {"iterations": 2}
    made = site_limits([study(projections)] * 8, quick)
    ((key, limits),) = made.limits.items()
    assert key.file_name == "women_stress_not_corrected.json"
    assert limits.number == 8
    assert "this site" in limits.population
    few = site_limits([study(projections)] * 7, quick)
    assert few.limits == {}
    assert "7 hearts are too few" in few.remarks[0]


def test_a_study_of_unknown_sex_is_left_out_with_a_sentence(projections: Projections) -> None:
    made = site_limits([study(projections, PatientSex.UNKNOWN)], {})
    assert "must state the patient's sex" in made.remarks[0]


def test_a_folder_with_too_few_studies_is_unsuitable_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    assert run(["simulate", "--patients", "1", "--seed", "60", "--state", "stress", "--out", str(data)]) == 0
    status = run(["train", "normal-limits", "--data", str(data), "--out", str(tmp_path / "out")])
    assert status == ExitStatus.UNSUITABLE_DATA
    assert "1 hearts are too few" in capsys.readouterr().err
    assert limits_for("F", "stress", False, tmp_path / "out") is None
