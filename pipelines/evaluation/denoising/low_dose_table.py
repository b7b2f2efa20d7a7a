"""The low-dose rows of the denoising paper's Table 1: how far thinned projections lie from the full-dose ones.

If virtual patients give the same rows, their noise is that of the paper's patients; the rest builds on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.agreement.image_quality import GRAY, ImageQuality, gray, image_quality
from pipelines.evaluation.denoising.paper import PROJECTION, SOURCE
from pipelines.evaluation.denoising.quality_tables import QUALITY
from pipelines.evaluation.denoising.record import Dose
from pipelines.simulation.acquisition import thin
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import Split, StudyPlan, StudySettings, make_study, plan_denoising_cohort
from pipelines.training.model_card import VIRTUAL

# Table 1: dose, quantity -> mean, sd
PAPER: Mapping[tuple[str, str], tuple[float, float]] = {
    (dose.value, quantity): (of[dose].low_dose.mean, of[dose].low_dose.sd)
    for quantity, of in PROJECTION.items()
    for dose in Dose
}
CAMERA = "prospect"
PASS_PERCENT = 10.0
# The paper's text gives one formula over the whole image and its constants; it leaves open what the values were divided
# by. The first is the reading of the table; the others stand below it.
SSIM_READINGS: Mapping[str, str] = {
    "ssim_global": "SSIM, whole study, values 0 to 1",
    "ssim_unscaled": "SSIM, whole study, values 0 to 255",
    "ssim_per_frame": "SSIM, mean of views, values 0 to 1",
    "ssim_windowed": "SSIM, windows of 7 x 7 (scikit-image)",
}
NORMALIZATION = "each set of projections over its own maximum, times 255; SSIM of values 0 to 1"


@dataclass(frozen=True)
class PatientRow:
    """One test patient: photopeak counts at full dose and the quality of each low dose."""

    patient: int
    million_counts: float
    quality: Mapping[str, ImageQuality]


@dataclass(frozen=True)
class Row:
    """One number of the table beside the paper's."""

    dose: str
    quantity: str
    mean: float
    sd: float
    paper_mean: float
    paper_sd: float

    @property
    def difference_percent(self) -> float:
        """How much ours is larger than the paper's."""
        return 100.0 * (self.mean / self.paper_mean - 1.0)


def plans(seed: int, patients: int | None = None) -> tuple[StudyPlan, ...]:
    """Return the test patients of the denoising cohort, or the first few of them."""
    test = [plan for plan in plan_denoising_cohort(seed) if plan.split is Split.TEST]
    return tuple(test[:patients])


def measure(plan: StudyPlan) -> PatientRow:
    """Make one patient's study at full dose, thin it, and compare."""
    full = make_study(plan, StudySettings(CAMERAS[CAMERA])).projections
    (counts,) = full.photopeak_counts()
    reference = gray(counts)
    quality = {}
    for place, dose in enumerate(Dose):
        thinned = thin(full, dose.fraction, np.random.default_rng([plan.patient, plan.study, 21, place]))
        quality[dose.value] = image_quality(gray(thinned.photopeak_counts()[0]), reference, GRAY)
    return PatientRow(plan.patient, float(counts.sum(dtype=np.float64)) / 1e6, quality)


def table(rows: Sequence[PatientRow]) -> tuple[Row, ...]:
    """Return mean and sd over the patients beside the paper's; raises ValueError for fewer than 2 patients."""
    if len(rows) < 2:
        raise ValueError("a spread needs at least 2 patients")
    return tuple(
        Row(dose, quantity, float(values.mean()), float(values.std(ddof=1)), *paper)
        for (dose, quantity), paper in PAPER.items()
        for values in [np.array([QUALITY[quantity](row.quality[dose]) for row in rows])]
    )


def other_ssim(rows: Sequence[PatientRow]) -> tuple[Row, ...]:
    """Return SSIM by the readings that the table does not use, beside the paper's."""
    return tuple(
        Row(dose.value, words, float(values.mean()), float(values.std(ddof=1)), *PAPER[dose.value, "SSIM"])
        for reading, words in list(SSIM_READINGS.items())[1:]
        for dose in Dose
        for values in [np.array([getattr(row.quality[dose.value], reading) for row in rows])]
    )


def verdict(rows: Sequence[PatientRow]) -> str:
    """Return in words whether every number of the table lies within the pass line."""
    found = table(rows)
    worst = max(found, key=lambda row: abs(row.difference_percent))
    outside = sum(abs(row.difference_percent) > PASS_PERCENT for row in found)
    said = f"{outside} of {len(found)} numbers lie" if outside else "none lies"
    return (
        f"Pass line: within {PASS_PERCENT:.0f} % of the paper; {said} outside it. "
        f"Farthest: {worst.quantity} at {worst.dose} dose, {worst.difference_percent:+.1f} %."
    )


def as_markdown(rows: Sequence[PatientRow]) -> str:
    """Return the table with what must be known to read it."""
    counts = [row.million_counts for row in rows]
    lines = [
        f"Low dose against full dose, projection space, {len(rows)} virtual patients (no clinical evidence), camera "
        f"`{CAMERA}`, {np.median(counts):.2f} million counts in the median ({min(counts):.2f} to {max(counts):.2f}). "
        f"Scale: {NORMALIZATION}; the paper ({SOURCE}, Table 1) does not state its own.",
        "",
        "| dose | quantity | here | paper | difference |",
        "|---|---|---|---|---|",
        *map(_line, table(rows)),
        "",
        verdict(rows),
        "",
        f"SSIM above: {SSIM_READINGS['ssim_global']}. By other readings of the paper's text:",
        "",
        "| dose | quantity | here | paper | difference |",
        "|---|---|---|---|---|",
        *map(_line, other_ssim(rows)),
    ]
    return "\n".join(lines) + "\n"


def as_json(rows: Iterable[PatientRow]) -> dict[str, object]:
    """Return table and patients as values that JSON can hold."""
    patients = list(rows)
    return {
        "camera": CAMERA,
        "normalization": NORMALIZATION,
        "evidence": VIRTUAL,
        "paper": f"{SOURCE}, Table 1",
        "median_million_counts": float(np.median([row.million_counts for row in patients])),
        "pass_percent": PASS_PERCENT,
        "passed": all(abs(row.difference_percent) <= PASS_PERCENT for row in table(patients)),
        "table": [_entry(row) for row in table(patients)],
        "other_ssim": [_entry(row) for row in other_ssim(patients)],
        "patients": [
            {
                "patient": row.patient,
                "million_counts": row.million_counts,
                "quality": {dose: vars(quality) for dose, quality in row.quality.items()},
            }
            for row in patients
        ],
    }


def _line(row: Row) -> str:
    return (
        f"| {row.dose} | {row.quantity} | {row.mean:.2f} ± {row.sd:.2f} "
        f"| {row.paper_mean:.2f} ± {row.paper_sd:.2f} | {row.difference_percent:+.1f} % |"
    )


def _entry(row: Row) -> dict[str, object]:
    return {**vars(row), "difference_percent": row.difference_percent}
