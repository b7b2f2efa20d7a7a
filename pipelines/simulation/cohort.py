"""Groups of virtual patients as the papers had them: who is in training or test, how ill, at stress or at rest.

A plan is drawn at once from a seed and is cheap; each study is then made from its own plan alone, in any order and by
any number of processes, so that an interrupted cohort goes on where it stopped and comes out the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import numpy as np

from pipelines.contract import CardiacState
from pipelines.images import Projections, Volume
from pipelines.simulation.acquisition import Motion, expect
from pipelines.simulation.anatomy import Position, Sex, draw_cycle
from pipelines.simulation.camera import Camera
from pipelines.simulation.registration import Misregistration, attenuation_map, computed_tomography
from pipelines.simulation.truth import AcquisitionTruth, RegistrationTruth
from pipelines.simulation.uptake import Defect, WallUptake, draw_defect, perfusion_truth
from pipelines.simulation.virtual_patient import VirtualPatient, make_patient

T = TypeVar("T")


class Risk(Enum):
    """How much of the wall is ill, by the true total perfusion deficit in %."""

    HEALTHY = "healthy"
    LOW = "low"
    INTERMEDIATE = "intermediate"
    SEVERE = "severe"

    @property
    def deficit_percent(self) -> tuple[float, float]:
        """Bounds of the total perfusion deficit."""
        return {"healthy": (0.0, 3.0), "low": (3.0, 8.0), "intermediate": (8.0, 14.0), "severe": (14.0, 45.0)}[
            self.value
        ]


class Split(Enum):
    """What a study is for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class StudyPlan:
    """One study of one virtual patient, before it is made."""

    patient: int  # the patient's own seed: all studies of one patient share it
    study: int  # tells the studies of a cohort apart
    sex: Sex
    position: Position
    state: CardiacState
    risk: Risk
    split: Split

    @property
    def defects(self) -> tuple[Defect, ...]:
        """The patient's perfusion defects, the same at stress and at rest; their deficit at stress fits the risk."""
        return draw_defects(np.random.default_rng([self.patient, 7]), self.risk)

    def make(self) -> VirtualPatient:
        """Return the patient."""
        return make_patient(self.patient, state=self.state, sex=self.sex, position=self.position, defects=self.defects)


def draw_defects(rng: np.random.Generator, risk: Risk) -> tuple[Defect, ...]:
    """Return random defects whose total perfusion deficit at stress lies within the bounds of a risk group."""
    low, high = risk.deficit_percent
    if risk is Risk.HEALTHY and rng.random() < 0.8:
        return ()
    shape = draw_cycle(rng, Sex.MALE, failing=False).end_diastole
    while True:
        defects = tuple(draw_defect(rng) for _ in range(int(rng.integers(1, 3))))
        if low <= perfusion_truth(WallUptake(1.0, 1.0, (), defects), shape, at_rest=False).tpd_percent < high:
            return defects


def plan_denoising_cohort(seed: int, train: int = 295, test: int = 35) -> tuple[StudyPlan, ...]:
    """Return the cohort of the denoising paper (Aghakhan Olia et al. 2022): one study per patient.

    Test patients: healthy, low, intermediate, severe as 8 : 16 : 6 : 5 and women, men as 20 : 15. A tenth of the
    training patients choose the model. Women lie supine, men prone, as in the paper.
    """
    rng = np.random.default_rng([seed, 1])
    validation = round(0.1 * train)
    plans = []
    for split, number in ((Split.TRAIN, train - validation), (Split.VALIDATION, validation), (Split.TEST, test)):
        sexes = _shuffled(rng, {Sex.FEMALE: 20, Sex.MALE: 15}, number)
        risks = _shuffled(rng, {Risk.HEALTHY: 8, Risk.LOW: 16, Risk.INTERMEDIATE: 6, Risk.SEVERE: 5}, number)
        states = _shuffled(rng, {CardiacState.STRESS: 1, CardiacState.REST: 1}, number)
        for sex, risk, state in zip(sexes, risks, states, strict=True):
            position = Position.SUPINE if sex is Sex.FEMALE else Position.PRONE
            plans.append((sex, position, state, risk, split))
    return tuple(StudyPlan(_patient_seed(seed, number), number, *plan) for number, plan in enumerate(plans))


def plan_attenuation_cohort(seed: int, scans: int = 150, patients: int = 103) -> tuple[StudyPlan, ...]:
    """Return the cohort of the attenuation paper (Huxohl et al. 2023): some patients at stress, at rest, or both.

    Patients, not scans, are split 70 : 15 : 15; all lie supine.
    """
    if not patients <= scans <= 2 * patients:
        raise ValueError(f"{patients} patients can't have {scans} scans: each has one or two")
    rng = np.random.default_rng([seed, 2])
    sexes = _shuffled(rng, {Sex.FEMALE: 1, Sex.MALE: 2}, patients)
    risks = _shuffled(rng, {Risk.HEALTHY: 10, Risk.LOW: 5, Risk.INTERMEDIATE: 3, Risk.SEVERE: 2}, patients)
    splits = _shuffled(rng, {Split.TRAIN: 70, Split.VALIDATION: 15, Split.TEST: 15}, patients)
    both = np.arange(patients) < scans - patients
    rng.shuffle(both)
    plans: list[StudyPlan] = []
    for number, (sex, risk, split) in enumerate(zip(sexes, risks, splits, strict=True)):
        alone = CardiacState.STRESS if rng.random() < 0.6 else CardiacState.REST
        states = (CardiacState.STRESS, CardiacState.REST) if both[number] else (alone,)
        for state in states:
            patient = _patient_seed(seed, number)
            plans.append(StudyPlan(patient, len(plans), sex, Position.SUPINE, state, risk, split))
    return tuple(plans)


def _patient_seed(seed: int, number: int) -> int:
    return seed * 100_000 + number


def _shuffled(rng: np.random.Generator, shares: dict[T, int], number: int) -> list[T]:
    """Return `number` values in random order, as near to the shares as whole numbers allow."""
    total = sum(shares.values())
    exact = {value: number * share / total for value, share in shares.items()}
    counts = {value: int(size) for value, size in exact.items()}
    owed = sorted(shares, key=lambda value: counts[value] - exact[value])
    for value in owed[: number - sum(counts.values())]:
        counts[value] += 1
    values = [value for value, count in counts.items() for _ in range(count)]
    return [values[index] for index in rng.permutation(len(values))]


@dataclass(frozen=True)
class SimulatedStudy:
    """What the scanner has of one study, and what is known about it."""

    patient: VirtualPatient
    projections: Projections
    truth: AcquisitionTruth
    registration: RegistrationTruth  # of CT and attenuation map
    expected: Projections  # the counts without noise at full dose
    ct: Volume | None = None
    mu_map: Volume | None = None


@dataclass(frozen=True)
class StudySettings:
    """What to make of each patient of a cohort."""

    camera: Camera
    gated: bool = False
    dose_fraction: float = 1.0
    with_ct: bool = False
    with_mu_map: bool = False
    misregistered: bool = True
    motion_share: float = 0.0  # of the studies in which the patient moves


def make_study(plan: StudyPlan, settings: StudySettings) -> SimulatedStudy:
    """Return one study; the same plan and settings give the same bytes."""
    return scan(plan.make(), settings, (plan.patient, plan.study))


def scan(patient: VirtualPatient, settings: StudySettings, key: tuple[int, ...]) -> SimulatedStudy:
    """Bring a patient to the camera; what happens by chance depends on `key` alone.

    Each chance has a stream of its own: leaving one out leaves the others as they are.
    """
    at_camera, counted, moving, lying, tube = (np.random.default_rng([*key, stream]) for stream in range(11, 16))
    moves = bool(moving.random() < settings.motion_share)
    motion = Motion.draw(moving, settings.camera) if moves else None
    expected = expect(patient, settings.camera, at_camera, gated=settings.gated, motion=motion)
    error = Misregistration.draw(lying) if settings.misregistered else Misregistration()
    return SimulatedStudy(
        patient=patient,
        projections=expected.count(counted, settings.dose_fraction),
        truth=expected.truth,
        registration=error.truth(),
        expected=expected.projections,
        ct=computed_tomography(patient, tube, error) if settings.with_ct else None,
        mu_map=attenuation_map(patient, error) if settings.with_mu_map else None,
    )
