"""What another site gains by retraining: another maker's camera, another collimator, half of the counts.

The site's virtual patients are brought to a camera that the shipped denoiser never saw. Three denoisers are compared on
patients that none of them learned from: the shipped one as it is, the same trained further with the site's own noisy
studies, and one that learned from these alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from pipelines.agreement.image_quality import GRAY, gray, rmse
from pipelines.evaluation.denoising.record import Dose
from pipelines.images import Projections
from pipelines.networks.denoise import denoise, load_denoiser
from pipelines.networks.denoiser import Denoiser
from pipelines.networks.model_card import DENOISER, checked_card
from pipelines.networks.weights import read_model
from pipelines.simulation.acquisition import thin
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import Split, StudyPlan, StudySettings, make_study, plan_denoising_cohort
from pipelines.training.denoiser_data import TrainingStudy, split_by_patient, training_studies
from pipelines.training.denoiser_training import RETRAINING_RATE, DenoiserSettings, train_denoiser
from pipelines.training.model_card import VIRTUAL
from pipelines.training.progress import Budget, Checked, Report, silent
from pipelines.training.progress_loop import Course

CAMERA = "brightview"  # not among the cameras of the shipped denoiser's training
COUNTS = 0.5  # of what this camera counts by its usual protocol
SHIPPED, RETRAINED, ALONE = "as shipped", "retrained", "from this site alone"


@dataclass(frozen=True)
class Sample:
    """One test study at one dose under one denoiser."""

    patient: int
    dose: str
    denoiser: str
    rmse: float  # virtual full dose against full dose, 0 to 255
    ceiling_rmse: float  # the same with the true expectation in the denoiser's place
    truth_percent: float  # expected counts against the truth, RMSE in % of the low dose's

    @property
    def above_ceiling_percent(self) -> float:
        """How much of the error could be avoided."""
        return 100.0 * (self.rmse / self.ceiling_rmse - 1.0)


def plans(seed: int, train: int, test: int) -> tuple[StudyPlan, ...]:
    """Return the site's patients."""
    return plan_denoising_cohort(seed, train, test)


def counted(plan: StudyPlan) -> tuple[Projections, Projections]:
    """Return a study of the site as it was counted, and its expectation."""
    study = make_study(plan, StudySettings(CAMERAS[CAMERA], dose_fraction=COUNTS))
    expected = study.expected
    return study.projections, replace(expected, counts=(COUNTS * expected.counts).astype(np.float32))


def training_set(plan: StudyPlan) -> tuple[TrainingStudy, ...]:
    """Return what is learned from a study: its noisy counts alone."""
    return training_studies(counted(plan)[0], str(plan.patient))


def networks_to_train() -> int:
    """Return how many networks `train_both` trains."""
    return 2 * checked_card("denoiser", None, DENOISER).members


def train_both(
    studies: Sequence[TrainingStudy], seed: int, minutes: float, folder: Path, report: Report = silent
) -> None:
    """Train the shipped networks further, and as many from chance, so many minutes each; goes on where interrupted.

    `report` is told the networks from chance with the numbers after those of the shipped ones.
    """

    def report_alone(member: int, checked: Checked) -> None:
        report(start.card.members + member, checked)

    cohort = split_by_patient(studies, seed)
    start = read_model("denoiser")
    course = Course(Budget(minutes=minutes))
    usual = DenoiserSettings(seed=seed, members=start.card.members, width=start.card.width)
    retrain = replace(usual, learning_rate=RETRAINING_RATE)
    train_denoiser(cohort, retrain, course, folder / "retrained", evidence=VIRTUAL, report=report, start=start)
    train_denoiser(cohort, usual, course, folder / "alone", evidence=VIRTUAL, report=report_alone)


def measure(plan: StudyPlan, folder: Path, doses: Sequence[Dose] = tuple(Dose)) -> list[Sample]:
    """Return a test patient under the three denoisers at each dose; every dose is drawn for itself."""
    full, expected = counted(plan)
    denoisers = {
        SHIPPED: load_denoiser()[1],
        RETRAINED: load_denoiser("denoiser", folder / "retrained")[1],
        ALONE: load_denoiser("denoiser", folder / "alone")[1],
    }
    samples = []
    for dose in doses:
        rng = np.random.default_rng([plan.patient, plan.study, 41, list(Dose).index(dose)])
        low = thin(full, dose.fraction, rng)
        for name, networks in denoisers.items():
            samples.append(_sample(plan.patient, dose, name, networks, low, full, expected))
    return samples


def _sample(
    patient: int,
    dose: Dose,
    name: str,
    networks: Sequence[Denoiser],
    low: Projections,
    full: Projections,
    expected: Projections,
) -> Sample:
    counts, truth, seen = (one.photopeak_counts()[0].astype(np.float64) for one in (full, expected, low))
    scale = GRAY / counts.max()
    made = denoise(low, dose.fraction, networks)
    best = seen + (1.0 - dose.fraction) * truth
    own = made.expected.photopeak_counts()[0]
    return Sample(
        patient,
        dose.value,
        name,
        rmse(made.virtual_full_dose.photopeak_counts()[0] * scale, gray(counts)),
        rmse(best * scale, gray(counts)),
        100.0 * rmse(own, truth) / rmse(seen / dose.fraction, truth),
    )


def as_markdown(samples: Sequence[Sample], minutes: float, train: int) -> str:
    """Return the table."""
    patients = len({sample.patient for sample in samples})
    lines = [
        f"Camera `{CAMERA}` with {COUNTS:.0%} of its usual counts, {patients} test patients; {train} patients to learn "
        f"from; {minutes:g} minutes of training each. Virtual patients - not clinical evidence.",
        "",
        "| dose | denoiser | virtual full dose, RMSE | above the ceiling | expected counts: error left |",
        "|---|---|---|---|---|",
    ]
    for dose in Dose:
        for name in (SHIPPED, RETRAINED, ALONE):
            chosen = [one for one in samples if (one.dose, one.denoiser) == (dose.value, name)]
            lines.append(
                f"| {dose.value} | {name} | {_spread([one.rmse for one in chosen])} "
                f"| {_spread([one.above_ceiling_percent for one in chosen], ' %')} "
                f"| {_spread([one.truth_percent for one in chosen], ' %')} |"
            )
    return "\n".join(lines) + "\n"


def as_json(samples: Sequence[Sample], minutes: float, train: int) -> Mapping[str, object]:
    """Return all that was measured as values that JSON can hold."""
    return {
        "camera": CAMERA,
        "counts": COUNTS,
        "evidence": VIRTUAL,
        "minutes": minutes,
        "training_patients": train,
        "samples": [vars(sample) for sample in samples],
    }


def site_split(chosen: Sequence[StudyPlan]) -> tuple[list[StudyPlan], list[StudyPlan]]:
    """Return the patients to learn from (some of them choose the weights) and those to test."""
    test = [plan for plan in chosen if plan.split is Split.TEST]
    return [plan for plan in chosen if plan.split is not Split.TEST], test


def _spread(values: Sequence[float], unit: str = "") -> str:
    return f"{fmean(values):.2f} ± {stdev(values):.2f}{unit}"
