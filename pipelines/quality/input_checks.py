"""Is this an acquisition that a denoiser can be trusted with? Tracer, camera, counts, views, gates, noise.

These checks come on top of those that every reconstruction needs (`pipelines/reconstruction/input_checks`, `motion`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import Acquisition, Finding, Verdict
from pipelines.images import Projections
from pipelines.neighbors import median_of_neighbors, neighbor_views
from pipelines.quality.dispersion import dispersion, holds_whole_counts

Float = NDArray[np.float64]

TECHNETIUM_KEV = 140.5  # of technetium-99m, the tracer that denoisers are trained on
_WINDOW_TOLERANCE_KEV = 2.0
_WINDOW_WIDTHS = (0.14, 0.23)  # of the line's energy: usual windows are 15 to 20 % wide
_USUAL_MARGIN = 1.5  # beyond the range of counts that the model was trained on
_PIXEL_MARGIN = 0.02
_VIRTUAL = "(virtual)"  # what simulated images add to the camera's name
_VIEW_STEP = 0.2  # share by which a view may differ from what its neighbours say, beyond chance
_CHANCE = 4.0  # standard deviations of counting that are put down to chance
_MOST_ODD_VIEWS = 2
_SATURATED_PIXELS = 3  # as many at the largest value that the storage holds are no chance
_FULL_STORAGE = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 15, 16))
_LOW_GATE = 0.8  # of the other gates: what a last gate holds where the heart beats fairly evenly
_FEWEST_GATES = 8
# Poisson counts have 1; virtual patients at full and at an eighth of the dose had 0.98 to 1.07
_USUAL_DISPERSION = (0.85, 1.2)
_POSSIBLE_DISPERSION = (0.7, 1.5)


def input_findings(acquisition: Acquisition, domain: Mapping[str, object], dose_fraction: float) -> tuple[Finding, ...]:
    """Return what speaks against denoising an acquisition; nothing if it looks like what the model knows.

    `domain` is the training domain of the model's card; what it does not state is not compared. `dose_fraction` is
    the share of the full dose that the acquisition is said to hold.
    """
    projections = acquisition.projections
    if projections is None or projections.photopeak_counts().max() <= 0:
        return ()  # the pipeline refuses it
    return (
        *_tracer(projections),
        *_unknown_to_the_model(projections, domain),
        *_unknown_camera(acquisition, domain),
        *_counts_at_dose(projections, domain, dose_fraction),
        *_odd_views(projections),
        *_saturation(projections),
        *_gates(projections),
        *_noise(projections),
    )


def _tracer(projections: Projections) -> list[Finding]:
    """The photopeak window must be technetium's: photons of other energies scatter and blur otherwise."""
    window = projections.windows[projections.photopeak]
    if not window.stated:
        return [_warn("the energy window is not stated: it was not checked that the tracer is technetium-99m")]
    named = f"the photopeak window {window.lower_kev:g}-{window.upper_kev:g} keV"
    if not window.holds(TECHNETIUM_KEV):
        return [_quarantine(f"{named} does not hold technetium's {TECHNETIUM_KEV} keV: the denoiser knows no other")]
    center, width = (window.lower_kev + window.upper_kev) / 2, (window.upper_kev - window.lower_kev) / TECHNETIUM_KEV
    if abs(center - TECHNETIUM_KEV) > _WINDOW_TOLERANCE_KEV or not _WINDOW_WIDTHS[0] <= width <= _WINDOW_WIDTHS[1]:
        return [_warn(f"{named} is unusual for technetium-99m: expected 15 to 20 % about {TECHNETIUM_KEV} keV")]
    return []


def _unknown_to_the_model(projections: Projections, domain: Mapping[str, object]) -> list[Finding]:
    """Say in one sentence in what an acquisition differs from those that the model was trained on."""
    geometry = projections.geometry
    matrix, known_matrices = f"{geometry.rows} x {geometry.columns}", _listed(domain, "matrix")
    pixel = geometry.pixel_size_mm[1]
    differs = []
    if known_matrices and matrix not in known_matrices:
        differs.append(f"a matrix of {matrix} (known: {', '.join(known_matrices)})")
    for value, key, margin, words in (
        (geometry.views, "views", 0.0, f"{geometry.views} views"),
        (pixel, "pixel_size_mm", _PIXEL_MARGIN, f"pixels of {pixel:.3g} mm"),
        (projections.gates, "gates", 0.0, f"{projections.gates} gates"),
    ):
        known = _listed(domain, key)
        if known and not min(known) * (1 - margin) <= value <= max(known) * (1 + margin):
            differs.append(f"{words} (known: {_range(known)})")
    if not differs:
        return []
    return [_warn(f"the denoiser was not trained on such acquisitions: {'; '.join(differs)}")]


def _unknown_camera(acquisition: Acquisition, domain: Mapping[str, object]) -> list[Finding]:
    """Say whether the model was trained on images of another camera or collimator: both shape blur and noise.

    What the study or the card doesn't name is not compared; that a name is known proves little, so nothing is held.
    """
    differs = []
    for word, name, known in (
        ("camera", acquisition.camera_model, _listed(domain, "camera_models")),
        ("collimator", acquisition.collimator, _listed(domain, "collimators")),
    ):
        if name and known and _bare(name) not in map(_bare, known):
            differs.append(f"{word} {name} (known: {', '.join(known)})")
    return [_warn(f"the denoiser was not trained on this {'; '.join(differs)}")] if differs else []


def _bare(name: str) -> str:
    """Return a name as it compares: a virtual camera is a model of the one that it is called after."""
    return " ".join(name.casefold().removesuffix(_VIRTUAL).split())


def _counts_at_dose(projections: Projections, domain: Mapping[str, object], dose_fraction: float) -> list[Finding]:
    """Compare the counts per view, brought to full dose, with the studies that the model was trained on."""
    known = _listed(domain, "counts_per_view_percentiles_5_50_95")
    if len(known) != 3:
        return []
    at_full_dose = float(np.median(_per_view(projections))) / dose_fraction
    low, _, high = known
    if low / _USUAL_MARGIN <= at_full_dose <= high * _USUAL_MARGIN:
        return []
    words = (
        f"the counts don't fit the dose: {at_full_dose:,.0f} per view if this is {100 * dose_fraction:.3g} % of "
        f"the full dose, usual {low:,.0f} to {high:,.0f}"
    )
    return [_warn(words)]


def _odd_views(projections: Projections) -> list[Finding]:
    """Find views that counted too little or too much against their neighbours: dropped, doubled or moved frames.

    Decay between the stops of two heads stays below 2 % and is no matter here.
    """
    angles = projections.geometry.angles_deg
    counted, neighbors = _per_view(projections), neighbor_views(angles)
    odd: dict[int, float] = {}  # view -> what was expected
    while len(odd) < len(counted):  # the oddest first, for it makes its neighbours look odd
        sound = counted.copy()
        sound[list(odd)] = np.nan
        foretold = np.maximum(median_of_neighbors(sound, neighbors), 1.0)
        chance = _CHANCE * np.sqrt(foretold * 1.5)  # of the view, and of the median of its neighbours
        beyond = np.abs(counted - foretold) > _VIEW_STEP * foretold + chance
        oddness = np.where(beyond, np.abs(np.log(np.maximum(counted, 0.5) / foretold)), 0.0)
        oddness[list(odd)] = 0.0
        worst = int(oddness.argmax())
        if oddness[worst] == 0.0:
            break
        odd[worst] = float(foretold[worst])
    if not odd:
        return []
    named = (f"{view + 1} ({angles[view]:.0f}°, {100 * counted[view] / odd[view]:.0f} %)" for view in sorted(odd))
    words = f"views whose counts don't follow from their neighbours' (in % of what was expected): {', '.join(named)}"
    return [_quarantine(words) if len(odd) > _MOST_ODD_VIEWS else _warn(words)]


def _saturation(projections: Projections) -> list[Finding]:
    counts = projections.photopeak_counts()
    top = float(counts.max())
    at_top = int(np.count_nonzero(counts == top))
    if top not in _FULL_STORAGE or at_top < _SATURATED_PIXELS:
        return []
    return [_quarantine(f"{at_top} pixels stand at {top:.0f}, the most that was stored: counts beyond it are lost")]


def _gates(projections: Projections) -> list[Finding]:
    if projections.gates == 1:
        return []
    findings = []
    if projections.gates < _FEWEST_GATES:
        findings.append(_warn(f"{projections.gates} gates; expected {_FEWEST_GATES} or more"))
    counted = projections.photopeak_counts().sum(axis=(1, 2, 3), dtype=np.float64)
    usual = float(np.median(counted))
    if counted.min() <= 0:
        empty = ", ".join(str(gate + 1) for gate in np.flatnonzero(counted <= 0))
        return [*findings, _quarantine(f"gates without any count: {empty}")]
    chance = _CHANCE * np.sqrt(usual) / usual
    low = [gate for gate in range(len(counted)) if counted[gate] < (_LOW_GATE - chance) * usual]
    high = [gate for gate in range(len(counted)) if counted[gate] > (1.0 / _LOW_GATE + chance) * usual]
    if low == [len(counted) - 1]:
        share = 100 * counted[-1] / usual
        words = f"the last gate holds {share:.0f} % of the others' counts: the heart beat unevenly"
        findings.append(_warn(words))
    elif low or high:
        where = ", ".join(f"{gate + 1} ({100 * counted[gate] / usual:.0f} %)" for gate in sorted({*low, *high}))
        findings.append(_warn(f"gates don't fit each other (in % of the median gate): {where}"))
    return findings


def _noise(projections: Projections) -> list[Finding]:
    """Counts must be whole and as noisy as counting makes them; the guard's test by held-out photons rests on it."""
    counts = projections.photopeak_counts()
    if not holds_whole_counts(counts):
        return [
            _quarantine("the counts are not whole: they were interpolated or scaled, so no photons can be held out")
        ]
    found = dispersion(counts)
    if not (found < _USUAL_DISPERSION[0] or found > _USUAL_DISPERSION[1]):
        return []
    why = "interpolated, filtered or scaled down" if found < 1 else "scaled up, or they hold artefacts"
    words = f"the counts vary {found:.2g} times as much as counting makes them: they were {why}"
    possible = _POSSIBLE_DISPERSION[0] <= found <= _POSSIBLE_DISPERSION[1]
    return [_warn(words) if possible else _quarantine(words)]


def _per_view(projections: Projections) -> Float:
    return np.asarray(projections.photopeak_counts().sum(axis=(0, 2, 3), dtype=np.float64))


def _listed(domain: Mapping[str, object], key: str) -> list[Any]:
    """Return what a card lists under a key; nothing if it doesn't."""
    values = domain.get(key)
    return list(values) if isinstance(values, Sequence) and not isinstance(values, str) else []


def _range(known: Sequence[float]) -> str:
    low, high = min(known), max(known)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _warn(words: str) -> Finding:
    return Finding(Verdict.WARN, words)


def _quarantine(words: str) -> Finding:
    return Finding(Verdict.QUARANTINE, words)
