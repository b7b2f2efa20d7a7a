"""A map that was measured, a CT or a vendor's: turned into 1/cm and laid over the emission.

A CT is registered. A vendor's map was aligned when it was made, often by hand (Huxohl et al. 2023): it is compared with
the emission and used where it came. A person's shift replaces both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipelines.contract import Finding, MapCandidate, MapSource, Verdict
from pipelines.images import UnsuitableAcquisition, Volume
from pipelines.perfusion.options import AttenuationOptions
from pipelines.physics.attenuation import DENSEST_HU, check_mu_map, mu_from_hounsfield, share_of_metal, water_per_cm
from pipelines.quality.map_place import Extent, by_hand_findings, left_findings, moved_findings, unregistered_findings
from pipelines.registration.rigid import Registration, moved_by_hand, register

_SOME_METAL = 1e-4  # of the body: a pacemaker's wire


@dataclass(frozen=True)
class LaidMap:
    """A measured map where it is taken to lie, on a grid of its own.

    `extents` must all hold the heart: a registration lays a map that ends in the heart so that it seems to hold it, so
    the place that headers tell counts as well.
    """

    mu_map: Volume  # 1/cm
    made: str  # how, in words
    extents: tuple[Extent, ...]
    registration: Registration | None = None  # how it was moved
    findings: tuple[Finding, ...] = ()


def laid_map(
    candidate: MapCandidate, emission: Volume, energy_kev: float, options: AttenuationOptions, *, same_frame: bool
) -> LaidMap:
    """Return a candidate laid over a reconstruction that is not corrected.

    `same_frame` is False where no Frame of Reference tells how they lie: a vendor's map is then registered, too. Raises
    UnsuitableAcquisition when it is no map, or shows too little of the patient to be compared.
    """
    mu_map, made = _as_it_came(candidate, energy_kev)
    laid = _laid(candidate, mu_map, made, emission, options, same_frame=same_frame)
    return replace(laid, findings=(*_metal(candidate), *laid.findings))


def _laid(
    candidate: MapCandidate,
    mu_map: Volume,
    made: str,
    emission: Volume,
    options: AttenuationOptions,
    *,
    same_frame: bool,
) -> LaidMap:
    shift_mm = options.map_shift()
    if shift_mm is not None:
        placed = moved_by_hand(mu_map, emission, shift_mm)
        findings = by_hand_findings(shift_mm, placed.agreement_before, placed.agreement_after)
        moved = placed.apply(mu_map)
        return LaidMap(moved, f"{made}, moved by hand", (Extent.of(moved),), placed, findings)
    came = (Extent.of(mu_map),) if same_frame else ()
    if not options.registration:
        findings = unregistered_findings(same_frame=same_frame)
        return LaidMap(mu_map, f"{made}, laid over the emission as it came", came, None, findings)
    found = register(mu_map, emission, same_frame=same_frame)
    figures = (found.moved_mm, found.turned_deg, found.agreement_before, found.agreement_after)
    if candidate.source is MapSource.VENDOR and same_frame and not options.register_vendor_map:
        return LaidMap(mu_map, f"{made}, used where it came", came, None, left_findings(*figures))
    findings, moved = moved_findings(*figures, same_frame=same_frame), found.apply(mu_map)
    words = f"{made}, rigidly registered to the emission"
    return LaidMap(moved, words, (*came, Extent.of(moved)), found, findings)


def _as_it_came(candidate: MapCandidate, energy_kev: float) -> tuple[Volume, str]:
    """Return a candidate in 1/cm, and what it is."""
    try:
        water_per_cm(energy_kev)  # for the guard, too, must know what tissue is at this energy
        of_ct = candidate.source is MapSource.CT
        mu_map = mu_from_hounsfield(candidate.volume, energy_kev) if of_ct else candidate.volume
    except UnsuitableAcquisition:
        raise
    except ValueError as error:
        raise UnsuitableAcquisition(f"it can't be turned into an attenuation map: {error}") from None
    check_mu_map(mu_map, energy_kev)
    return mu_map, f"from CT, at {energy_kev:g} keV" if of_ct else "the vendor's own"


def _metal(candidate: MapCandidate) -> tuple[Finding, ...]:
    """Return what is to be said of metal in the CT that a map is made of."""
    share = share_of_metal(candidate.volume) if candidate.source is MapSource.CT else 0.0
    if share < _SOME_METAL:
        return ()
    words = (
        f"{100 * share:.2g} % of the body in the CT is denser than bone ({DENSEST_HU:g} HU): metal, which counts as "
        "the densest bone; a CT is blurred about it"
    )
    return (Finding(Verdict.PASS, words),)
