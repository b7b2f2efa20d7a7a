"""`evaluate denoising`: goes on from records, writes tables and figures, refuses another run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dicomnode.cli.main import run
from pipelines.evaluation.denoising.arrays import PatientArrays, arrays_path, write_arrays
from pipelines.evaluation.denoising.low_dose_table import plans
from pipelines.evaluation.denoising.methods import ModelChoice
from pipelines.evaluation.denoising.record import write_record
from pipelines.evaluation.denoising.run import PATIENTS, open_run
from tests.pipelines.evaluation.denoising.records import a_record, tiny_models


def a_run(folder: Path) -> list[str]:
    """Write the records of two patients; return the command that goes on from them."""
    tiny_models(folder / "models")
    (folder / "out" / PATIENTS).mkdir(parents=True)
    for plan in plans(1, 2):
        write_record(
            folder / "out" / PATIENTS / f"{plan.patient}.json", a_record(plan.patient, np.random.default_rng(1))
        )
        images = PatientArrays(plan.patient, (0.0,), (6.4, 6.4), 6.4, (0, 64), ())
        write_arrays(arrays_path(folder / "out" / PATIENTS, plan.patient), images)
    named = ["--model", "tiny", "--models", str(folder / "models"), "--patients", "2", "--normals", "0"]
    return ["evaluate", "denoising", "--out", str(folder / "out"), *named]


def test_it_goes_on_from_records_and_writes_tables_and_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*a_run(tmp_path), "--json"]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    notes = (tmp_path / "out" / "figures" / "left_out.txt").read_text().splitlines()
    assert told.err.splitlines() == [f"figure {note.replace(':', ' left out:', 1)}" for note in notes]
    assert "figure fig_05_voxel_correlation left out: it shows a spread over patients: 2 are too few" in told.err
    assert document["evidence"] == "virtual patients - not clinical evidence"
    assert (document["patients"], document["model"]) == (2, "tiny 0.1, 1 networks")
    out = tmp_path / "out"
    assert json.loads((out / "tables.json").read_text()) == document
    assert "2 virtual patients" in (out / "tables.md").read_text()
    assert (out / "worklist.csv").exists()
    assert list((out / "figures").glob("*.png"))


def test_records_of_another_run_are_refused_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = a_run(tmp_path)
    open_run(tmp_path / "out", 2, ModelChoice("tiny", tmp_path / "models"))
    assert run(command) == 64
    assert "seed differs" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "denoising", "--out", str(tmp_path / "out"), "--models", str(tmp_path)]) == 64
    assert "no such model card" in capsys.readouterr().err
