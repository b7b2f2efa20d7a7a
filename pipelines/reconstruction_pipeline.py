"""The pipeline `reconstruction`: projections of the photopeak -> OSEM -> post-filter -> one volume."""

from __future__ import annotations

from pipelines.contract import (
    Derived,
    DerivedKind,
    Measurement,
    PipelineInput,
    PipelineResult,
    Provenance,
)
from pipelines.images import Projections, UnsuitableAcquisition
from pipelines.reconstruction.filters import Butterworth
from pipelines.reconstruction.input_checks import angular_coverage_deg, suitable
from pipelines.reconstruction.motion import Motion, correct_motion, find_motion
from pipelines.reconstruction.reconstruct import Scatter, Settings, reconstruct
from pipelines.reconstruction_options import Options


def run(pipeline_input: PipelineInput, device: str) -> PipelineResult:
    """Reconstruct the acquisition's projections.

    Raises UnsuitableAcquisition when there are none or they can't be reconstructed, ValueError on wrong options.
    """
    options = Options.of(pipeline_input.options)
    acquisition = pipeline_input.acquisition
    if acquisition.projections is None:
        raise UnsuitableAcquisition("the reconstruction needs projections; this acquisition holds none")
    projections, findings = suitable(acquisition.projections.ungated())
    if options.subsets > projections.geometry.views:
        raise UnsuitableAcquisition(f"{projections.geometry.views} views can't make {options.subsets} subsets")
    motion = find_motion(projections)
    corrected = options.motion_correction and bool(motion.findings)
    settings = _settings(projections, options)
    volume = reconstruct(correct_motion(projections, motion) if corrected else projections, settings, device)
    shown = _shown(acquisition.projections, projections, options, settings, corrected)
    description = f"{shown[0][1]}; {shown[1][1]}; {shown[-1][1]}"
    return PipelineResult(
        derived=(Derived(DerivedKind.RECONSTRUCTION, volume, description),),
        provenance=Provenance("reconstruction", "", shown, acquisition.assumptions, _corrections(settings, corrected)),
        findings=findings + motion.findings,
        measurements=_measurements(projections, motion),
    )


def _settings(projections: Projections, options: Options) -> Settings:
    """Return how to reconstruct this acquisition."""
    return Settings(
        options.iterations,
        options.subsets,
        Butterworth.of_nyquist(options.cutoff, projections.geometry.pixel_size_mm[1], options.order),
        options.camera_collimator(),
        Scatter.WINDOWS if options.scatter == "windows" else Scatter.NONE,
    )


def _corrections(settings: Settings, motion_corrected: bool) -> tuple[str, ...]:
    """Return the DICOM terms (Corrected Image) of what was corrected here."""
    scatter = ("SCAT",) if settings.scatter is not Scatter.NONE else ()
    return (*scatter, "MOTN") if motion_corrected else scatter


def _shown(
    source: Projections, used: Projections, options: Options, settings: Settings, motion_corrected: bool
) -> tuple[tuple[str, str], ...]:
    """Return the settings in the order to print, each with its unit."""
    geometry = used.geometry
    covered, step = angular_coverage_deg(geometry.angles_deg)
    gates = "ungated" if source.gates == 1 else f"sum of {source.gates} gates"
    window = used.windows[used.photopeak]
    post_filter = settings.post_filter.describe() if settings.post_filter else "none"
    made = [
        f"collimator blur ({settings.collimator.describe()})" if settings.collimator else "",
        "scatter (energy windows, additive)" if settings.scatter is not Scatter.NONE else "",
        "axial motion" if motion_corrected else "",
    ]
    return (
        ("Algorithm", f"OSEM, {settings.iterations} iterations x {settings.subsets} subsets"),
        ("Post-filter", f"{post_filter} = {options.cutoff:g} of Nyquist; negative values set to 0"),
        ("Projections", f"{geometry.views} views of {geometry.rows} x {geometry.columns}, {gates}"),
        ("Pixel", f"{geometry.pixel_size_mm[0]:.4g} mm axial, {geometry.pixel_size_mm[1]:.4g} mm transaxial"),
        ("Arc", f"{covered:.0f}°, step {step:.2f}°"),
        ("Energy window", f"{window.lower_kev:g}-{window.upper_kev:g} keV"),
        ("Corrections", ", ".join(part for part in made if part) or "no correction of attenuation, scatter or blur"),
    )


def _measurements(projections: Projections, motion: Motion) -> tuple[Measurement, ...]:
    counts = projections.photopeak_counts()
    return (
        Measurement("Counts in the photopeak", float(counts.sum(dtype="float64")), "{counts}"),
        Measurement("Highest count in a pixel", float(counts.max()), "{counts}"),
        *motion.measurements,
    )
