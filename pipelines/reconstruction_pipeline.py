"""The pipeline `reconstruction`: projections of the photopeak -> OSEM -> post-filter -> one volume."""

from __future__ import annotations

from pipelines.contract import (
    Derived,
    DerivedKind,
    Finding,
    Measurement,
    PipelineInput,
    PipelineResult,
    Provenance,
)
from pipelines.images import Projections, UnsuitableAcquisition
from pipelines.reconstruction.filters import Butterworth
from pipelines.reconstruction.input_checks import angular_coverage_deg, suitable
from pipelines.reconstruction.reconstruct import Settings, reconstruct
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
    post_filter = Butterworth.of_nyquist(options.cutoff, projections.geometry.pixel_size_mm[1], options.order)
    volume = reconstruct(projections, Settings(options.iterations, options.subsets, post_filter), device)
    method = f"OSEM {options.iterations} iterations x {options.subsets} subsets; {post_filter.describe()}"
    return PipelineResult(
        derived=(Derived(DerivedKind.RECONSTRUCTION, volume, f"{method}; no attenuation or scatter correction"),),
        provenance=Provenance(
            "reconstruction",
            "",
            _settings(acquisition.projections, projections, options, post_filter),
            acquisition.assumptions,
        ),
        findings=findings,
        measurements=_measurements(projections, findings),
    )


def _settings(
    source: Projections, used: Projections, options: Options, post_filter: Butterworth
) -> tuple[tuple[str, str], ...]:
    """Return the settings in the order to print, each with its unit."""
    geometry = used.geometry
    covered, step = angular_coverage_deg(geometry.angles_deg)
    gates = "ungated" if source.gates == 1 else f"sum of {source.gates} gates"
    window = used.windows[used.photopeak]
    return (
        ("Algorithm", f"OSEM, {options.iterations} iterations x {options.subsets} subsets"),
        ("Post-filter", f"{post_filter.describe()} = {options.cutoff:g} of Nyquist; negative values set to 0"),
        ("Projections", f"{geometry.views} views of {geometry.rows} x {geometry.columns}, {gates}"),
        ("Pixel", f"{geometry.pixel_size_mm[0]:.4g} mm axial, {geometry.pixel_size_mm[1]:.4g} mm transaxial"),
        ("Arc", f"{covered:.0f}°, step {step:.2f}°"),
        ("Energy window", f"{window.lower_kev:g}-{window.upper_kev:g} keV"),
        ("Corrections", "none for attenuation, scatter or collimator blur"),
    )


def _measurements(projections: Projections, findings: tuple[Finding, ...]) -> tuple[Measurement, ...]:
    counts = projections.photopeak_counts()
    return (
        Measurement("Counts in the photopeak", float(counts.sum(dtype="float64")), "{counts}"),
        Measurement("Highest count in a pixel", float(counts.max()), "{counts}"),
    )
