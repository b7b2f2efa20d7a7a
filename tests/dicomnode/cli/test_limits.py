"""`train normal-limits` on a site's folder: limits where there are enough normals, a sentence where there are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dicomnode.cli.main import ExitStatus, run
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.cardiac.limits_library import limits_for
from pipelines.contract import Acquisition, CardiacState, PatientSex
from pipelines.training.site_limits import site_limits
from tests.factories import a_tomo
from tests.pipelines.denoising_cases import an_acquisition

WOMAN = VirtualStudy(patient_sex="F", state=CardiacState.STRESS)


def study(sex: PatientSex = PatientSex.FEMALE) -> tuple[str, Acquisition]:
    """Return an even heart under stress."""
    return "a study", replace(an_acquisition(), sex=sex)


def test_eight_normal_studies_make_limits_and_seven_do_not() -> None:
    quick = {"iterations": 2}
    made = site_limits([study()] * 8, quick)
    ((key, limits),) = made.limits.items()
    assert key.file_name == "women_stress_not_corrected.json"
    assert limits.number == 8
    assert "this site" in limits.population
    few = site_limits([study()] * 7, quick)
    assert few.limits == {}
    assert "7 hearts are too few" in few.remarks[0]


def test_a_study_of_unknown_sex_is_left_out_with_a_sentence() -> None:
    made = site_limits([study(PatientSex.UNKNOWN)], {})
    assert "must state the patient's sex" in made.remarks[0]


def test_a_folder_with_too_few_studies_is_unsuitable_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "tomo.dcm").write_bytes(a_tomo(an_acquisition().projections, WOMAN))
    status = run(["train", "normal-limits", "--data", str(data), "--out", str(tmp_path / "out")])
    assert status == ExitStatus.UNSUITABLE_DATA
    assert "1 hearts are too few" in capsys.readouterr().err
    assert limits_for("F", "stress", False, tmp_path / "out") is None
