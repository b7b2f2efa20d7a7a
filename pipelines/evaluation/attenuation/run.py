"""An attenuation evaluation in a folder: each scan's record is written when it is made, so that a run goes on.

run.json            what decides the numbers: networks, seed, simulator, normal limits
scans/<scan>.json   and <scan>.npz: one scan (`record`, `arrays`)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.cardiac.limits_library import KEYS, limits_for
from pipelines.evaluation.attenuation.arrays import write_arrays
from pipelines.evaluation.attenuation.cases import evaluate
from pipelines.evaluation.attenuation.models import ModelChoice, Models, load_models
from pipelines.evaluation.attenuation.record import ScanRecord, read_record, scan_name, write_record
from pipelines.evaluation.run_folder import begin, usable
from pipelines.simulation.cohort import Split, StudyPlan, plan_attenuation_cohort
from pipelines.simulation.virtual_patient import REVISION

EVALUATION = 1  # grows whenever a record comes to mean something else
SCANS = "scans"  # the folder
CAMERA = "symbia"  # parallel holes with a scatter window: all methods and both roads can be tried
OTHERS = ("iq-spect", "discovery", "prospect", "brightview")  # the paper's own first, of which reconstructions are had
SEED = 30  # of the cohort; trainings use others


@dataclass(frozen=True)
class ScanOrder:
    """One scan to be evaluated, by whatever process."""

    plan: StudyPlan
    camera: str
    folder: Path
    models: ModelChoice

    @property
    def name(self) -> str:
        """What the scan's files are called."""
        return scan_name(self.camera, self.plan.patient, self.plan.study)


def open_run(folder: Path, seed: int, models: ModelChoice) -> Models:
    """Begin a run in a folder, or go on with the same one, and return its networks.

    Raises OtherRun if the folder holds records that were made otherwise, UnusableNetworks if weights are missing or
    damaged.
    """
    loaded = usable(lambda: load_models(models))
    begin(folder, _stated(seed, loaded), [SCANS])
    return loaded


def _stated(seed: int, models: Models) -> dict[str, object]:
    """Return all that decides the numbers, as JSON holds it."""
    limits = [limits_for(key.sex.value, key.state.value, key.corrected) for key in KEYS]
    return {
        "evaluation": EVALUATION,
        "simulator": REVISION,
        "seed": seed,
        "networks": dict(sorted(models.sha256.items())),
        "normal limits": [one.sha256 for one in limits if one is not None],
    }


def plans_of(seed: int, patients: int | None = None) -> tuple[StudyPlan, ...]:
    """Return the scans of a cohort's test patients, or of the first few of them."""
    plans = [plan for plan in plan_attenuation_cohort(seed) if plan.split is Split.TEST]
    chosen = list(dict.fromkeys(plan.patient for plan in plans))[:patients]
    return tuple(plan for plan in plans if plan.patient in chosen)


def scan_orders(
    folder: Path, seed: int, models: ModelChoice, patients: int | None, others: int
) -> tuple[ScanOrder, ...]:
    """Return all scans: of the test patients on the main camera, and of the first `others` of them on each other."""
    main = [ScanOrder(plan, CAMERA, folder, models) for plan in plans_of(seed, patients)]
    return (*main, *_on_other_cameras(folder, models, plans_of(seed, others) if others else ()))


def _on_other_cameras(folder: Path, models: ModelChoice, plans: Sequence[StudyPlan]) -> list[ScanOrder]:
    return [ScanOrder(plan, camera, folder, models) for camera in OTHERS for plan in plans]


def scan_record(order: ScanOrder) -> ScanRecord:
    """Return a scan's record: the one that is there, else made now and written, its images first."""
    path = order.folder / SCANS / f"{order.name}.json"
    arrays = path.with_suffix(".npz")
    if path.exists() and arrays.exists():
        return read_record(path)
    whole = order.camera == CAMERA
    record, images = evaluate(order.plan, order.camera, load_models(order.models), whole=whole)
    write_arrays(arrays, images)
    write_record(path, record)
    return record
