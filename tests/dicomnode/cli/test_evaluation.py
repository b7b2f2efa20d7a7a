"""`evaluate`: the tables that it prints and writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.cli.main import run

ROOT = Path(__file__).parents[3]


def test_low_dose_prints_one_document_and_writes_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "low-dose"
    assert run(["evaluate", "low-dose", "--patients", "2", "--out", str(out), "--json"]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert told.err == ""  # no progress where no terminal is
    assert document["evidence"] == "virtual patients - not clinical evidence"
    assert [row["quantity"] for row in document["table"]] == ["PSNR"] * 3 + ["SSIM"] * 3 + ["RMSE"] * 3
    assert json.loads((out / "tables.json").read_text()) == document
    assert "2 virtual patients (no clinical evidence)" in (out / "tables.md").read_text()


def test_one_patient_is_too_few(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "low-dose", "--patients", "1"]) == 64
    assert "--patients" in capsys.readouterr().err


def test_the_command_line_loads_no_statistics_before_they_are_asked_for() -> None:
    question = "import sys, dicomnode.cli.main; print(*{'scipy', 'skimage', 'statsmodels', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
