"""`simulate --cohort`: the papers' groups as files, split and named, by one process or several, in one run or more."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomnode.cli.main import run
from dicomnode.objects.header import read_header
from dicomnode.objects.reader import read_acquisition
from dicomnode.study import InstanceContent
from pipelines.simulation.camera import CAMERAS, IQ_SPECT, PROSPECT
from pipelines.simulation.cohort import StudySettings, make_study, plan_denoising_cohort


def simulate(out: Path, *options: str) -> int:
    return run(["simulate", "--seed", "5", "--out", str(out), *options])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def truths(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "truth").iterdir())]


@pytest.fixture(scope="module")
def denoising(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small denoising cohort, made by two processes."""
    out = tmp_path_factory.mktemp("denoising")
    assert simulate(out, "--cohort", "denoising", "--patients", "7", "--jobs", "2") == 0
    return out


def test_a_cohort_is_split_into_folders_and_its_truth_names_split_and_risk(denoising: Path) -> None:
    written = truths(denoising)
    assert len(written) == 7
    assert Counter(truth["cohort"]["split"] for truth in written) == {"train": 5, "validation": 1, "test": 1}
    for truth in written:
        (name,) = truth["files"]["tomo"]
        assert name.startswith(f"{truth['cohort']['split']}/VIRTUAL-DENOISING-0005-")
        assert truth["cohort"]["name"] == "denoising"
        assert truth["cohort"]["risk"] in {"healthy", "low", "intermediate", "severe"}
        assert truth["patient"]["position"] == {"F": "supine", "M": "prone"}[truth["patient"]["sex"]]
        assert read_header(denoising / name).content is InstanceContent.PROJECTIONS


def test_the_files_hold_the_counts_of_the_plan(denoising: Path) -> None:
    plan = plan_denoising_cohort(5, train=6, test=1)[-1]
    (file,) = (denoising / "test").glob("*.dcm")
    read = read_acquisition(file).projections
    assert read is not None
    made = make_study(plan, StudySettings(PROSPECT)).projections
    np.testing.assert_array_equal(read.counts, made.counts)


def test_a_run_that_was_cut_off_goes_on_and_one_process_makes_the_same_bytes(
    denoising: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(denoising)
    lost = sorted((denoising / "train").iterdir())[2]
    lost.unlink()
    assert simulate(denoising, "--cohort", "denoising", "--patients", "7") == 0
    assert contents(denoising) == before
    told = capsys.readouterr()
    assert "6 of 7 studies lay there complete" in told.err
    assert len(told.out.splitlines()) == 7


def test_the_attenuation_cohort_has_reconstructions_and_maps_and_splits_patients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_views = replace(IQ_SPECT, matrix=64, pixel_size_mm=9.6, protocol=replace(IQ_SPECT.protocol, views=17))
    monkeypatch.setitem(CAMERAS, IQ_SPECT.name, few_views)  # the whole camera takes twice as long
    assert simulate(tmp_path, "--cohort", "attenuation", "--patients", "3") == 0
    written = truths(tmp_path)
    assert len(written) == 4  # one of the three has stress and rest
    assert {tuple(sorted(truth["files"])) for truth in written} == {("map", "recon")}
    splits: dict[str, set[str]] = {}
    for truth in written:
        splits.setdefault(str(truth["patient"]["seed"]), set()).add(truth["cohort"]["split"])
    assert sorted(len(names) for names in splits.values()) == [1, 1, 1]


def test_how_many_must_be_said_where_there_is_no_cohort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path) == 64
    assert "say how many" in " ".join(capsys.readouterr().err.split())
