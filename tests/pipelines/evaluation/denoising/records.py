"""Records of the denoising evaluation with known numbers, for its tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.agreement.image_quality import ImageQuality
from pipelines.evaluation.denoising.detection import NormalRecord
from pipelines.evaluation.denoising.methods import ModelChoice
from pipelines.evaluation.denoising.record import Dose, Indices, Method, MethodRecord, PatientRecord, Truth
from pipelines.networks.denoiser import ARCHITECTURE, Denoiser
from pipelines.networks.weights import ModelCard, write_model

TRAINED = tuple(method for method in Method if method is not Method.PAPER)
# how far each method lies from the full dose, in units of the dose's own error
ERROR = {
    Method.LOW_DOSE: 4.0,
    Method.GAUSSIAN: 3.0,
    Method.BUTTERWORTH: 3.2,
    Method.NON_LOCAL_MEANS: 3.4,
    Method.PAPER: 2.0,
    Method.FOR_IMAGES: 1.5,
    Method.FULL: 1.02,
}


def quality(rmse: float) -> ImageQuality:
    psnr = float(20 * np.log10(255 / rmse))
    return ImageQuality(rmse, psnr, 1 - rmse / 100, 1 - rmse / 90, 1 - rmse / 80, 1 - rmse / 70)


def indices(tpd: float) -> Indices:
    return Indices(
        defect_ml=1.3 * tpd,
        extent_percent=1.5 * tpd,
        summed_score=round(tpd),
        summed_percent=100 * round(tpd) / 68,
        tpd_percent=tpd,
        cavity_ml=60 + tpd,
        wall_ml=120 - tpd,
        eccentricity=0.8 - tpd / 1000,
        shape_index=0.6 + tpd / 1000,
        segments_percent=(100.0,) * 17,
        scores=(0,) * 17,
    )


def a_record(
    patient: int, rng: np.random.Generator, methods: Sequence[Method] = TRAINED, sex: str = "F"
) -> PatientRecord:
    tpd = float(rng.uniform(0, 25))
    base = {dose: float(rng.uniform(0.9, 1.1)) * (place + 1) for place, dose in enumerate(Dose)}

    def made(dose: Dose, method: Method) -> MethodRecord:
        error = base[dose] * ERROR[method]
        off = float(rng.normal(0, 0.3 * error))
        return MethodRecord(
            projection=quality(error),
            projection_heart=quality(1.1 * error),
            projection_counts_rmse=error / 2,
            projection_truth_percent=5 * error,
            image=quality(0.8 * error),
            image_pearson=1 - error / 1000,
            image_truth_percent=3 * error,
            indices=indices(max(tpd + off, 0.0)),
            image_whole=quality(0.2 * error),
        )

    return PatientRecord(
        patient=patient,
        sex=sex,
        risk="low",
        state="stress",
        million_counts=2.5 + 0.1 * (patient % 5),
        truth=Truth(tpd, round(tpd), 62.0, 118.0),
        full_dose=indices(tpd),
        noise_free=indices(tpd + 0.1),
        ceiling={dose.value: quality(base[dose]) for dose in Dose},
        methods={dose.value: {method.value: made(dose, method) for method in methods} for dose in Dose},
        gated={method.value: quality(ERROR[method]) for method in (Method.LOW_DOSE, Method.FULL)},
        gated_ejection_percent={"truth": 65.0, "full dose": 64.0, Method.LOW_DOSE.value: 60.0 + patient % 3},
        ejection_percent={"quarter": {Method.LOW_DOSE.value: 70.0, Method.FOR_IMAGES.value: 61.0}},
        gated_beat_percent={"full dose": 100.0, Method.LOW_DOSE.value: 90.0 + patient % 2},
        gated_ceiling=quality(1.0),
        image_ceiling={dose.value: quality(0.8 * base[dose]) for dose in Dose},
        full_dose_projection_truth_percent=4.0,
        full_dose_image_truth_percent=3.0,
    )


def some_records(number: int, methods: Sequence[Method] = TRAINED) -> list[PatientRecord]:
    rng = np.random.default_rng(5)
    return [a_record(place, rng, methods, "FM"[place % 2]) for place in range(number)]


def a_normal(patient: int, full_dose: float | None, found: float | None) -> NormalRecord:
    methods = {dose.value: {method.value: found for method in (Method.LOW_DOSE, Method.FOR_IMAGES)} for dose in Dose}
    return NormalRecord(patient, "F", "stress", full_dose, full_dose, methods)


def tiny_models(folder: Path, version: str = "0.1") -> ModelChoice:
    """Write a denoiser that has learned nothing: it returns its smooth estimate."""
    card = ModelCard("tiny", version, ARCHITECTURE, {"width": 2}, {}, (0,), {}, "none")
    write_model(folder, card, [Denoiser(2).state_dict()])
    return ModelChoice("tiny", folder)
