"""From an acquisition to its reconstruction: input checks, motion, settings, and what the provenance says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipelines.cardiac.gated_function import CUTOFF_CYCLES_PER_CM, FEWEST_GATES, ORDER
from pipelines.contract import Finding, Measurement
from pipelines.geometry import AcquisitionGeometry
from pipelines.images import Projections, UnsuitableAcquisition, Volume
from pipelines.perfusion.options import Options
from pipelines.reconstruction.filters import Butterworth
from pipelines.reconstruction.input_checks import angular_coverage_deg, suitable
from pipelines.reconstruction.motion import Motion, correct_motion, find_motion
from pipelines.reconstruction.reconstruct import Scatter, Settings, reconstruct, reconstruct_gates

Shown = tuple[tuple[str, str], ...]  # settings as they are printed: name, value with its unit


@dataclass(frozen=True)
class Prepared:
    """Projections that can be reconstructed, and how; `gated` still has its gates."""

    gated: Projections
    projections: Projections  # gates summed
    settings: Settings
    motion: Motion
    motion_corrected: bool
    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]

    def reconstruct(self, device: str, mu_map: Volume | None = None) -> Volume:
        """Return the volume of all gates together; with a mu-map, corrected for attenuation."""
        return reconstruct(self.projections, self.settings, device, mu_map)

    def reconstruct_gates(self, device: str, mu_map: Volume | None = None) -> tuple[Volume, ...]:
        """Return one volume per gate, filtered as the function of the ventricle is read best; none if ungated."""
        if self.gated.gates < FEWEST_GATES:
            return ()
        settings = replace(self.settings, post_filter=Butterworth(CUTOFF_CYCLES_PER_CM, ORDER))
        return reconstruct_gates(self.gated, settings, device, mu_map)


def prepare(acquired: Projections | None, options: Options, motion: Motion | None = None) -> Prepared:
    """Check projections and choose how to reconstruct them; `motion` is what is known of it, None: it is looked for.

    Raises UnsuitableAcquisition when there are none or they can't be reconstructed.
    """
    if acquired is None:
        raise UnsuitableAcquisition("the reconstruction needs projections; this acquisition holds none")
    gated, findings = suitable(acquired)
    projections = gated.ungated()
    if options.subsets > projections.geometry.views:
        raise UnsuitableAcquisition(f"{projections.geometry.views} views can't make {options.subsets} subsets")
    motion = motion or find_motion(projections)
    corrected = options.motion_correction and motion.moved_along_table
    return Prepared(
        correct_motion(gated, motion) if corrected else gated,
        correct_motion(projections, motion) if corrected else projections,
        settings_for(projections, options),
        motion,
        corrected,
        findings + motion.findings,
        _measurements(projections) + motion.measurements,
    )


def settings_for(projections: Projections, options: Options) -> Settings:
    """Return how to reconstruct these projections under a rule's options."""
    return Settings(
        options.iterations,
        options.subsets,
        Butterworth.of_nyquist(options.cutoff, projections.geometry.pixel_size_mm[1], options.order),
        options.camera_collimator(),
        Scatter.WINDOWS if options.scatter == "windows" else Scatter.NONE,
    )


def corrections(prepared: Prepared) -> tuple[str, ...]:
    """Return the DICOM terms (Corrected Image) of what was corrected here, but for attenuation."""
    scatter = ("SCAT",) if prepared.settings.scatter is not Scatter.NONE else ()
    return (*scatter, "MOTN") if prepared.motion_corrected else scatter


def shown_settings(prepared: Prepared, options: Options) -> Shown:
    """Return the settings in the order to print, each with its unit."""
    used, settings = prepared.projections, prepared.settings
    geometry = used.geometry
    covered, step = angular_coverage_deg(geometry.angles_deg)
    gates = "ungated" if prepared.gated.gates == 1 else f"sum of {prepared.gated.gates} gates"
    window = used.windows[used.photopeak]
    post_filter = settings.post_filter.describe() if settings.post_filter else "none"
    made = [
        f"collimator blur ({settings.collimator.describe()}; {_radii(geometry)})" if settings.collimator else "",
        "scatter (energy windows, additive)" if settings.scatter is not Scatter.NONE else "",
        "axial motion" if prepared.motion_corrected else "",
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


def _radii(geometry: AcquisitionGeometry) -> str:
    """Return the radius of rotation, on which the blur depends, and where it comes from."""
    if geometry.radius_mm is None:
        return "radius of rotation not stated"
    low, high = min(geometry.radius_mm), max(geometry.radius_mm)
    radius = f"{low:.0f}" if high - low < 1 else f"{low:.0f} to {high:.0f}"
    return f"radius of rotation {radius} mm, as the acquisition states it in Radial Position"


def in_one_sentence(shown: Shown) -> str:
    """Return the settings that a Derivation Description tells: algorithm, filter, corrections."""
    return f"{shown[0][1]}; {shown[1][1]}; {shown[-1][1]}"


def _measurements(projections: Projections) -> tuple[Measurement, ...]:
    counts = projections.photopeak_counts()
    return (
        Measurement("Counts in the photopeak", float(counts.sum(dtype="float64")), "{counts}"),
        Measurement("Highest count in a pixel", float(counts.max()), "{counts}"),
    )
