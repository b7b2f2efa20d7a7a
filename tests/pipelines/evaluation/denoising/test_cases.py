"""One virtual patient through the whole denoising evaluation, by the real road."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pipelines.evaluation.denoising.arrays import FULL_DOSE, NOISE_FREE, Kind, PatientArrays, image_name
from pipelines.evaluation.denoising.cases import Case, evaluate
from pipelines.evaluation.denoising.detection import evaluate_normal, false_defects, missed_defects, plan_normals
from pipelines.evaluation.denoising.low_dose_table import plans
from pipelines.evaluation.denoising.methods import Models, estimates, load_models
from pipelines.evaluation.denoising.reading import projection_quality
from pipelines.evaluation.denoising.record import Dose, Method, PatientRecord
from tests.pipelines.evaluation.denoising.records import tiny_models

METHODS = (Method.LOW_DOSE, Method.FULL)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return load_models(tiny_models(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def case() -> Case:
    return Case.of(plans(1, 1)[0])


@pytest.fixture(scope="module")
def made(case: Case, models: Models) -> tuple[PatientRecord, PatientArrays]:
    return evaluate(case, models, METHODS, (Dose.HALF,))


def test_nothing_that_does_not_know_the_truth_is_better_than_the_ceiling(case: Case, models: Models) -> None:
    errors = []
    for dose in Dose:
        low = case.low(dose).ungated()
        tried = {**estimates(low, dose, models, METHODS), "ceiling": case.ceiling(low, dose)}
        of = {name: projection_quality(Method.FULL, estimate, case.full).rmse for name, estimate in tried.items()}
        assert of["ceiling"] < of[Method.FULL] < of[Method.LOW_DOSE]
        errors.append(of)
    for less, more in pairwise(errors):
        assert all(less[name] < more[name] for name in less)  # the lower the dose, the farther from full dose


def test_the_ceiling_is_as_far_from_the_full_dose_as_the_counts_that_are_missing_vary(case: Case) -> None:
    low = case.low(Dose.QUARTER)
    off = case.ceiling(low, Dose.QUARTER).projections.counts - case.study.projections.counts
    missing = 0.75 * case.study.expected.counts
    assert float(np.square(off).sum()) == pytest.approx(float(missing.sum()), rel=0.02)  # Poisson: variance is mean


def test_each_method_is_judged_beside_ceiling_and_truth(made: tuple[PatientRecord, PatientArrays]) -> None:
    record, _ = made
    (judged,) = record.methods.values()
    assert set(judged) == {method.value for method in METHODS}
    low = judged[Method.LOW_DOSE.value]
    assert record.ceiling["half"].rmse < low.projection.rmse
    assert record.image_ceiling["half"].rmse < low.image.rmse
    assert low.image_whole.rmse < low.image.rmse  # most of a reconstruction is empty, and the liver sets its scale
    assert low.projection_truth_percent > record.full_dose_projection_truth_percent
    assert low.image_truth_percent > record.full_dose_image_truth_percent
    assert record.gated_ceiling.rmse < record.gated[Method.LOW_DOSE.value].rmse


def test_the_full_dose_is_read_near_the_truth(made: tuple[PatientRecord, PatientArrays]) -> None:
    record, _ = made
    assert record.full_dose is not None
    assert record.full_dose.wall_ml == pytest.approx(record.truth.wall_ml, rel=0.25)
    assert record.full_dose.defect_ml == pytest.approx(record.full_dose.extent_percent / 100 * record.full_dose.wall_ml)
    assert record.gated_ejection_percent[FULL_DOSE] == pytest.approx(record.gated_ejection_percent["truth"], abs=15)
    assert record.gated_beat_percent[FULL_DOSE] == pytest.approx(100, abs=20)
    assert record.gated_beat_percent[Method.LOW_DOSE.value] == pytest.approx(100, abs=40)


def test_images_are_kept_for_figures_in_one_frame_and_on_one_scale(made: tuple[PatientRecord, PatientArrays]) -> None:
    record, arrays = made
    assert arrays.patient == record.patient
    full, low = (arrays.get(Kind.PROJECTIONS, name) for name in (FULL_DOSE, image_name(Dose.HALF, Method.LOW_DOSE)))
    assert full is not None
    assert low is not None
    assert full.sum() == pytest.approx(1e6 * record.million_counts, rel=1e-3)
    assert low.sum() == pytest.approx(full.sum(), rel=0.01)
    names = {NOISE_FREE, FULL_DOSE, *(image_name(Dose.HALF, method) for method in METHODS)}
    for kind in (Kind.PROJECTIONS, Kind.SHORT_AXIS, Kind.VERTICAL_LONG_AXIS, Kind.HORIZONTAL_LONG_AXIS):
        assert set(arrays.images[kind]) == names
        assert len({image.shape for image in arrays.images[kind].values()}) == 1
    gated = arrays.get(Kind.GATED_PROJECTIONS, FULL_DOSE)
    assert gated is not None
    assert gated.shape == (8, len(arrays.gated_views), 64, 64)
    assert gated.sum(axis=0) == pytest.approx(full[list(arrays.gated_views)])  # gates and their sum are one study


def test_gates_are_thinned_one_by_one_so_that_their_sum_is_the_ungated_low_dose(
    made: tuple[PatientRecord, PatientArrays],
) -> None:
    _, arrays = made
    name = image_name(Dose.HALF, Method.LOW_DOSE)
    gates, low = arrays.get(Kind.GATED_PROJECTIONS, name), arrays.get(Kind.PROJECTIONS, name)
    full = arrays.get(Kind.PROJECTIONS, FULL_DOSE)
    assert gates is not None
    assert low is not None
    assert full is not None
    assert gates.sum(axis=0) == pytest.approx(low[list(arrays.gated_views)])
    assert np.array_equal(low / 2, np.rint(low / 2))  # whole counts of half the dose,
    assert np.all(low / 2 <= full)  # each of which the full dose holds, too


def test_a_normal_heart_is_read_at_full_and_low_dose(models: Models) -> None:
    (plan,) = plan_normals(1, 1)
    record = evaluate_normal(plan, models, (Method.LOW_DOSE,), (Dose.EIGHTH,))
    assert record.full_dose is not None
    assert record.full_dose < 10
    assert record.noise_free is not None
    assert list(record.methods) == ["eighth"]
    assert list(record.methods["eighth"]) == ["low dose"]
    assert record.methods["eighth"]["low dose"] != record.full_dose


def test_shares_leave_out_hearts_that_were_not_found() -> None:
    found = false_defects([6.0, 5.0, None, 1.0])
    missed = missed_defects([6.0, 5.0, None])
    assert found is not None
    assert missed is not None
    assert (found.number, found.of) == (1, 3)
    assert (missed.number, missed.of) == (1, 2)
    assert found.low_percent < found.percent < found.high_percent
    assert false_defects([None]) is None
