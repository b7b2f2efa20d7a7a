"""`evaluate attenuation`: goes on from records, writes tables and figures, refuses what it can't judge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dicomnode.cli.main import run
from pipelines.evaluation.attenuation.arrays import write_arrays
from pipelines.evaluation.attenuation.models import ModelChoice, shipped_paper
from pipelines.evaluation.attenuation.record import write_record
from pipelines.evaluation.attenuation.run import SCANS, open_run, scan_orders
from pipelines.networks import model_card
from tests.pipelines.evaluation.attenuation.records import a_scan, tiny_models


def a_run(folder: Path) -> list[str]:
    """Write the records of two patients; return the command that goes on from them."""
    tiny_models(folder / "models")
    for order in scan_orders(folder / "out", 30, ModelChoice(), 2, 0):
        record, arrays = a_scan(order.plan.patient, study=order.plan.study)
        assert record.name == order.name
        write_arrays(folder / "out" / SCANS / f"{order.name}.npz", arrays)
        write_record(folder / "out" / SCANS / f"{order.name}.json", record)
    named = ["--model", "tiny", "--models", str(folder / "models"), "--paper", str(folder / "models")]
    return ["evaluate", "attenuation", "--out", str(folder / "out"), "--patients", "2", "--others", "0", *named]


def test_it_goes_on_from_records_and_writes_tables_and_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*a_run(tmp_path), "--json"]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["evidence"] == "virtual patients - not clinical evidence"
    assert (document["patients"], document["model"]) == (2, "tiny 0.1, 2 networks")
    assert document["paper_network"] == "compact copy"
    assert "figure fig_06_bland_altman left out: it compares scans: 2 are too few, 4 the least" in told.err
    out = tmp_path / "out"
    assert json.loads((out / "tables.json").read_text()) == document
    assert "## Goals" in (out / "tables.md").read_text()
    assert (out / "figures" / "fig_04_maps.png").exists()


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the shipped weights; empty."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(model_card, "SHIPPED", folder)
    return folder


def test_the_papers_network_that_is_shipped_is_judged_unless_it_is_left_out(
    tmp_path: Path, shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_models(tmp_path)
    assert shipped_paper() is None
    for name in ("paper-mu-map.json", "paper-mu-map.safetensors"):
        shutil.copy(tmp_path / name, shipped)
    assert shipped_paper() == shipped
    command = ["evaluate", "attenuation", "--model", "tiny", "--models", str(tmp_path)]
    open_run(tmp_path / "bare", 30, ModelChoice("tiny", tmp_path))
    assert run([*command, "--out", str(tmp_path / "bare")]) == 64, "the run there is one without the paper's network"
    assert "networks differs" in capsys.readouterr().err
    open_run(tmp_path / "both", 30, ModelChoice("tiny", tmp_path, shipped))
    assert run([*command, "--out", str(tmp_path / "both"), "--without-paper"]) == 64
    assert "networks differs" in capsys.readouterr().err
    assert run([*command, "--out", str(tmp_path / "both"), "--without-paper", "--paper", str(shipped)]) == 64
    assert "not both" in capsys.readouterr().err


def test_another_seed_in_the_same_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = a_run(tmp_path)
    assert run([*command, "--json"]) == 0
    capsys.readouterr()
    assert run([*command, "--seed", "31"]) == 64
    assert "seed differs" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "attenuation", "--out", str(tmp_path / "out"), "--models", str(tmp_path)]) == 64
    assert "--model" in capsys.readouterr().err
