"""A denoising evaluation in a folder: it goes on where it stopped, and never onto records made otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.evaluation.denoising.arrays import PatientArrays, arrays_path, write_arrays
from pipelines.evaluation.denoising.detection import write_normal
from pipelines.evaluation.denoising.methods import load_models
from pipelines.evaluation.denoising.record import write_record
from pipelines.evaluation.denoising.run import (
    NORMALS,
    PATIENTS,
    normal_orders,
    normal_record,
    open_run,
    patient_orders,
    patient_record,
)
from pipelines.evaluation.run_folder import OtherRun
from pipelines.simulation.cohort import Split
from tests.pipelines.evaluation.denoising.records import a_normal, a_record, tiny_models


def test_a_patient_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    models = tiny_models(tmp_path / "models")
    open_run(tmp_path, 1, models)
    (order,) = patient_orders(tmp_path, 1, models, 1)
    record = a_record(order.plan.patient, np.random.default_rng(3))
    write_record(tmp_path / PATIENTS / f"{order.plan.patient}.json", record)
    images = PatientArrays(order.plan.patient, (0.0,), (6.4, 6.4), 6.4, (0, 64), ())
    write_arrays(arrays_path(tmp_path / PATIENTS, order.plan.patient), images)
    assert patient_record(order) == record
    (heart,) = normal_orders(tmp_path, 1, models, 1)
    normal = a_normal(heart.plan.patient, 2.0, None)
    write_normal(tmp_path / NORMALS / f"{heart.plan.patient}.json", normal)
    assert normal_record(heart) == normal


def test_the_same_run_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    models = tiny_models(tmp_path / "models")
    assert open_run(tmp_path, 1, models).described == "tiny 0.1, 1 networks"
    open_run(tmp_path, 1, models)
    with pytest.raises(OtherRun, match="seed differs from those of this run"):
        open_run(tmp_path, 2, models)
    tiny_models(tmp_path / "models")  # other random weights under the same name
    load_models.cache_clear()
    with pytest.raises(OtherRun, match="networks differs"):
        open_run(tmp_path, 1, replace(models))
    stated = json.loads((tmp_path / "run.json").read_text())
    assert stated["seed"] == 1
    assert len(stated["normal limits"]) == 4


def test_a_folder_whose_run_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[")
    with pytest.raises(OtherRun, match="can't be read"):
        open_run(tmp_path, 1, tiny_models(tmp_path / "models"))


def test_the_patients_are_those_held_out_and_the_normal_hearts_are_nobody_elses(tmp_path: Path) -> None:
    models = tiny_models(tmp_path / "models")
    patients = patient_orders(tmp_path, 1, models, None)
    hearts = normal_orders(tmp_path, 1, models, 70)
    assert len(patients) == 35
    assert {order.plan.split for order in patients} == {Split.TEST}
    seeds = {order.plan.patient for order in hearts}
    assert len(seeds) == 70
    assert min(seeds) > 1_000_000_000  # no cohort and no normal limits go there
    assert sum(order.plan.sex.value == "F" for order in hearts) == 40
    assert sum(order.plan.state.value == "stress" for order in hearts) == 35
