"""What is picked from the records and images that the denoising figures are drawn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.evaluation.denoising.figures.material import Material, Missing, middle_one
from pipelines.evaluation.denoising.record import Dose, Method
from tests.pipelines.evaluation.denoising.figure_records import ALL, UNTRAINED, a_cohort, a_record, write_some_arrays


def test_methods_that_no_record_holds_are_left_out(tmp_path: Path) -> None:
    assert Material(a_cohort(UNTRAINED)[:3], tmp_path).methods() == UNTRAINED
    assert Material(a_cohort()[:3], tmp_path).methods() == ALL


def test_a_method_that_one_patient_alone_has_counts_that_patient_alone(tmp_path: Path) -> None:
    material = Material((a_record(1), a_record(2, methods=UNTRAINED)), tmp_path)
    found = material.values(Dose.HALF, Method.PAPER, lambda one: one.projection.rmse)
    assert found.tolist() == [material.records[0].methods["half"]["paper's network"].projection.rmse]


def test_without_images_a_patient_is_named(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="patient 7"):
        Material((a_record(7),), tmp_path).arrays(a_record(7))


def test_only_patients_with_images_are_shown(tmp_path: Path) -> None:
    records = (a_record(1), a_record(2))
    write_some_arrays(tmp_path, records[1:])
    assert Material(records, tmp_path).with_images() == records[1:]


def test_the_middle_one_is_the_median_and_of_two_the_lower() -> None:
    records = [replace(a_record(number), million_counts=counts) for number, counts in enumerate((3.0, 1.0, 2.0, 9.0))]
    assert middle_one(records, lambda record: record.million_counts).million_counts == 2.0
    assert middle_one(records[:3], lambda record: record.million_counts).million_counts == 2.0
