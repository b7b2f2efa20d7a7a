"""A denoising evaluation in a folder: each patient's record is written when it is made, so that a run goes on.

run.json            what decides the numbers: networks, seed, simulator, normal limits, filters
patients/<n>.json   and <n>.npz: one test patient (`record`, `arrays`)
normals/<n>.json    one normal heart (`detection`)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.cardiac.limits_library import LimitsSex, LimitsState, limits_for
from pipelines.evaluation.denoising.arrays import arrays_path, write_arrays
from pipelines.evaluation.denoising.cases import Case, evaluate
from pipelines.evaluation.denoising.detection import (
    NormalPlan,
    NormalRecord,
    evaluate_normal,
    plan_normals,
    read_normal,
    write_normal,
)
from pipelines.evaluation.denoising.low_dose_table import CAMERA, plans
from pipelines.evaluation.denoising.methods import STRENGTHS, ModelChoice, Models, load_models
from pipelines.evaluation.denoising.record import PatientRecord, read_record, write_record
from pipelines.evaluation.run_folder import begin, usable
from pipelines.simulation.cohort import StudyPlan
from pipelines.simulation.virtual_patient import REVISION

EVALUATION = 2  # grows whenever a record comes to mean something else
PATIENTS, NORMALS = "patients", "normals"  # the folders


@dataclass(frozen=True)
class PatientOrder:
    """One test patient to be evaluated, by whatever process."""

    plan: StudyPlan
    folder: Path
    models: ModelChoice


@dataclass(frozen=True)
class NormalOrder:
    """One normal heart to be evaluated."""

    plan: NormalPlan
    folder: Path
    models: ModelChoice


def open_run(folder: Path, seed: int, models: ModelChoice) -> Models:
    """Begin a run in a folder, or go on with the same one, and return its networks.

    Raises OtherRun if the folder holds records that were made otherwise, UnusableNetworks if weights are missing or
    damaged.
    """
    loaded = usable(lambda: load_models(models))
    begin(folder, _stated(seed, loaded), [PATIENTS, NORMALS])
    return loaded


def _stated(seed: int, models: Models) -> dict[str, object]:
    """Return all that decides the numbers, as JSON holds it."""
    limits = [limits_for(sex.value, state.value, corrected=False) for sex in LimitsSex for state in LimitsState]
    return {
        "evaluation": EVALUATION,
        "simulator": REVISION,
        "camera": CAMERA,
        "seed": seed,
        "networks": dict(sorted(models.sha256.items())),
        "normal limits": [one.sha256 for one in limits if one is not None],
        "filters": {method.value: [of[dose] for dose in of] for method, of in STRENGTHS.items()},
    }


def patient_orders(folder: Path, seed: int, models: ModelChoice, number: int | None) -> list[PatientOrder]:
    """Return the test patients of a cohort, or the first few."""
    return [PatientOrder(plan, folder, models) for plan in plans(seed, number)]


def normal_orders(folder: Path, seed: int, models: ModelChoice, number: int) -> list[NormalOrder]:
    """Return so many normal hearts."""
    return [NormalOrder(plan, folder, models) for plan in plan_normals(seed, number)]


def patient_record(order: PatientOrder) -> PatientRecord:
    """Return a test patient's record: the one that is there, else made now and written, its images first."""
    folder = order.folder / PATIENTS
    path, arrays = folder / f"{order.plan.patient}.json", arrays_path(folder, order.plan.patient)
    if path.exists() and arrays.exists():
        return read_record(path)
    record, images = evaluate(Case.of(order.plan), load_models(order.models))
    write_arrays(arrays, images)
    write_record(path, record)
    return record


def normal_record(order: NormalOrder) -> NormalRecord:
    """Return a normal heart's record: the one that is there, else made now and written."""
    path = order.folder / NORMALS / f"{order.plan.patient}.json"
    if path.exists():
        return read_normal(path)
    record = evaluate_normal(order.plan, load_models(order.models))
    write_normal(path, record)
    return record
