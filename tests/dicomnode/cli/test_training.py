"""`train`: from a folder of DICOM files to weights with a card, and on where it was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.cli.main import run
from pipelines.networks.weights import read_model
from tests.factories import a_tomo, changed, setting
from tests.pipelines.training.studies import a_study


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with TOMO images of three patients, deep in it, and with other things."""
    folder = tmp_path / "archive"
    for number in range(3):
        place = folder / f"patient-{number}" / "study"
        place.mkdir(parents=True)
        file = changed(a_tomo(a_study(number, rows=16, columns=16)), setting(PatientID=f"VIRTUAL-{number}"))
        (place / "tomo.dcm").write_bytes(file)
    (folder / "notes.txt").write_text("no DICOM")
    derived = setting(PatientID="VIRTUAL-9", ImageType=["DERIVED", "PRIMARY", "TOMO", "EMISSION"])
    (folder / "denoised.dcm").write_bytes(changed(a_tomo(a_study(9)), derived))
    return folder


def train(data: Path, out: Path, *options: str, guard_minutes: float = 0) -> int:
    whither = ["--data", str(data), "--out", str(out), "--guard-minutes", str(guard_minutes)]
    return run(["train", "denoiser", *whither, "--epochs", "3", *options])


def test_a_folder_of_studies_becomes_weights_with_a_card_and_curves(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    assert train(archive, out, "--name", "site", "--members", "2") == 0
    told = capsys.readouterr()
    assert told.out == f"{out / 'site.json'}\n"
    assert "3 sets of projections; 2 other files" in told.err
    card = read_model("site", out).card
    assert card.members == 2
    assert card.domain["patients"] == 2  # the third one chose the weights
    assert (card.domain["camera_models"], card.domain["collimators"]) == (["Virtual camera"], ["LEHR"])
    assert card.evidence == "virtual patients - not clinical evidence"
    assert {path.name for path in out.iterdir()} >= {"curves.json", "curves.png"}


def test_a_training_ends_with_the_guards_thresholds(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(archive, tmp_path / "model", guard_minutes=0.01) == 0
    assert "thresholds of the guard: 7 runs of 1 held-out patients" in capsys.readouterr().err
    assert read_model("denoiser", tmp_path / "model").card.thresholds


def test_a_site_goes_on_from_networks_that_have_learned_elsewhere(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert train(archive, first, "--members", "2") == 0
    assert train(archive, second, "--start-from", str(first)) == 0
    begun, gone_on = read_model("denoiser", first).card, read_model("denoiser", second).card
    assert gone_on.settings["started_from"] == begun.sha256
    assert gone_on.members == 2
    dose = "held-out deviance per pixel at dose 0.25"
    assert gone_on.figures[dose] < begun.figures[dose]
    assert train(archive, tmp_path / "third", "--start-from", str(tmp_path / "nowhere")) == 64
    assert "there is no such model card" in " ".join(capsys.readouterr().err.split())


def test_the_same_command_goes_on_and_another_one_is_refused(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    assert train(archive, out) == 0
    weights = (out / "denoiser.safetensors").read_bytes()
    assert train(archive, out) == 0
    assert (out / "denoiser.safetensors").read_bytes() == weights
    assert train(archive, out, "--seed", "1") == 65
    assert "other settings or other data" in capsys.readouterr().err


def test_a_folder_without_projections_is_unsuitable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM")
    assert train(tmp_path, tmp_path / "model") == 65
    assert "found no NM TOMO or GATED TOMO image" in capsys.readouterr().err


def test_a_budget_is_given_once(archive: Path, tmp_path: Path) -> None:
    assert train(archive, tmp_path / "model", "--minutes", "1") == 64


def test_the_papers_network_never_goes_on_from_another(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(archive, tmp_path / "model", "--model", "paper", "--start-from", "shipped") == 64
    assert "starts from chance" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_named(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(archive, tmp_path / "model", "--device", "abacus") == 64
    assert "'abacus' can't be used here" in capsys.readouterr().err


def test_the_papers_network_takes_its_own_matrix_alone(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(archive, tmp_path / "model", "--model", "paper", "--dose", "0.5") == 65
    assert "64 x 64 alone" in capsys.readouterr().err
