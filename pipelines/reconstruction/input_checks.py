"""What a physicist would check before reconstructing: counts, energy window, orbit. Refuses or remarks, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.contract import Finding, Verdict
from pipelines.images import EnergyWindow, Projections, UnsuitableAcquisition

_LINES_KEV = {"Tc-99m": (140.5,), "Tl-201": (70.8, 80.3, 135.3, 167.4), "I-123": (159.0,)}
_FEWEST_VIEWS = 12
_WIDEST_STEP_DEG = 15.0
_LOW_VIEW = 0.5  # of what its neighbours counted
_FEW_COUNTS = 300_000  # perfusion studies hold millions; below this a reconstruction shows little but noise


def suitable(projections: Projections) -> tuple[Projections, tuple[Finding, ...]]:
    """Return the acquisition fit for reconstruction, and what was found questionable.

    Views without any count are left out and negative values set to 0, each with a finding. Raises
    UnsuitableAcquisition when there are no counts, when the photopeak window holds no line of a tracer of the heart,
    when the views are too few or too far apart, or when they cover less than 180 degrees less one step.
    """
    _check_window(projections.windows[projections.photopeak])
    projections, findings = _without_negatives(projections)
    counts = projections.photopeak_counts()
    total = float(counts.sum(dtype=np.float64))
    if total <= 0:
        raise UnsuitableAcquisition("the photopeak window holds no counts at all")
    if total < _FEW_COUNTS:
        findings.append(_warn(f"only {total:,.0f} counts in the photopeak; expected more than {_FEW_COUNTS:,}"))
    projections, missing = _without_empty_views(projections)
    findings += missing
    findings += _check_orbit(projections.geometry.angles_deg)
    findings += _low_views(projections)
    return projections, tuple(findings)


def angular_coverage_deg(angles_deg: tuple[float, ...]) -> tuple[float, float]:
    """Return (arc covered, typical step): each view stands for one step, the widest gap is what is not covered."""
    angles = np.unique(np.round(np.mod(angles_deg, 360.0), 3) % 360.0)
    if angles.size < 2:
        return 0.0, 360.0
    gaps = np.diff([*angles, angles[0] + 360.0])
    step = float(np.median(gaps))
    return min(360.0, 360.0 - float(gaps.max()) + step), step


def _check_window(window: EnergyWindow) -> None:
    if window.upper_kev <= 0:
        return  # the source does not say
    if not any(window.holds(line) for lines in _LINES_KEV.values() for line in lines):
        known = ", ".join(_LINES_KEV)
        raise UnsuitableAcquisition(
            f"no photopeak: the window {window.lower_kev:g}-{window.upper_kev:g} keV holds no line of {known}"
        )


def _without_negatives(projections: Projections) -> tuple[Projections, list[Finding]]:
    negative = int(np.count_nonzero(projections.counts < 0))
    if not negative:
        return projections, []
    finding = _warn(f"{negative} pixels hold negative counts; they were taken as 0")
    return replace(projections, counts=np.maximum(projections.counts, 0)), [finding]


def _without_empty_views(projections: Projections) -> tuple[Projections, list[Finding]]:
    per_view = projections.photopeak_counts().sum(axis=(0, 2, 3), dtype=np.float64)
    empty = np.flatnonzero(per_view <= 0)
    if not empty.size:
        return projections, []
    geometry = projections.geometry
    kept = np.flatnonzero(per_view > 0)
    radius = None if geometry.radius_mm is None else tuple(geometry.radius_mm[view] for view in kept)
    chosen = replace(geometry, angles_deg=tuple(geometry.angles_deg[view] for view in kept), radius_mm=radius)
    where = ", ".join(f"{view + 1} ({geometry.angles_deg[view]:.1f}°)" for view in empty)
    finding = _warn(f"views without counts were left out: {where}")
    return replace(projections, counts=projections.counts[:, :, kept], geometry=chosen), [finding]


def _check_orbit(angles_deg: tuple[float, ...]) -> list[Finding]:
    covered, step = angular_coverage_deg(angles_deg)
    if len(angles_deg) < _FEWEST_VIEWS or step > _WIDEST_STEP_DEG:
        raise UnsuitableAcquisition(
            f"{len(angles_deg)} views, {step:.1f}° apart, are too few: expected at least {_FEWEST_VIEWS}, "
            f"at most {_WIDEST_STEP_DEG:g}° apart"
        )
    if covered < 180.0 - step - 0.1:
        raise UnsuitableAcquisition(f"the views cover {covered:.0f}°; a reconstruction needs 180°")
    findings = []
    if covered < 180.0 - 0.1:
        findings.append(_warn(f"the views cover {covered:.0f}° instead of 180°"))
    angles = np.unique(np.round(np.mod(angles_deg, 360.0), 3) % 360.0)
    holes = np.sort(np.diff([*angles, angles[0] + 360.0]))[:-1]
    if holes.size and holes[-1] > 1.5 * step:
        findings.append(_warn(f"the views leave a gap of {holes[-1]:.1f}° where the step is {step:.1f}°"))
    return findings


def _low_views(projections: Projections) -> list[Finding]:
    """Warn of views that counted far less than their neighbours on the orbit."""
    per_view = projections.photopeak_counts().sum(axis=(0, 2, 3), dtype=np.float64)
    angles = projections.geometry.angles_deg
    order = np.argsort(np.mod(angles, 360.0), kind="stable")
    ordered = per_view[order]
    low = []
    for place, view in enumerate(order):
        neighbours = ordered[[(place + offset) % len(order) for offset in (-2, -1, 1, 2)]]
        if per_view[view] < _LOW_VIEW * float(np.median(neighbours)):
            low.append(f"{view + 1} ({angles[view]:.1f}°)")
    if not low:
        return []
    return [_warn(f"views with less than half the counts of their neighbours: {', '.join(low)}")]


def _warn(text: str) -> Finding:
    return Finding(Verdict.WARN, text)
