"""The pipeline `denoising`: low-count projections -> denoised projections -> reconstruction, heart, guard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import (
    Derived,
    DerivedKind,
    Finding,
    Heart,
    Measurement,
    PipelineInput,
    PipelineResult,
    Provenance,
    Verdict,
)
from pipelines.images import Array, Projections, UnsuitableAcquisition
from pipelines.networks.denoise import Denoised, denoise, load_denoiser
from pipelines.networks.denoiser import Denoiser
from pipelines.perfusion.hearts import HeartImage, HeartReading, read_hearts
from pipelines.perfusion.imaging import corrections, in_one_sentence, prepare, shown_settings
from pipelines.perfusion.options import DenoisingOptions
from pipelines.quality.denoising_guard import CHECKS, HEART_RADIUS_MM, guard_figures
from pipelines.quality.dose import Dose, dose_of
from pipelines.quality.guard import judge
from pipelines.quality.heart_shadow import heart_shadow

_GUARD_SEED = 20220101  # the same study is tested on the same split of its photons
LARGEST_TPD_CHANGE = 10.0  # points; more than denoising can honestly change


def run(pipeline_input: PipelineInput, device: str) -> PipelineResult:
    """Denoise the acquisition's projections, reconstruct them, read the left ventricle before and after.

    Raises UnsuitableAcquisition when there are no projections or they can't be reconstructed, ValueError on wrong
    options.
    """
    options = DenoisingOptions.of(pipeline_input.options)
    acquisition = pipeline_input.acquisition
    if acquisition.projections is None:
        raise UnsuitableAcquisition("denoising needs projections; this acquisition holds none")
    before = prepare(acquisition.projections, options)
    model, networks = load_denoiser(options.model, Path(options.models) if options.models else None)
    dose = dose_of(acquisition, options.dose_fraction, options.full_dose_mbq, options.full_dose_counts)
    denoised = denoise(acquisition.projections, dose.fraction, networks, device)
    after = prepare(denoised.expected, options)
    volume = after.reconstruct(device)
    reading = read_hearts(
        [
            HeartImage("as received", before.reconstruct(device), gates=before.reconstruct_gates(device)),
            HeartImage("denoised", volume, DerivedKind.SHORT_AXIS, gates=after.reconstruct_gates(device)),
        ],
        acquisition,
        options,
    )
    figures = _guard(acquisition.projections, denoised, networks, reading, device)
    shown = (
        ("Denoiser", f"{model.name} {model.version}, {model.members} networks, SHA-256 {model.sha256[:16]}"),
        ("Dose", f"{100 * dose.fraction:.3g} % of full ({dose.source})"),
        *shown_settings(after, options),
    )
    return PipelineResult(
        derived=(
            Derived(DerivedKind.DENOISED_PROJECTIONS, denoised.expected, _in_words(shown[0][1], dose)),
            Derived(DerivedKind.RECONSTRUCTION, volume, f"denoised projections; {in_one_sentence(shown[2:])}"),
            *reading.derived,
        ),
        provenance=Provenance("denoising", "", shown, acquisition.assumptions, corrections(after)),
        findings=(
            *before.findings,
            *judge(figures, model.thresholds, CHECKS),
            *_changes(reading.hearts),
            *reading.findings,
        ),
        measurements=(
            *before.measurements,
            Measurement("Dose fraction", dose.fraction, "1"),
            *(Measurement(f"Guard: {name}", value, "1") for name, value in figures.items()),
        ),
        hearts=reading.hearts,
    )


def _guard(
    projections: Projections, denoised: Denoised, networks: Sequence[Denoiser], reading: HeartReading, device: str
) -> dict[str, float]:
    """Return the guard's figures; the heart is where the ventricle was found, as the camera saw it."""

    def predict(kept: Array, share: float) -> NDArray[np.float64]:
        thinned = replace(projections, counts=kept[None], windows=(window,), photopeak=0)
        return denoise(thinned, 1.0, networks, device).expected.photopeak_counts().astype(np.float64)

    window = projections.windows[projections.photopeak]
    heart = None
    if reading.hearts:
        heart = heart_shadow(projections.geometry, reading.hearts[-1].ventricle.center_mm, HEART_RADIUS_MM)
    return dict(guard_figures(projections, denoised, predict, heart, np.random.default_rng(_GUARD_SEED)))


def _changes(hearts: tuple[Heart, ...]) -> tuple[Finding, ...]:
    """Return a finding if the denoised heart reads as another heart than the one that was received."""
    if not hearts or hearts[0].perfusion is None or hearts[-1].perfusion is None:
        return ()
    before, after = hearts[0].perfusion.tpd_percent, hearts[-1].perfusion.tpd_percent
    if abs(after - before) <= LARGEST_TPD_CHANGE:
        return ()
    words = f"denoising changes the total perfusion deficit from {before:.0f} to {after:.0f} %: read the input itself"
    return (Finding(Verdict.QUARANTINE, words),)


def _in_words(denoiser: str, dose: Dose) -> str:
    return (
        f"Expected counts at full dose of projections that hold {100 * dose.fraction:.3g} % of it, estimated by a "
        f"network ({denoiser}); each view keeps its counts"
    )
