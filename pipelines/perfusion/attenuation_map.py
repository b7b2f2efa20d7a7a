"""Where the mu-map of a correction comes from: the study's CT, its vendor's attenuation map, or the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipelines.cardiac.left_ventricle import NoHeartFound, find_left_ventricle
from pipelines.contract import Finding, MapCandidate, MapSource, PipelineInput, Verdict
from pipelines.geometry import Float
from pipelines.images import UnsuitableAcquisition, Volume
from pipelines.networks.model_card import ModelCard
from pipelines.networks.mu_map_predict import load_mu_map_model, predict_mu_map
from pipelines.perfusion.measured_map import LaidMap, laid_map
from pipelines.perfusion.options import AUTO, FROM_CT, FROM_NETWORK, FROM_VENDOR, AttenuationOptions
from pipelines.perfusion.photons import Photons
from pipelines.physics.attenuation import TECHNETIUM_KEV
from pipelines.quality.map_guard import wall_places_mm
from pipelines.quality.map_place import MOST_OUTSIDE, Extent, ends_in_heart_words, most_outside
from pipelines.reconstruction.emission_images import EmissionImages
from pipelines.registration.rigid import Registration
from pipelines.resampling import resample

_NAMED = {MapSource.CT: "CT", MapSource.VENDOR: "attenuation map"}
_SOURCES = {FROM_CT: MapSource.CT, FROM_VENDOR: MapSource.VENDOR, FROM_NETWORK: MapSource.NETWORK}


@dataclass(frozen=True)
class AttenuationMap:
    """The map that a correction uses, on the grid of the reconstruction, and how it came about."""

    source: MapSource
    why: str  # this source, in words
    made: str  # how, in words
    mu_map: Volume  # 1/cm, with the table where it is known
    whole: Volume  # the same on a grid of its own, where it may reach beyond the reconstruction
    energy_kev: float = TECHNETIUM_KEV  # of the photons that it is for
    registration: Registration | None = None  # of CT or vendor's map, where it was moved
    extents: tuple[Extent, ...] = ()  # of CT or vendor's map, see `LaidMap`
    outside: float = math.nan  # the share of the left ventricle's wall beyond them; NaN: no heart was found yet
    key: str = ""  # of the candidate that it was made of
    card: ModelCard | None = None  # of the network
    members: tuple[Volume, ...] = ()  # each network's own map
    findings: tuple[Finding, ...] = ()
    assumptions: tuple[str, ...] = ()


def attenuation_map(
    pipeline_input: PipelineInput,
    images: EmissionImages,
    not_corrected: Volume,
    options: AttenuationOptions,
    device: str,
) -> AttenuationMap:
    """Return the map for a reconstruction (on the grid of `images`); in `not_corrected` the heart is looked for.

    Candidates are tried in their order; what can't be used is told and the next is taken, the network at last where
    the rule leaves the choice open. Where it doesn't, a map that ends in the heart is returned, to be held. Raises
    UnsuitableAcquisition when the study doesn't hold what the rule asks for or it is no map, WeightsError without the
    network's files.
    """
    candidates = _candidates(pipeline_input, options)
    wall_mm = _wall_mm(not_corrected, options) if candidates else None
    photons, placed = Photons.of(pipeline_input.acquisition), pipeline_input.acquisition.position_known
    refused: list[Finding] = []
    short: list[tuple[AttenuationMap, Finding]] = []  # what ends in the heart, and its refusal
    for candidate in candidates:
        why = _why(candidate, options, refused)
        same_frame = placed and (candidate.source is not MapSource.CT or pipeline_input.ct_shares_frame)
        try:
            if not placed:
                _check_registered(candidate, options)
            laid = laid_map(candidate, images.levels[-1], photons.energy_kev, options, same_frame=same_frame)
        except UnsuitableAcquisition as error:
            refused.append(_refusal(candidate, str(error)))
            continue
        found = _measured(candidate, laid, why, images, wall_mm, photons)
        if math.isnan(found.outside) or found.outside <= MOST_OUTSIDE:
            return replace(found, findings=(*refused, *found.findings))
        refused.append(_refusal(candidate, ends_in_heart_words(found.outside)))
        short.append((found, refused[-1]))
    if options.map in (AUTO, FROM_NETWORK):
        return _predicted(images, options, device, photons, refused)
    if short:
        found, its_own = short[0]
        held = Finding(Verdict.QUARANTINE, f"the rule's map can't be used: {ends_in_heart_words(found.outside)}")
        others = [one for one in refused if one is not its_own]
        return replace(found, findings=(held, *others, *found.findings))
    raise UnsuitableAcquisition("; ".join(one.text for one in refused))


def _candidates(pipeline_input: PipelineInput, options: AttenuationOptions) -> tuple[MapCandidate, ...]:
    """Return what the rule lets be tried. Raises UnsuitableAcquisition when it asks for what the study doesn't hold."""
    if options.map == AUTO:
        return pipeline_input.maps
    source = _SOURCES[options.map]
    ours = tuple(one for one in pipeline_input.maps if one.source is source)
    if not ours and source is not MapSource.NETWORK:
        words = f"the rule asks for the study's own {_NAMED[source]} (map = {options.map}); it has none"
        raise UnsuitableAcquisition(words)
    return ours


def _check_registered(candidate: MapCandidate, options: AttenuationOptions) -> None:
    """Raise UnsuitableAcquisition where nobody may say how a map lies to an emission that has lost its place."""
    if not options.registration and options.map_shift() is None:
        raise UnsuitableAcquisition(
            f"Image Position (Patient): found none that tells where the acquisition lies, so that only a registration "
            f"could lay the {_NAMED[candidate.source]} over it; expected a position from the camera, or a rule that "
            "doesn't forbid the registration (registration = false)"
        )


def _why(candidate: MapCandidate | None, options: AttenuationOptions, refused: Sequence[Finding]) -> str:
    """Return why a candidate is used, or the network (None) after those that were refused."""
    if options.map != AUTO:
        return f"the rule asks for it (map = {options.map})"
    if candidate is None:
        return "the study holds neither a CT nor an attenuation map that can be used"
    if refused:
        return "what comes before it can't be used"
    if candidate.source is MapSource.CT:
        return "the study holds a CT"
    return "the study holds an attenuation map and no CT that can be used"


def _wall_mm(not_corrected: Volume, options: AttenuationOptions) -> Float | None:
    """Return places in the left ventricle's wall, as far as it can be found without a correction."""
    try:
        return wall_places_mm(find_left_ventricle(not_corrected, options.guidance()))
    except NoHeartFound:
        return None


def _name(candidate: MapCandidate) -> str:
    return candidate.name or f"the study's own {_NAMED[candidate.source]}"


def _refusal(candidate: MapCandidate, reason: str) -> Finding:
    return Finding(Verdict.WARN, f"{_name(candidate)} is not used: {reason}")


def _measured(
    candidate: MapCandidate,
    laid: LaidMap,
    why: str,
    images: EmissionImages,
    wall_mm: Float | None,
    photons: Photons,
) -> AttenuationMap:
    chosen = candidate.chosen or Finding(Verdict.PASS, f"{_name(candidate)} is used")
    assumptions = list(candidate.assumptions)
    if candidate.source is MapSource.VENDOR:
        assumptions.append(f"the attenuation map is taken as one for {photons.energy_kev:g} keV")
    return AttenuationMap(
        candidate.source,
        why,
        laid.made,
        resample(laid.mu_map, images.levels[-1].grid),
        laid.mu_map,
        photons.energy_kev,
        laid.registration,
        laid.extents,
        math.nan if wall_mm is None or not laid.extents else most_outside(laid.extents, wall_mm),
        candidate.key,
        findings=(replace(chosen, text=f"{why}: {chosen.text}"), *laid.findings, *photons.findings),
        assumptions=(*assumptions, *photons.assumptions),
    )


def _predicted(
    images: EmissionImages, options: AttenuationOptions, device: str, photons: Photons, refused: Sequence[Finding]
) -> AttenuationMap:
    model = load_mu_map_model(options.model, options.folder)
    found = predict_mu_map(images.levels, images.scatter, model.networks, device, model.voxel_mm)
    card = model.card
    scatter = "with" if images.scatter is not None else "without"
    number = len(images.levels)
    made = (
        f"mean of {card.members} networks, {card.name} {card.version}, told from {number} "
        f"reconstruction{'s' if number > 1 else ''} {scatter} a scatter window"
    )
    return AttenuationMap(
        MapSource.NETWORK,
        _why(None, options, refused),
        made,
        found.mu_map,
        found.mu_map,
        card=card,
        members=found.members,
        findings=(*refused, *photons.findings, *photons.against_network),
        assumptions=photons.assumptions,
    )
