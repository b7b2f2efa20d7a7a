"""The pipeline `denoising`: low-count projections -> denoised projections -> reconstruction, heart, guard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import (
    Acquisition,
    Derived,
    DerivedKind,
    Finding,
    Measurement,
    Model,
    PipelineInput,
    PipelineResult,
    Provenance,
    Verdict,
)
from pipelines.images import Array, Projections, UnsuitableAcquisition
from pipelines.networks.coarse import COARSE_MM
from pipelines.networks.denoise import Denoised, batch_in, denoise, denoiser_bytes, load_denoiser
from pipelines.networks.denoiser import Denoiser
from pipelines.networks.model_card import ModelCard
from pipelines.perfusion.hearts import FEW_GATED_COUNTS, HeartImage, HeartReading, read_hearts
from pipelines.perfusion.imaging import Prepared, corrections, in_one_sentence, prepare, shown_settings
from pipelines.perfusion.options import VIRTUAL_FULL_DOSE, DenoisingOptions
from pipelines.quality.beat_kept import beat_findings, beat_kept_percent
from pipelines.quality.denoising_guard import CHECKS, HEART_RADIUS_MM, guard_figures, why_untested
from pipelines.quality.dose import Dose, dose_of
from pipelines.quality.guard import judge
from pipelines.quality.heart_change import heart_change_findings
from pipelines.quality.heart_shadow import heart_shadow
from pipelines.quality.input_checks import input_findings
from pipelines.reconstruction.device_memory import check_room, free_bytes, reconstruction_bytes

_GUARD_SEED = 20220101  # the same study is tested on the same split of its photons
_FIGURE = "Guard: "  # before the name of a figure among the measurements
_BEFORE, _AFTER = "as received", "denoised"


@dataclass(frozen=True)
class _Ensemble:
    """The networks of a model, and how they are run here."""

    card: ModelCard
    networks: Sequence[Denoiser]
    device: str
    batch: int

    def denoise(self, projections: Projections, dose_fraction: float) -> Denoised:
        """Return what the networks make of projections."""
        return denoise(projections, dose_fraction, self.networks, self.device, self.batch)


def run(pipeline_input: PipelineInput, device: str) -> PipelineResult:
    """Denoise the acquisition's projections, reconstruct them, read the left ventricle before and after.

    Images, maps and numbers are made of counts without noise. Raises UnsuitableAcquisition when there are no
    projections or they can't be reconstructed, ValueError on wrong options, WeightsError without the model, NotNow on
    a full GPU.
    """
    options = DenoisingOptions.of(pipeline_input.options)
    acquisition = pipeline_input.acquisition
    if acquisition.projections is None:
        raise UnsuitableAcquisition("denoising needs projections; this acquisition holds none")
    before = prepare(acquisition.projections, options)
    ensemble = _ensemble(options, before, device)
    dose = dose_of(acquisition, options.dose_fraction, options.full_dose_mbq, options.full_dose_counts)
    denoised = ensemble.denoise(acquisition.projections, dose.fraction)
    after = prepare(denoised.for_images, options, before.motion)
    volume = after.reconstruct(device)
    images = (
        HeartImage(_BEFORE, before.reconstruct(device), gates=before.reconstruct_gates(device)),
        HeartImage(_AFTER, volume, DerivedKind.SHORT_AXIS, gates=after.reconstruct_gates(device)),
    )
    reading = read_hearts(images, acquisition, options)
    heart = _shadow(acquisition.projections, reading)
    figures = _guard(acquisition.projections, denoised, ensemble, heart)
    kept_percent = _beat_kept_percent(acquisition.projections, denoised, heart)
    made = shown_settings(after, options)
    return PipelineResult(
        derived=(
            _projections(denoised, options, ensemble.card, dose),
            Derived(DerivedKind.RECONSTRUCTION, volume, f"denoised projections; {in_one_sentence(made)}"),
            *reading.derived,
        ),
        provenance=_provenance(ensemble.card, dose, acquisition, made, after),
        findings=(
            *before.findings,
            *input_findings(acquisition, ensemble.card.domain, dose.fraction),
            *judge(figures, ensemble.card.thresholds, CHECKS, why_untested(acquisition.projections, heart)),
            *beat_findings(kept_percent),
            *_changes(acquisition.projections, reading),
            *reading.findings,
        ),
        measurements=(*before.measurements, *_measurements(dose, figures, kept_percent)),
        hearts=reading.hearts,
    )


def _ensemble(options: DenoisingOptions, prepared: Prepared, device: str) -> _Ensemble:
    """Load the networks and choose how many frames they see at once. Raises NotNow if there is too little room."""
    card, networks = load_denoiser(options.model, options.folder)
    geometry, width = prepared.gated.geometry, networks[0].width
    free = free_bytes(device)
    least = denoiser_bytes(1, geometry.rows, geometry.columns, width, len(networks))
    made = reconstruction_bytes(geometry, prepared.gated.gates, options.subsets, blurred=options.cdr)
    check_room(max(least, made), free, device)
    return _Ensemble(card, networks, device, batch_in(free, geometry.rows, geometry.columns, width, len(networks)))


def _shadow(projections: Projections, reading: HeartReading) -> NDArray[np.bool_] | None:
    """Return the pixels `[view, row, column]` that show the ventricle where it was found; None where none was."""
    if not reading.hearts:
        return None
    return heart_shadow(projections.geometry, reading.hearts[-1].ventricle.center_mm, HEART_RADIUS_MM)


def _guard(
    projections: Projections, denoised: Denoised, ensemble: _Ensemble, heart: NDArray[np.bool_] | None
) -> dict[str, float]:
    """Return the guard's figures; `heart` masks the pixels that show the ventricle."""

    def predict(kept: Array, share: float) -> NDArray[np.float64]:
        thinned = replace(projections, counts=kept[None, None], windows=(window,), photopeak=0)
        return np.asarray(ensemble.denoise(thinned, 1.0).expected.photopeak_counts()[0], dtype=np.float64)

    window = projections.windows[projections.photopeak]
    return dict(guard_figures(projections, denoised, predict, heart, np.random.default_rng(_GUARD_SEED)))


def _beat_kept_percent(projections: Projections, denoised: Denoised, heart: NDArray[np.bool_] | None) -> float:
    """Return the share of the measured beat in the denoised gates; NaN where there is none or no heart was found."""
    return float("nan") if heart is None else beat_kept_percent(projections, denoised.for_images, heart)


def _changes(projections: Projections, reading: HeartReading) -> tuple[Finding, ...]:
    """Return what denoising changed so much that the denoised heart reads as another one than was received."""
    if not reading.hearts:
        return ()
    findings = []
    if reading.found_in == _BEFORE:
        words = "the left ventricle that the input shows is not found after denoising: read the input itself"
        findings.append(Finding(Verdict.QUARANTINE, words))
    faint = float(projections.photopeak_counts().sum(dtype=np.float64)) < FEW_GATED_COUNTS
    return (*findings, *heart_change_findings(reading.hearts[0], reading.hearts[-1], faint_gates=faint))


def _projections(denoised: Denoised, options: DenoisingOptions, card: ModelCard, dose: Dose) -> Derived:
    """Return the projections to send: those for images, or the measured ones and what the missing dose adds."""
    by = f"by {card.members} networks ({card.name} {card.version}, weights SHA-256 {card.sha256})"
    if options.projections == VIRTUAL_FULL_DOSE:
        words = (
            f"Virtual full dose: the counts measured at {dose.words}, and those that the missing dose would have added "
            f"on average, estimated {by}"
        )
        return Derived(DerivedKind.DENOISED_PROJECTIONS, denoised.virtual_full_dose, words)
    words = (
        f"Expected counts at full dose, without noise, of projections that hold {dose.words}, estimated {by}; each "
        f"view keeps its counts, and what a blur of {COARSE_MM:g} mm leaves is as measured"
    )
    return Derived(DerivedKind.DENOISED_PROJECTIONS, denoised.for_images, words)


def _provenance(
    card: ModelCard, dose: Dose, acquisition: Acquisition, made: tuple[tuple[str, str], ...], after: Prepared
) -> Provenance:
    settings = (
        ("Denoiser", f"{card.name} {card.version}, mean of {card.members} networks; {card.evidence}"),
        ("Dose", dose.words),
        *made,
        ("Weights", f"SHA-256 {card.sha256}"),
    )
    headline = f"{dose.words}; denoised by the networks {card.name} {card.version}"
    models = (Model(card.name, card.version, card.sha256),)
    return Provenance("denoising", "", settings, acquisition.assumptions, corrections(after), headline, models)


def _measurements(dose: Dose, figures: dict[str, float], kept_percent: float) -> tuple[Measurement, ...]:
    """Return the dose, the beat that was kept, and the guard's figures, as far as they could be made."""
    beat = (Measurement("Beat kept", kept_percent, "%"),) if math.isfinite(kept_percent) else ()
    return (
        Measurement("Dose fraction", dose.fraction, "1"),
        *beat,
        *(Measurement(f"{_FIGURE}{name}", value, "1") for name, value in figures.items() if math.isfinite(value)),
    )


def figures_in(result: PipelineResult) -> dict[str, float]:
    """Return the guard's figures that a result of this pipeline tells; what could not be made is not among them."""
    told = [one for one in result.measurements if one.name.startswith(_FIGURE)]
    return {one.name.removeprefix(_FIGURE): one.value for one in told}
