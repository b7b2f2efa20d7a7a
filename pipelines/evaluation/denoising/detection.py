"""Defects that denoising makes or hides: the total perfusion deficit of normal hearts, read at each dose.

A false defect is a normal heart whose deficit is read above 5 %, a missed one an ill heart that is read below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from pipelines.contract import CardiacState
from pipelines.evaluation.denoising.cases import limits_of
from pipelines.evaluation.denoising.low_dose_table import CAMERA
from pipelines.evaluation.denoising.methods import Models, estimates
from pipelines.evaluation.denoising.reading import read
from pipelines.evaluation.denoising.record import Dose, Method, PatientRecord
from pipelines.images import Projections
from pipelines.networks.weights import write_whole
from pipelines.simulation.acquisition import thin
from pipelines.simulation.anatomy import Position, Sex
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import StudySettings, scan
from pipelines.simulation.virtual_patient import make_patient

ABNORMAL_TPD_PERCENT = 5.0  # above
METHODS = (Method.LOW_DOSE, Method.GAUSSIAN, Method.PAPER, Method.FOR_IMAGES, Method.FULL)
# far above every other seed: 100 000 times the cohort's, 8000 to 8159 of the normal limits
_FIRST_SEED, _SEEDS_PER_COHORT = 1_000_000_000, 100_000
_WOMEN_OF_SEVEN = 4  # 20 women to 15 men, as among the test patients


@dataclass(frozen=True)
class NormalPlan:
    """A normal heart to be made; women lie supine, men prone, as in the denoising cohort."""

    patient: int
    sex: Sex
    state: CardiacState


@dataclass(frozen=True)
class NormalRecord:
    """The total perfusion deficits in percent that were read from one normal heart; None: no ventricle was found."""

    patient: int
    sex: str
    state: str
    full_dose: float | None
    noise_free: float | None
    methods: Mapping[str, Mapping[str, float | None]]  # [dose][method]


def plan_normals(seed: int, number: int) -> tuple[NormalPlan, ...]:
    """Return normal patients, four women to three men, stress and rest in turn; the first ones are always the same."""
    first = _FIRST_SEED + seed * _SEEDS_PER_COHORT
    return tuple(
        NormalPlan(
            first + place,
            Sex.FEMALE if place % 7 < _WOMEN_OF_SEVEN else Sex.MALE,
            CardiacState.STRESS if place % 2 == 0 else CardiacState.REST,
        )
        for place in range(number)
    )


def evaluate_normal(
    plan: NormalPlan,
    models: Models,
    methods: tuple[Method, ...] = METHODS,
    doses: tuple[Dose, ...] = tuple(Dose),
) -> NormalRecord:
    """Make a normal heart, bring it to the camera, and read it at full and at low doses."""
    position = Position.SUPINE if plan.sex is Sex.FEMALE else Position.PRONE
    patient = make_patient(plan.patient, state=plan.state, sex=plan.sex, position=position, defects=())
    study = scan(patient, StudySettings(CAMERAS[CAMERA]), (plan.patient,))
    limits = limits_of(patient.truth)

    def deficit(projections: Projections) -> float | None:
        indices = read(projections, limits).indices
        return None if indices is None else indices.tpd_percent

    found: dict[str, dict[str, float | None]] = {}
    for dose in doses:
        rng = np.random.default_rng([plan.patient, 21, list(Dose).index(dose)])
        low = thin(study.projections, dose.fraction, rng)
        made = estimates(low, dose, models, methods)
        found[dose.value] = {method.value: deficit(one.projections) for method, one in made.items()}
    full_dose, noise_free = deficit(study.projections), deficit(study.expected)
    return NormalRecord(plan.patient, plan.sex.value, plan.state.value, full_dose, noise_free, found)


def write_normal(path: Path, record: NormalRecord) -> None:
    """Write a record so that it is whole or not there."""
    write_whole(path, json.dumps(asdict(record)).encode())


def read_normal(path: Path) -> NormalRecord:
    """Return a record; raises ValueError (or KeyError, TypeError) if the file is none."""
    return NormalRecord(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Share:
    """So many of so many, with the 95 % interval by Wilson."""

    number: int
    of: int
    low_percent: float
    high_percent: float

    @property
    def percent(self) -> float:
        """The share."""
        return 100.0 * self.number / self.of

    @classmethod
    def counted(cls, outcomes: Sequence[bool]) -> Share | None:
        """Return the share of outcomes that are true; None for none."""
        if not outcomes:
            return None
        interval = binomtest(sum(outcomes), len(outcomes)).proportion_ci(method="wilson")
        return cls(sum(outcomes), len(outcomes), 100.0 * float(interval.low), 100.0 * float(interval.high))


def false_defects(deficits: Sequence[float | None]) -> Share | None:
    """Return the share of normal hearts that are read as ill; those in which no ventricle was found don't count."""
    return Share.counted([value > ABNORMAL_TPD_PERCENT for value in deficits if value is not None])


def missed_defects(deficits: Sequence[float | None]) -> Share | None:
    """Return the share of ill hearts that are read as normal; those in which no ventricle was found don't count."""
    return Share.counted([value <= ABNORMAL_TPD_PERCENT for value in deficits if value is not None])


def truly_ill(records: Sequence[PatientRecord]) -> list[PatientRecord]:
    """Return the patients whose true total perfusion deficit is above 5 %."""
    return [record for record in records if record.truth.tpd_percent > ABNORMAL_TPD_PERCENT]
