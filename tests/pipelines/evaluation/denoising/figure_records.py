"""Made-up patients for the tests of the denoising figures: records and images of the right shapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.agreement.image_quality import GRAY, ImageQuality, psnr_db
from pipelines.cardiac.segments import ANGLES, RINGS
from pipelines.evaluation.denoising.arrays import (
    FULL_DOSE,
    KEPT,
    NOISE_FREE,
    Kind,
    PatientArrays,
    arrays_path,
    image_name,
    write_arrays,
)
from pipelines.evaluation.denoising.record import Dose, Indices, Method, MethodRecord, PatientRecord, Truth
from pipelines.images import Array

ALL = tuple(Method)
UNTRAINED = tuple(method for method in Method if method is not Method.PAPER)
RISKS = ("healthy",) * 8 + ("low",) * 16 + ("intermediate",) * 6 + ("severe",) * 5
_ERROR = {  # RMSE over that of the ceiling
    Method.LOW_DOSE: 2.4, Method.GAUSSIAN: 1.9, Method.BUTTERWORTH: 1.8, Method.NON_LOCAL_MEANS: 1.6,
    Method.PAPER: 1.25, Method.FOR_IMAGES: 1.45, Method.FULL: 1.06,
}  # fmt: skip
_CEILING = {Dose.HALF: 3.6, Dose.QUARTER: 4.4, Dose.EIGHTH: 4.75}


def a_quality(rmse: float) -> ImageQuality:
    ssim = 1.0 - rmse / 150.0
    return ImageQuality(rmse, psnr_db(rmse, GRAY), ssim, ssim, ssim, ssim)


def some_indices(tpd: float, rng: np.random.Generator, noise: float = 0.0) -> Indices:
    def drawn(value: float, sd: float) -> float:
        return float(max(value + sd * noise * rng.normal(), 0.0))

    read = drawn(tpd, 1.0)
    score = float(round(read * 0.6))
    return Indices(
        defect_ml=1.2 * read,
        extent_percent=1.5 * read,
        summed_score=score,
        summed_percent=score / 0.68,
        tpd_percent=read,
        cavity_ml=drawn(60.0 + tpd, 3.0),
        wall_ml=drawn(110.0 + tpd, 4.0),
        eccentricity=drawn(0.84, 0.01),
        shape_index=drawn(0.58, 0.015),
        segments_percent=(90.0,) * 17,
        scores=(0,) * 17,
    )


def a_record(patient: int = 1, risk: str = "low", methods: Sequence[Method] = ALL) -> PatientRecord:
    """One patient; the error of each method grows as the dose falls."""
    rng = np.random.default_rng(patient)
    tpd = {"healthy": 1.0, "low": 5.0, "intermediate": 11.0, "severe": 22.0}[risk] * float(rng.uniform(0.7, 1.3))
    spread = float(rng.uniform(0.8, 1.2))

    def one(dose: Dose, method: Method) -> MethodRecord:
        error = _CEILING[dose] * _ERROR[method] * spread * float(rng.uniform(0.95, 1.05))
        return MethodRecord(
            projection=a_quality(error),
            projection_heart=a_quality(error),
            projection_counts_rmse=error,
            projection_truth_percent=error,
            image=a_quality(0.6 * error),
            image_pearson=1.0 - 0.0005 * error**1.5,
            image_truth_percent=error,
            indices=some_indices(tpd, rng, noise=0.2 * error),
            image_whole=a_quality(0.2 * error),
        )

    return PatientRecord(
        patient=patient,
        sex="F" if patient % 7 < 4 else "M",
        risk=risk,
        state="stress",
        million_counts=2.5 * spread,
        truth=Truth(tpd * 1.1, tpd * 0.6, 62.0 + tpd, 112.0 + tpd),
        full_dose=some_indices(tpd, rng, noise=0.3),
        noise_free=some_indices(tpd, rng),
        ceiling={dose.value: a_quality(_CEILING[dose] * spread) for dose in Dose},
        methods={dose.value: {method.value: one(dose, method) for method in methods} for dose in Dose},
        gated={method.value: a_quality(8.0) for method in KEPT if method in methods},
        gated_ejection_percent={"truth": 61.0, FULL_DOSE: 58.0, Method.LOW_DOSE.value: 57.0},
        ejection_percent={"quarter": {Method.LOW_DOSE.value: 70.0, Method.FOR_IMAGES.value: 61.0}},
        gated_beat_percent={FULL_DOSE: 100.0, Method.LOW_DOSE.value: 99.0},
        gated_ceiling=a_quality(6.0),
        image_ceiling={dose.value: a_quality(0.6 * _CEILING[dose] * spread) for dose in Dose},
        full_dose_projection_truth_percent=4.0,
        full_dose_image_truth_percent=3.0,
    )


def a_cohort(methods: Sequence[Method] = ALL) -> tuple[PatientRecord, ...]:
    """The paper's 35 test patients, by risk."""
    return tuple(a_record(patient, risk, methods) for patient, risk in enumerate(RISKS, start=1))


def some_arrays(patient: int = 1, methods: Sequence[Method] = ALL) -> PatientArrays:
    """Images of the right shapes, all noise."""
    rng = np.random.default_rng(patient)
    names = [FULL_DOSE, NOISE_FREE, *(image_name(dose, m) for dose in Dose for m in KEPT if m in methods)]

    def noise(*shape: int) -> Array:
        return rng.poisson(20.0, shape).astype(np.float32)

    shapes = {
        Kind.PROJECTIONS: (8, 24, 24),
        Kind.SHORT_AXIS: (22, 25, 25),
        Kind.VERTICAL_LONG_AXIS: (18, 25, 25),
        Kind.HORIZONTAL_LONG_AXIS: (18, 25, 25),
        Kind.POLAR_MAP: (RINGS, ANGLES),
    }
    images = {kind: {name: noise(*shape) for name in names} for kind, shape in shapes.items()}
    half = [name for name in names if "/" not in name or name.startswith(Dose.HALF.value)]
    images[Kind.GATED_PROJECTIONS] = {name: noise(8, 2, 24, 24) for name in half}
    angles = tuple(45.0 - 22.5 * view for view in range(8))
    return PatientArrays(patient, angles, (6.4, 6.4), 6.4, (0, 16), (2, 6), images)


def write_some_arrays(folder: Path, records: Sequence[PatientRecord], methods: Sequence[Method] = ALL) -> None:
    for record in records:
        write_arrays(arrays_path(folder, record.patient), some_arrays(record.patient, methods))
