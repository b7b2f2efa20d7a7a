"""The sound studies that the guard is tried on: patients of no training, three cameras, four doses, some gated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.contract import Acquisition, PatientSex
from pipelines.images import Projections
from pipelines.simulation.acquisition import Expected, Motion, expect
from pipelines.simulation.camera import CAMERAS, Camera
from pipelines.simulation.cohort import StudyPlan, plan_denoising_cohort
from pipelines.simulation.uptake import Defect
from pipelines.simulation.virtual_patient import VirtualPatient, make_patient

SEED = 90  # of the cohort; trainings use others
MOST_STUDIES = 1000
CAMERA_NAMES = ("prospect", "symbia", "discovery")  # parallel holes, counts as they were measured
DOSES = (1.0, 1 / 2, 1 / 4, 1 / 8)
GATED_EVERY = 5


@dataclass(frozen=True)
class GuardPlan:
    """One study before it is made; twelve in a row have every camera at every dose."""

    number: int
    plan: StudyPlan
    camera: str
    dose_fraction: float
    gated: bool


def plans(studies: int, seed: int = SEED) -> tuple[GuardPlan, ...]:
    """Return the plans of so many studies; those of fewer are the first of those of more."""
    cohort = plan_denoising_cohort(seed, train=0, test=MOST_STUDIES)
    return tuple(
        GuardPlan(
            number,
            plan,
            CAMERA_NAMES[number % len(CAMERA_NAMES)],
            DOSES[number % len(DOSES)],
            gated=number % GATED_EVERY == GATED_EVERY - 1,
        )
        for number, plan in enumerate(cohort[:studies])
    )


@dataclass(frozen=True)
class GuardStudy:
    """A study as the pipeline gets it, and what is needed to bring the same patient to the camera once more."""

    planned: GuardPlan
    patient: VirtualPatient
    camera: Camera
    expected: Expected  # at full dose
    acquisition: Acquisition

    @property
    def projections(self) -> Projections:
        """What was counted."""
        projections = self.acquisition.projections
        assert projections is not None  # noqa: S101 - `make` has put them there
        return projections

    @property
    def dose_fraction(self) -> float:
        """The share of the full dose that was counted."""
        return self.planned.dose_fraction

    def with_defects(self, defects: Sequence[Defect]) -> VirtualPatient:
        """Return the same patient with other perfusion defects."""
        plan = self.planned.plan
        return make_patient(
            plan.patient, state=plan.state, sex=plan.sex, position=plan.position, defects=tuple(defects)
        )

    def expect(self, patient: VirtualPatient, motion: Motion | None = None) -> Expected:
        """Return what the camera would count at full dose of another patient, on the same orbit."""
        return _expected(self.planned, patient, self.camera, motion)

    def counted(self, expected: Expected, rng: np.random.Generator) -> Acquisition:
        """Return an acquisition of these expected counts at this study's dose."""
        return replace(self.acquisition, projections=expected.count(rng, self.dose_fraction))


def make(planned: GuardPlan) -> GuardStudy:
    """Make a study; the same plan gives the same counts."""
    plan, camera = planned.plan, CAMERAS[planned.camera]
    patient = plan.make()
    expected = _expected(planned, patient, camera)
    counted = expected.count(np.random.default_rng([plan.patient, 42]), planned.dose_fraction)
    acquisition = Acquisition(f"study {planned.number}", counted, state=plan.state, sex=PatientSex(patient.truth.sex))
    return GuardStudy(planned, patient, camera, expected, acquisition)


def _expected(planned: GuardPlan, patient: VirtualPatient, camera: Camera, motion: Motion | None = None) -> Expected:
    """Return expected counts; what is drawn (the orbit's radius, the last gate) depends on the plan alone."""
    rng = np.random.default_rng([planned.plan.patient, 41])
    return expect(patient, camera, rng, gated=planned.gated, motion=motion)
