"""`search`: a few short trainings from a folder of pairs, tables and figure, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dicomnode.cli.main import run
from dicomnode.cli.search import Scale, shown_search
from pipelines.training.mu_map_data import write_pair
from pipelines.training.progress import Checked
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


def test_a_cpu_is_given_what_it_can_do_in_minutes_unless_options_say_otherwise() -> None:
    whole = Scale(150, None, None, None)
    assert (whole.usual_epochs, whole.words) == (100.0, "")
    small = whole.for_cpu(None)
    assert (small.scans, small.usual_epochs, small.minutes, small.width_share) == (10, None, 2.0, 0.25)
    assert small.words.startswith("scaled for a CPU: 10 virtual scans in place of 150; 2 minutes for each training")
    asked = Scale(40, 3.0, None, 0.5)
    assert asked.for_cpu(40) == asked
    named = Scale(None, 3.0, None, None).for_cpu(None)
    assert (named.scans, named.usual_epochs, named.width_share) == (None, 3.0, 0.25)
    assert "scans" not in named.words


def test_progress_within_a_training_is_told_by_quarters_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown_search(2) as (report, _):
        for training in range(2):
            for percent in range(10, 101, 10):
                report(training, Checked(percent, 1.0, percent / 100, 6.0 * percent, 0.02, 0.03))
    told = capsys.readouterr().err.splitlines()
    assert [line.split(" %")[0] for line in told] == [
        *(f"training 1 of 2: {percent}" for percent in (30, 60, 90)),
        *(f"training 2 of 2: {percent}" for percent in (30, 60, 90)),
    ]
    assert told[0] == "training 1 of 2: 30 %, 180 s, held out 0.03000, training 0.02000"
