"""Did the patient move? Axial jumps between neighbouring views, and how well the centers of the views follow an orbit.

Neighbouring views show nearly the same axial profile, attenuated nearly alike; a patient who moves makes it jump. What
changes slowly from view to view is anatomy and attenuation, so a slow creep is not told from them and not corrected.
After Eisner et al., "A new approach to the detection of patient motion during SPECT imaging", J. Nucl. Med. 28
(1987) 97.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import Finding, Measurement, Verdict
from pipelines.images import Array, Projections

Float = NDArray[np.float64]

_SEARCH_PIXELS = 4.0
_TREND_VIEWS = 7  # over so many neighbours anatomy changes smoothly
_SMALLEST_JUMP_PIXELS = 0.4
_JUMP_SIGMAS = 5.0
_WARN_PIXELS = 1.0  # from a pixel on, motion makes defects that are not there (Cooper et al., J. Nucl. Med. 33 (1992))
_HARMONICS = 3  # of the center's path: 1 is a point's, more come from attenuation


@dataclass(frozen=True)
class Motion:
    """What was found: how far each view lies off along z, and how well the centers follow an orbit."""

    axial_shift_mm: tuple[float, ...]  # per view, mean 0; positive: the view shows the patient shifted to the head
    lateral_residual_mm: float  # rms distance of the transaxial centers from a smooth orbit
    pixel_mm: float

    @property
    def largest_mm(self) -> float:
        """The largest axial shift between any two views."""
        return max(self.axial_shift_mm) - min(self.axial_shift_mm)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The figures for the report."""
        return (
            Measurement("Largest axial motion", self.largest_mm, "mm"),
            Measurement("Lateral center off its orbit (rms)", self.lateral_residual_mm, "mm"),
        )

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A warning when the patient moved by a pixel or more."""
        if self.largest_mm < _WARN_PIXELS * self.pixel_mm:
            return ()
        return (Finding(Verdict.WARN, f"the patient seems to have moved by {self.largest_mm:.1f} mm along the table"),)


def find_motion(projections: Projections) -> Motion:
    """Return the axial jumps between views that are neighbours by angle, and the smoothness of the lateral path."""
    counts = projections.ungated().photopeak_counts()[0].astype(np.float64)
    axial_mm, pixel_mm = projections.geometry.pixel_size_mm
    angles = np.array(projections.geometry.angles_deg)
    order = np.argsort(np.mod(angles - _start_of_arc(angles), 360.0), kind="stable")
    profiles = counts.sum(axis=2)[order]
    steps = np.array([_shift_between(first, second) for first, second in pairwise(profiles)])
    shift = np.zeros(len(order))
    shift[order] = np.concatenate([[0.0], np.cumsum(_jumps(steps))])
    shift -= shift.mean()
    lateral = _lateral_residual(counts, angles) * pixel_mm
    return Motion(tuple(float(value) for value in shift * axial_mm), lateral, axial_mm)


def correct_motion(projections: Projections, motion: Motion) -> Projections:
    """Return the projections with every view moved back along z; what leaves the detector is lost."""
    shift = np.array(motion.axial_shift_mm) / projections.geometry.pixel_size_mm[0]
    moved = [[shifted_toward_head(gate, -shift) for gate in window] for window in projections.counts]
    return replace(projections, counts=np.array(moved, dtype=np.float32))


def shifted_toward_head(counts: Array, shift_rows: Float) -> Array:
    """Return views `[view, row, column]` moved toward the head (to lower rows) by fractions of a row.

    Cubic (Catmull-Rom) interpolation, which blurs little; values stay non-negative, and zeros move in at the ends.
    """
    moved = np.stack(
        [_moved(view.astype(np.float64), float(shift)) for view, shift in zip(counts, shift_rows, strict=True)]
    )
    return np.maximum(moved, 0).astype(np.float32)


def _moved(values: Float, shift: float) -> Float:
    """Return the values moved toward lower indices of the first axis."""
    whole = int(np.floor(shift))
    t = shift - whole
    weights = (
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (t**3 - t**2) / 2,
    )
    size = values.shape[0]
    room = abs(whole) + 3
    padded = np.pad(values, [(room, room)] + [(0, 0)] * (values.ndim - 1))
    first = room + whole - 1
    return sum(
        (weight * padded[first + k : first + k + size] for k, weight in enumerate(weights)), np.zeros_like(values)
    )


def _start_of_arc(angles: Float) -> float:
    """Return the angle after the widest gap: where the arc begins."""
    ordered = np.sort(np.mod(angles, 360.0))
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    return float(ordered[(int(gaps.argmax()) + 1) % ordered.size])


def _shift_between(first: Float, second: Float) -> float:
    """Return by how many rows toward the head the second axial profile lies from the first, whatever its height."""
    candidates = np.arange(-_SEARCH_PIXELS, _SEARCH_PIXELS + 0.01, 0.125)
    errors = np.array([_misfit(first, second, float(shift)) for shift in candidates])
    best = int(np.clip(errors.argmin(), 1, errors.size - 2))
    left, middle, right = errors[best - 1 : best + 2]
    curvature = left - 2 * middle + right
    vertex = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
    return float(candidates[best] + 0.125 * np.clip(vertex, -1, 1))


def _misfit(first: Float, second: Float, shift: float) -> float:
    """Return the part of the first profile that the second one, moved half way to it, does not explain.

    Either moves by half, so that interpolation blurs both alike.
    """
    edge = int(_SEARCH_PIXELS / 2) + 1
    one = _moved(first, shift / 2)[edge:-edge]
    other = _moved(second, -shift / 2)[edge:-edge]
    one, other = one - one.mean(), other - other.mean()
    correlation = float(one @ other) / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12)
    return 1 - correlation


def _jumps(steps: Float) -> Float:
    """Return the steps that stand out from the smooth run of their neighbours; 0 for all others."""
    half = _TREND_VIEWS // 2
    padded = np.pad(steps, half, mode="edge")
    trend = np.array([np.median(padded[place : place + _TREND_VIEWS]) for place in range(steps.size)])
    rest = steps - trend
    spread = 1.4826 * float(np.median(np.abs(rest)))
    threshold = max(_SMALLEST_JUMP_PIXELS, _JUMP_SIGMAS * spread)
    return np.where(np.abs(rest) > threshold, rest, 0.0)


def _lateral_residual(counts: Float, angles: Float) -> float:
    """Return the rms distance, in pixels, of the transaxial centers from a path of a few harmonics."""
    center = (counts.sum(axis=1) @ np.arange(counts.shape[2])) / np.maximum(counts.sum(axis=(1, 2)), 1e-12)
    turns = np.deg2rad(angles)[:, None] * np.arange(1, _HARMONICS + 1)[None, :]
    basis = np.concatenate([np.ones((angles.size, 1)), np.cos(turns), np.sin(turns)], axis=1)
    if angles.size <= basis.shape[1]:
        return 0.0
    solution = np.linalg.lstsq(basis, center, rcond=None)[0]
    return float(np.sqrt(np.mean((center - basis @ solution) ** 2)))
