"""`evaluate own-studies`: what it writes, and that no patient is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dicomnode.cli.main import run
from tests.factories import REAL_DATA, a_tomo, changed, setting
from tests.pipelines.training.studies import a_study

GE = REAL_DATA / "ge_xeleris_tomo_stress.dcm"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with TOMO images of two patients, and a file that is none."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(2):
        of_patient = setting(PatientID=f"MRN-4711X-{number}", PatientName=f"Roe^Jane{number}")
        (folder / f"roe-{number}.dcm").write_bytes(changed(a_tomo(a_study(number, rows=16, columns=16)), of_patient))
    (folder / "notes.txt").write_text("no image")
    return folder


def test_a_folder_becomes_tables_and_figures_without_a_patient_in_them(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "own"
    command = ["evaluate", "own-studies", "--data", str(archive), "--out", str(out)]
    assert run([*command, "--doses", "0.5", "--json"]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert json.loads((out / "tables.json").read_text()) == document
    assert document["evidence"] == "studies of a site, not validated clinically"
    keys = [study["key"] for study in document["studies"]]
    assert len(keys) == 2
    assert all([one["dose"] for one in study["doses"]] == [0.5] for study in document["studies"])
    assert sorted(path.stem for path in (out / "figures").iterdir()) == sorted(keys)
    written = told.out + (out / "tables.md").read_text()
    assert "4711X" not in written  # no number can hold it
    assert "roe" not in written.casefold()
    assert f"{archive / 'roe-0.dcm'}: {keys[0]}" in told.err


def test_a_single_file_is_enough_and_virtual_patients_are_called_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "one.dcm"
    file.write_bytes(changed(a_tomo(a_study(0, rows=16, columns=16)), setting(PatientID="VIRTUAL-1")))
    command = ["evaluate", "own-studies", "--data", str(file), "--out", str(tmp_path / "own")]
    assert run([*command, "--doses", "0.25", "--doses", "0.5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["evidence"] == "virtual patients - not clinical evidence"
    assert [one["dose"] for one in document["studies"][0]["doses"]] == [0.5, 0.25]


def test_a_real_cameras_study_is_compared_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not GE.exists():
        pytest.skip(f"the public camera file {GE.name} is not beside the checkout (shared/realdata)")
    command = ["evaluate", "own-studies", "--data", str(GE), "--out", str(tmp_path), "--doses", "0.25", "--json"]
    assert run(command) == 0
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    (quarter,) = study["doses"]
    assert quarter["full"]["rmse"] < quarter["gaussian"]["rmse"] < quarter["low"]["rmse"]
    assert 1.0 < quarter["held_out"]["squared_error"]["value"] < 1.3
    assert study["heart"]["tpd_percent"] is None  # its sex is not stated, so no normal limits fit
    assert quarter["denoised_image"]["heart"] is not None


@pytest.mark.parametrize("doses", ["1", "0.5,nothing", "0.001"])
def test_a_dose_that_is_none_is_refused(archive: Path, doses: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "own-studies", "--data", str(archive), "--out", str(archive), "--doses", doses]) == 64
    assert "--doses" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_refused(archive: Path, tmp_path: Path) -> None:
    command = ["evaluate", "own-studies", "--data", str(archive), "--out", str(tmp_path / "own")]
    assert run([*command, "--models", str(tmp_path)]) == 64
    assert not (tmp_path / "own").exists()


def test_a_folder_without_projections_is_unsuitable(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    assert run(["evaluate", "own-studies", "--data", str(tmp_path), "--out", str(tmp_path / "own")]) == 65
