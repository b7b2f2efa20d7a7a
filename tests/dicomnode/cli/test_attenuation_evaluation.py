"""`evaluate attenuation`: goes on from records, writes tables and figures, refuses what it can't judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dicomnode.cli.main import run
from pipelines.evaluation.attenuation.arrays import write_arrays
from pipelines.evaluation.attenuation.models import ModelChoice
from pipelines.evaluation.attenuation.record import write_record
from pipelines.evaluation.attenuation.run import SCANS, scan_orders
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


def test_another_seed_in_the_same_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = a_run(tmp_path)
    assert run([*command, "--json"]) == 0
    capsys.readouterr()
    assert run([*command, "--seed", "31"]) == 64
    assert "seed differs" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "attenuation", "--out", str(tmp_path / "out"), "--models", str(tmp_path)]) == 64
    assert "--model" in capsys.readouterr().err
