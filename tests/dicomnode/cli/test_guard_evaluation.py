"""`evaluate guard`, and the thresholds that `train denoiser` and `train guard` write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dicomnode.cli.main import run
from pipelines.networks.weights import read_model
from tests.factories import a_tomo, changed, setting
from tests.pipelines.training.studies import a_study


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with TOMO images of three patients."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(3):
        projections = a_study(number, views=16, rows=16, columns=16)  # small: no heart is looked for in them for long
        file = changed(a_tomo(projections), setting(PatientID=f"VIRTUAL-{number}"))
        (folder / f"{number}.dcm").write_bytes(file)
    return folder


def test_a_trained_denoiser_knows_what_is_usual_on_held_out_patients(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    train = ["train", "denoiser", "--data", str(archive), "--out", str(out), "--epochs", "2"]
    assert run([*train, "--guard-minutes", "0"]) == 0
    assert read_model("denoiser", out).card.thresholds == {}
    assert run(train) == 0
    assert "thresholds of the guard: 7 runs of 1 held-out patients" in capsys.readouterr().err
    card = read_model("denoiser", out).card
    assert card.thresholds["misfit.quarantine"] > card.thresholds["misfit.warn"]
    assert card.figures["guard: held-out patients"] == 1.0

    guard = ["train", "guard", "--data", str(archive), "--models", str(out), "--minutes", "0.01"]
    assert run(guard) == 0
    assert capsys.readouterr().out.endswith(f"{out / 'denoiser.json'}\n")
    again = read_model("denoiser", out).card
    assert again.sha256 == card.sha256
    assert again.thresholds != card.thresholds


def test_thresholds_of_a_model_that_is_not_there_are_refused(archive: Path, tmp_path: Path) -> None:
    assert run(["train", "guard", "--data", str(archive), "--models", str(tmp_path)]) == 64


def test_the_trial_of_a_model_that_is_not_there_is_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "guard", "--out", str(tmp_path / "out"), "--models", str(tmp_path)]) == 64
    words = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "Copy card and weights there" in words
    assert not (tmp_path / "out").exists()


def test_the_trial_writes_tables_and_keeps_each_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "guard"
    assert run(["evaluate", "guard", "--out", str(out), "--studies", "1", "--damaged", "0", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sound"]["studies"] == 1
    assert json.loads((out / "tables.json").read_text()) == document
    assert "1 sound studies of virtual patients (no clinical evidence)" in (out / "tables.md").read_text()
    assert [path.name for path in (out / "studies").iterdir()] == ["0000.json"]
