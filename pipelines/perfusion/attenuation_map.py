"""Where the mu-map of a correction comes from: the study's CT, its vendor's attenuation map, or the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipelines.contract import Finding, MapSource, PipelineInput, Verdict
from pipelines.images import UnsuitableAcquisition, Volume
from pipelines.networks.model_card import ModelCard
from pipelines.networks.mu_map_predict import load_mu_map_model, predict_mu_map
from pipelines.perfusion.options import AUTO, FROM_CT, FROM_NETWORK, FROM_VENDOR, AttenuationOptions
from pipelines.physics.attenuation import (
    DENSEST_HU,
    TECHNETIUM_KEV,
    check_mu_map,
    mu_from_hounsfield,
    photon_energy_kev,
    resample,
    share_of_metal,
)
from pipelines.quality.map_guard import moved_findings
from pipelines.reconstruction.emission_images import EmissionImages
from pipelines.registration.rigid import Registration, register

_NAMED = {MapSource.CT: "CT", MapSource.VENDOR: "attenuation map"}
_SOME_METAL = 1e-4  # of the body: a pacemaker's wire
_SOURCES = {FROM_CT: MapSource.CT, FROM_VENDOR: MapSource.VENDOR, FROM_NETWORK: MapSource.NETWORK}


@dataclass(frozen=True)
class AttenuationMap:
    """The map that a correction uses, on the grid of the reconstruction, and how it came about."""

    source: MapSource
    why: str  # this source, in words
    made: str  # how, in words
    mu_map: Volume  # 1/cm, with the table where it is known
    registration: Registration | None = None  # of CT or vendor's map, where it was asked for
    card: ModelCard | None = None  # of the network
    members: tuple[Volume, ...] = ()  # each network's own map
    findings: tuple[Finding, ...] = ()


def attenuation_map(
    pipeline_input: PipelineInput, images: EmissionImages, options: AttenuationOptions, device: str
) -> AttenuationMap:
    """Return the map for a reconstruction (on the grid of `images`).

    Where the rule leaves the choice open, what can't be used is told and the next source is taken. Raises
    UnsuitableAcquisition when the study doesn't hold what the rule asks for or it is no map, WeightsError without the
    network's files.
    """
    source, why = chosen_source(pipeline_input, options)
    if source is MapSource.NETWORK:
        return _predicted(images, options, why, device)
    try:
        return _measured(pipeline_input, source, why, images, options)
    except UnsuitableAcquisition as error:
        if options.map != AUTO:
            raise
        left = replace(pipeline_input, ct=None, mu_map=None if source is MapSource.VENDOR else pipeline_input.mu_map)
        refused = Finding(Verdict.WARN, f"the study's own {_NAMED[source]} is not used: {error}")
    found = attenuation_map(left, images, options, device)
    return replace(found, why=f"its own {_NAMED[source]} can't be used", findings=(refused, *found.findings))


def chosen_source(pipeline_input: PipelineInput, options: AttenuationOptions) -> tuple[MapSource, str]:
    """Return where the map comes from, and why from there.

    Raises UnsuitableAcquisition when the rule asks for a source that the study doesn't hold.
    """
    held = {MapSource.CT: pipeline_input.ct is not None, MapSource.VENDOR: pipeline_input.mu_map is not None}
    if options.map != AUTO:
        source = _SOURCES[options.map]
        if not held.get(source, True):
            words = f"the rule asks for the study's own {_NAMED[source]} (map = {options.map}); it has none"
            raise UnsuitableAcquisition(words)
        return source, f"the rule asks for it (map = {options.map})"
    if held[MapSource.CT]:
        return MapSource.CT, "the study holds a CT"
    if held[MapSource.VENDOR]:
        return MapSource.VENDOR, "the study holds an attenuation map and no CT"
    return MapSource.NETWORK, "the study holds neither a CT nor an attenuation map"


def _measured(
    pipeline_input: PipelineInput,
    source: MapSource,
    why: str,
    images: EmissionImages,
    options: AttenuationOptions,
) -> AttenuationMap:
    mu_map, made = _as_it_came(pipeline_input, source)
    check_mu_map(mu_map, _energy_kev(pipeline_input))
    metal = _metal(pipeline_input, source)
    grid, same_frame = images.levels[-1].grid, _shares_frame(pipeline_input, source)
    if not options.registration:
        _check_place(pipeline_input, source)
        words = f"{made}, laid over the emission as it came"
        told = (*metal, *_unregistered(same_frame))
        return AttenuationMap(source, why, words, resample(mu_map, grid), findings=told)
    registration = register(mu_map, images.levels[-1], same_frame=same_frame)
    moved = resample(registration.apply(mu_map), grid)
    findings = moved_findings(
        registration.moved_mm,
        registration.turned_deg,
        registration.agreement_before,
        registration.agreement_after,
        same_frame=same_frame,
    )
    return AttenuationMap(
        source, why, f"{made}, rigidly registered to the emission", moved, registration, findings=(*metal, *findings)
    )


def _as_it_came(pipeline_input: PipelineInput, source: MapSource) -> tuple[Volume, str]:
    if source is MapSource.CT and pipeline_input.ct is not None:
        energy_kev = _energy_kev(pipeline_input)
        try:
            mu_map = mu_from_hounsfield(pipeline_input.ct, energy_kev)
        except ValueError as error:
            raise UnsuitableAcquisition(f"the CT can't be turned into an attenuation map: {error}") from None
        return mu_map, f"from CT, at {energy_kev:g} keV"
    if source is MapSource.VENDOR and pipeline_input.mu_map is not None:
        return pipeline_input.mu_map, "the vendor's own"
    raise UnsuitableAcquisition(f"the study holds no map for {source.value}")


def _metal(pipeline_input: PipelineInput, source: MapSource) -> tuple[Finding, ...]:
    """Return what is to be said of metal in the CT that a map is made of."""
    share = share_of_metal(pipeline_input.ct) if source is MapSource.CT and pipeline_input.ct is not None else 0.0
    if share < _SOME_METAL:
        return ()
    words = (
        f"{100 * share:.2g} % of the body in the CT is denser than bone ({DENSEST_HU:g} HU): metal, which counts as "
        "the densest bone; a CT is blurred about it"
    )
    return (Finding(Verdict.PASS, words),)


def _energy_kev(pipeline_input: PipelineInput) -> float:
    """Return the energy of the photons that were imaged; technetium's where the study doesn't say."""
    projections = pipeline_input.acquisition.projections
    if projections is None:
        return TECHNETIUM_KEV
    return photon_energy_kev(projections.windows[projections.photopeak])


def _shares_frame(pipeline_input: PipelineInput, source: MapSource) -> bool:
    placed = pipeline_input.acquisition.position_known
    return placed and (source is not MapSource.CT or pipeline_input.ct_shares_frame)


def _check_place(pipeline_input: PipelineInput, source: MapSource) -> None:
    """Raise UnsuitableAcquisition where nothing but the registration could tell how a map lies to the emission."""
    if not pipeline_input.acquisition.position_known:
        raise UnsuitableAcquisition(
            f"Image Position (Patient): found none that tells where the acquisition lies, so that only a registration "
            f"could lay the {_NAMED[source]} over it; expected a position from the camera, or a rule that doesn't "
            "forbid the registration (registration = false)"
        )


def _unregistered(same_frame: bool) -> tuple[Finding, ...]:
    if same_frame:
        words = "the attenuation map was not registered to the emission: the rule says so (registration = false)"
        return (Finding(Verdict.WARN, words),)
    words = "the CT was not registered (registration = false), and no frame of reference tells where it lies"
    return (Finding(Verdict.QUARANTINE, words),)


def _predicted(images: EmissionImages, options: AttenuationOptions, why: str, device: str) -> AttenuationMap:
    model = load_mu_map_model(options.model, options.folder)
    found = predict_mu_map(images.levels, images.scatter, model.networks, device, model.voxel_mm)
    card = model.card
    scatter = "with" if images.scatter is not None else "without"
    number = len(images.levels)
    made = (
        f"mean of {card.members} networks, {card.name} {card.version}, told from {number} "
        f"reconstruction{'s' if number > 1 else ''} {scatter} a scatter window"
    )
    return AttenuationMap(MapSource.NETWORK, why, made, found.mu_map, card=card, members=found.members)
