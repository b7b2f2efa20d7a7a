"""`search`: a few short trainings from a folder of pairs, tables and figure, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dicomnode.cli.main import run
from pipelines.training.mu_map_data import write_pair
from tests.pipelines.training.maps import a_pair


def test_a_search_writes_journal_tables_and_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, part in enumerate(("train", "validation", "test")):
        write_pair(tmp_path / "data" / f"{seed}.npz", a_pair(seed, part))
    command = ["search", "--budget", "2", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert run([*command, "--epochs", "0.1", "--width-share", "0.02", "--device", "cpu", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["trainings"] == 2
    assert "training 2 of 2: " in told.err
    assert len((tmp_path / "out" / "journal.jsonl").read_text().splitlines()) == 2
    assert (tmp_path / "out" / "figures" / "fig_03_choices.png").exists()
    assert run([*command, "--epochs", "0.2", "--width-share", "0.02"]) == 64
    assert "epochs differs" in capsys.readouterr().err


def test_epochs_and_minutes_together_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--epochs", "1", "--minutes-per-run", "1"]
    assert run(["search", "--budget", "1", "--out", str(tmp_path), *asked]) == 64
    assert "not both" in capsys.readouterr().err
