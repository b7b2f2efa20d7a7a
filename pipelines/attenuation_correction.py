"""The pipeline `attenuation_correction`: a mu-map from CT, vendor or network -> corrected images beside those without.

Projections are reconstructed with the map (OSEM); a vendor's reconstruction alone is corrected afterwards (PRAC).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

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
from pipelines.geometry import Float
from pipelines.images import UnsuitableAcquisition, Volume
from pipelines.perfusion.attenuation_map import AttenuationMap, attenuation_map
from pipelines.perfusion.hearts import HeartImage, HeartReading, read_hearts
from pipelines.perfusion.imaging import Prepared, Shown, corrections, in_one_sentence, prepare, shown_settings
from pipelines.perfusion.options import AttenuationOptions
from pipelines.physics.escape import escape_from
from pipelines.quality.guard import judge
from pipelines.quality.map_guard import (
    ANATOMY_LIMITS,
    CHECKS,
    MEASURED_CHECKS,
    MEASURED_LIMITS,
    Corrected,
    map_figures,
    unasked,
    wall_places_mm,
    why_untold,
)
from pipelines.quality.map_place import MOST_OUTSIDE, ends_in_heart_words, most_outside
from pipelines.reconstruction.emission_images import EmissionImages, emission_images
from pipelines.reconstruction.prac import PracSettings, prac

_NOT_CORRECTED = "not corrected"
_FIGURE = "Guard: "  # before the name of a figure among the measurements


class _Road(Protocol):
    """How images with and without a mu-map are made of an acquisition."""

    @property
    def findings(self) -> tuple[Finding, ...]: ...

    @property
    def measurements(self) -> tuple[Measurement, ...]: ...

    @property
    def corrections(self) -> tuple[str, ...]:
        """What both images are corrected for."""

    @property
    def made(self) -> str:
        """How the image without correction was made, in a sentence."""

    @property
    def shown(self) -> Shown:
        """The settings of both images."""

    @property
    def shown_correction(self) -> str:
        """How the map enters."""

    @property
    def angles_deg(self) -> tuple[float, ...]:
        """Of the views, measured or made."""

    def emission_images(self, device: str) -> EmissionImages: ...

    def image(self, device: str, mu_map: AttenuationMap | None) -> HeartImage: ...


@dataclass(frozen=True)
class _ByOsem:
    """Projections, reconstructed with and without the map."""

    prepared: Prepared
    options: AttenuationOptions

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.prepared.findings

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return self.prepared.measurements

    @property
    def corrections(self) -> tuple[str, ...]:
        return corrections(self.prepared)

    @property
    def made(self) -> str:
        return in_one_sentence(shown_settings(self.prepared, self.options))

    @property
    def shown(self) -> Shown:
        *shown, (name, others) = shown_settings(self.prepared, self.options)
        others = "" if others.startswith("no correction") else f", {others}"
        return (*shown, (name, f"attenuation (where it says corrected){others}"))

    @property
    def shown_correction(self) -> str:
        return "OSEM with the map"

    @property
    def angles_deg(self) -> tuple[float, ...]:
        return self.prepared.projections.geometry.angles_deg

    def emission_images(self, device: str) -> EmissionImages:
        return emission_images(self.prepared.projections, device)

    def image(self, device: str, mu_map: AttenuationMap | None) -> HeartImage:
        known = None if mu_map is None else mu_map.mu_map
        volume, gates = self.prepared.reconstruct(device, known), self.prepared.reconstruct_gates(device, known)
        return _labelled(volume, mu_map, gates)


@dataclass(frozen=True)
class _ByPrac:
    """A vendor's reconstruction, as it came and corrected afterwards."""

    volume: Volume

    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    corrections: tuple[str, ...] = ()

    @property
    def made(self) -> str:
        return self.shown[0][1]

    @property
    def shown(self) -> Shown:
        z, y, x = self.volume.grid.shape
        size = " x ".join(f"{side:.4g}" for side in self.volume.grid.voxel_mm)
        return (
            ("Algorithm", "the vendor's reconstruction, as it was received"),
            ("Volume", f"{z} slices of {y} x {x}, voxels of {size} mm"),
        )

    @property
    def shown_correction(self) -> str:
        settings = PracSettings()
        return (
            f"PRAC: the volume projected to {len(settings.angles_deg)} views and reconstructed with the map, "
            f"{settings.iterations} iterations x {settings.subsets} subsets"
        )

    @property
    def angles_deg(self) -> tuple[float, ...]:
        return PracSettings().angles_deg

    def emission_images(self, device: str) -> EmissionImages:
        return EmissionImages((self.volume,))

    def image(self, device: str, mu_map: AttenuationMap | None) -> HeartImage:
        if mu_map is None:
            volume = self.volume
        else:
            volume = prac(self.volume, mu_map.whole, device=device, energy_kev=mu_map.energy_kev)
        return _labelled(volume, mu_map, (), "a vendor's reconstruction")


def run(pipeline_input: PipelineInput, device: str) -> PipelineResult:
    """Correct an acquisition for attenuation; read the left ventricle without and with the correction.

    Raises UnsuitableAcquisition when it holds nothing to correct or the rule's map is not there, ValueError on wrong
    options, WeightsError without the model.
    """
    options = AttenuationOptions.of(pipeline_input.options)
    acquisition = pipeline_input.acquisition
    road = _road(acquisition, options)
    emission = road.emission_images(device)
    without = road.image(device, None)
    found = attenuation_map(pipeline_input, emission, without.volume, options, device)
    images = (without, road.image(device, found))
    reading = read_hearts(images, acquisition, options)
    judged = _judged(found, emission, reading, road)
    figures = map_figures(judged)
    return PipelineResult(
        derived=(*_volumes(images, found, road), *reading.derived),
        provenance=_provenance(found, road, acquisition),
        findings=(
            *road.findings,
            *found.findings,
            *_ends_in_heart(found, judged),
            *_guard(found, judged, figures),
            *reading.findings,
        ),
        measurements=(*road.measurements, *_measurements(found, figures)),
        hearts=reading.hearts,
    )


def _road(acquisition: Acquisition, options: AttenuationOptions) -> _Road:
    if acquisition.projections is not None:
        return _ByOsem(prepare(acquisition.projections, options), options)
    if acquisition.reconstruction is not None:
        if not float(acquisition.reconstruction.values.max()) > 0:
            raise UnsuitableAcquisition("the reconstruction to be corrected holds no activity at all")
        return _ByPrac(acquisition.reconstruction)
    raise UnsuitableAcquisition("attenuation correction needs projections or a reconstruction; there is neither")


def _labelled(volume: Volume, mu_map: AttenuationMap | None, gates: tuple[Volume, ...], made: str = "") -> HeartImage:
    if mu_map is None:
        return HeartImage(_NOT_CORRECTED, volume, DerivedKind.SHORT_AXIS, gates=gates, made=made)
    label = f"corrected ({mu_map.source.value})"
    return HeartImage(label, volume, DerivedKind.CORRECTED_SHORT_AXIS, corrected=True, gates=gates, made=made)


def _volumes(images: tuple[HeartImage, HeartImage], found: AttenuationMap, road: _Road) -> tuple[Derived, ...]:
    without, corrected = images
    settings = "; ".join(value for name, value in road.shown if name in ("Algorithm", "Post-filter"))
    words = f"{settings}; corrected for attenuation: {road.shown_correction}; map: {found.made}"
    return (
        Derived(DerivedKind.RECONSTRUCTION, without.volume, road.made),
        Derived(DerivedKind.CORRECTED_RECONSTRUCTION, corrected.volume, words),
        Derived(DerivedKind.MU_MAP, found.mu_map, f"Attenuation map in 1/cm: {found.made}"),
    )


def _provenance(found: AttenuationMap, road: _Road, acquisition: Acquisition) -> Provenance:
    settings = [
        ("Attenuation map", f"{found.source.value}: {found.made}; {found.why}"),
        ("Attenuation correction", road.shown_correction),
        *road.shown,
    ]
    models: tuple[Model, ...] = ()
    if found.card is not None:
        settings.append(("Weights", f"SHA-256 {found.card.sha256}; {found.card.evidence}"))
        models = (Model(found.card.name, found.card.version, found.card.sha256),)
    return Provenance(
        "attenuation_correction",
        "",
        tuple(settings),
        (*acquisition.assumptions, *found.assumptions),
        road.corrections,
        f"{found.source.value}: attenuation map {found.made}",
        models,
        found.source,
        found.key,
        found.energy_kev,
    )


def _judged(found: AttenuationMap, emission: EmissionImages, reading: HeartReading, road: _Road) -> Corrected:
    """Return what the guard looks at."""
    image = emission.levels[-1]
    if not reading.hearts:
        return Corrected(found.mu_map, image, None, energy_kev=found.energy_kev)
    before, after = reading.hearts
    factors = _factors(found, wall_places_mm(after.ventricle), road.angles_deg)
    return Corrected(
        found.mu_map, image, after.ventricle, before.polar, after.polar, factors, energy_kev=found.energy_kev
    )


def _factors(found: AttenuationMap, places_mm: Float, angles_deg: tuple[float, ...]) -> Float | None:
    """Return what each network's map lets through from places to views `[network, place, view]`; None for one map."""
    if not found.members:
        return None
    return np.stack([escape_from(member, places_mm, angles_deg) for member in found.members])


def _guard(found: AttenuationMap, judged: Corrected, figures: dict[str, float]) -> tuple[Finding, ...]:
    left_out = unasked(judged, figures)
    limits, checks = MEASURED_LIMITS, MEASURED_CHECKS
    if found.card is not None:
        limits, checks = {**found.card.thresholds, **ANATOMY_LIMITS}, CHECKS
        if len(found.members) == 1:
            alone = f"{found.card.name} is a single network: whether networks disagree about the map could not be asked"
            left_out["factor_spread_percent"] = alone
    asked = [check for check in checks if check.figure not in left_out]
    findings = judge(figures, limits, asked, why_untold(judged))
    return (*findings, *(Finding(Verdict.PASS, words) for words in left_out.values()))


def _ends_in_heart(found: AttenuationMap, judged: Corrected) -> tuple[Finding, ...]:
    """Return that a measured map ends in a heart which only the correction made visible."""
    if not found.extents or judged.ventricle is None or math.isfinite(found.outside):
        return ()
    share = most_outside(found.extents, wall_places_mm(judged.ventricle))
    if share <= MOST_OUTSIDE:
        return ()
    return (Finding(Verdict.QUARANTINE, f"the attenuation map can't be used: {ends_in_heart_words(share)}"),)


def _measurements(found: AttenuationMap, figures: dict[str, float]) -> tuple[Measurement, ...]:
    """Return how the map was moved, and the guard's figures, as far as they could be made."""
    moved: list[Measurement] = []
    if found.registration is not None:
        one = found.registration
        moved = [
            Measurement("Map moved by", one.moved_mm, "mm"),
            Measurement("Map turned by", one.turned_deg, "deg"),
            Measurement("Outlines agree before registration", 100.0 * one.agreement_before, "%"),
            Measurement("Outlines agree after registration", 100.0 * one.agreement_after, "%"),
        ]
    if math.isfinite(found.outside):
        moved.append(Measurement("Left ventricle beyond the map's end", 100.0 * found.outside, "%"))
    told = (Measurement(f"{_FIGURE}{name}", value, "1") for name, value in figures.items() if math.isfinite(value))
    return (*moved, *told)


def figures_in(result: PipelineResult) -> dict[str, float]:
    """Return the guard's figures that a result of this pipeline tells; what could not be made is not among them."""
    told = [one for one in result.measurements if one.name.startswith(_FIGURE)]
    return {one.name.removeprefix(_FIGURE): one.value for one in told}
