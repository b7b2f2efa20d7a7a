"""An attenuation evaluation in a folder: it goes on where it stopped, and never onto records made otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.evaluation.attenuation.arrays import write_arrays
from pipelines.evaluation.attenuation.models import ModelChoice, load_models
from pipelines.evaluation.attenuation.record import write_record
from pipelines.evaluation.attenuation.run import (
    CAMERA,
    OTHERS,
    SCANS,
    open_run,
    plans_of,
    scan_orders,
    scan_record,
)
from pipelines.evaluation.run_folder import OtherRun, UnusableNetworks
from pipelines.simulation.cohort import Split
from tests.pipelines.evaluation.attenuation.records import TINY_PAPER, a_scan, tiny_models


def a_choice(folder: Path, *, paper: bool = True) -> ModelChoice:
    tiny_models(folder / "models")
    load_models.cache_clear()
    return ModelChoice("tiny", folder / "models", folder / "models" if paper else None)


def test_a_scan_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    choice = a_choice(tmp_path)
    open_run(tmp_path, 30, choice)
    order = scan_orders(tmp_path, 30, choice, 2, 0)[0]
    record, arrays = a_scan()
    write_arrays(tmp_path / SCANS / f"{order.name}.npz", arrays)
    write_record(tmp_path / SCANS / f"{order.name}.json", record)
    assert scan_record(order) == record


def test_the_same_run_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    choice = a_choice(tmp_path)
    assert open_run(tmp_path, 30, choice).described == "tiny 0.1, 2 networks"
    open_run(tmp_path, 30, choice)
    with pytest.raises(OtherRun, match="seed differs from those of this run"):
        open_run(tmp_path, 31, choice)
    load_models.cache_clear()
    with pytest.raises(OtherRun, match="networks differs"):
        open_run(tmp_path, 30, ModelChoice("tiny", tmp_path / "models"))
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(OtherRun, match="can't be read"):
        open_run(tmp_path, 30, choice)


def test_networks_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableNetworks, match="mu-map"):
        open_run(tmp_path, 30, ModelChoice(folder=tmp_path))


def test_the_papers_network_comes_back_with_its_settings_and_says_its_size(tmp_path: Path) -> None:
    paper = load_models(a_choice(tmp_path)).paper
    assert paper is not None
    assert paper.settings == TINY_PAPER
    assert paper.words == "compact copy"
    assert load_models(a_choice(tmp_path, paper=False)).paper is None


def test_test_patients_alone_are_scanned_with_all_their_scans(tmp_path: Path) -> None:
    plans = plans_of(30)
    assert {plan.split for plan in plans} == {Split.TEST}
    assert len({plan.patient for plan in plans}) == 15
    assert plans_of(30, 3) == plans[: len(plans_of(30, 3))]
    orders = scan_orders(tmp_path, 30, ModelChoice(), 3, 1)
    assert {order.camera for order in orders} == {CAMERA, *OTHERS}
    assert len({order.name for order in orders}) == len(orders)
    assert len([one for one in orders if one.camera == "prospect"]) == len(plans_of(30, 1))
