"""Did the patient move? Axial and lateral jumps between neighbouring views, and how well the centers follow an orbit.

Neighbouring views show nearly the same axial profile, attenuated nearly alike; a patient who moves makes it jump. What
changes slowly from view to view is anatomy and attenuation, so a slow creep is not told from them and not corrected.
A jump must also stand out from what chance does to so few counts: else noise would be called motion, and "corrected".
After Eisner et al., "A new approach to the detection of patient motion during SPECT imaging", J. Nucl. Med. 28
(1987) 97.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import Finding, Measurement, Verdict
from pipelines.images import Array, Projections
from pipelines.neighbors import REACH, median_of_neighbors, neighbor_views

Float = NDArray[np.float64]

_BESIDE = 2  # views on each side of a jump that are compared; fewer counts would hide it, more would blur it
_SMOOTH_PIXELS = 1.5  # sd of the Gaussian over profiles: a jump is then small against what it moves
_ON_CRYSTAL = 0.02  # of the brightest row's counts: below it lies no crystal or no body
_EVEN = 0.05  # of the profile's height; below it a row has little say
_TREND_VIEWS = 7  # over so many neighbours anatomy changes smoothly
_SMALLEST_JUMP_PIXELS = 0.4
_JUMP_SIGMAS = 5.0
_WARN_PIXELS = 1.0  # from a pixel on, motion makes defects that are not there (Cooper et al., J. Nucl. Med. 33 (1992))
_LATERAL_SIGMAS = 8.0
_HARMONICS = 3  # of the center's path: 1 is a point's, more come from attenuation


@dataclass(frozen=True)
class LateralJump:
    """Where the image jumps across the table from one view to the next. It is told, not corrected."""

    mm: float
    between_deg: tuple[float, float]  # the angles of both views, the smaller one first

    @property
    def finding(self) -> Finding:
        """The warning: the patient moved, or a head is not aligned."""
        first, second = self.between_deg
        words = (
            f"the image jumps by {self.mm:.0f} mm across the table between the views at {first:.0f}° and "
            f"{second:.0f}°: the patient moved, or the heads are not aligned"
        )
        return Finding(Verdict.WARN, words)


@dataclass(frozen=True)
class Motion:
    """What was found: how far each view lies off along z, and how well the centers follow an orbit."""

    axial_shift_mm: tuple[float, ...]  # per view, mean 0; positive: the view shows the patient shifted to the head
    lateral_residual_mm: float  # rms distance of the transaxial centers from a smooth orbit
    pixel_mm: float
    lateral_jump: LateralJump | None = None

    @property
    def moved_along_table(self) -> bool:
        """Whether the patient moved by a pixel or more along the table, which can be undone."""
        return self.largest_mm >= _WARN_PIXELS * self.pixel_mm

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
        """Warnings when the patient moved by a pixel or more, along the table or across it."""
        words = f"the patient seems to have moved by {self.largest_mm:.1f} mm along the table"
        along = [Finding(Verdict.WARN, words)] if self.moved_along_table else []
        return (*along, *([self.lateral_jump.finding] if self.lateral_jump else []))


def find_motion(projections: Projections) -> Motion:
    """Return the axial jumps between views that are neighbours by angle, and the smoothness of the lateral path."""
    counts = projections.ungated().photopeak_counts()[0].astype(np.float64)
    axial_mm, pixel_mm = projections.geometry.pixel_size_mm
    angles = np.array(projections.geometry.angles_deg)
    order = np.argsort(np.mod(angles - _start_of_arc(angles), 360.0), kind="stable")
    steps, chance = _steps(_on_crystal(counts.sum(axis=2)[order]))
    shift = np.zeros(len(order))
    shift[order] = np.concatenate([[0.0], np.cumsum(_jumps(steps, chance))])
    shift -= shift.mean()
    lateral = _lateral_residual(counts, angles) * pixel_mm
    jump = _lateral_jump(counts, tuple(projections.geometry.angles_deg), pixel_mm)
    return Motion(tuple(float(value) for value in shift * axial_mm), lateral, axial_mm, jump)


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


def _on_crystal(profiles: Float) -> Float:
    """Return the rows that the crystal covers wholly: its edges stay where they are when a patient moves."""
    counted = profiles.sum(axis=0)
    seen = np.flatnonzero(counted > _ON_CRYSTAL * counted.max())
    return profiles[:, seen[0] + 1 : seen[-1]] if seen.size else profiles[:, :0]


def _steps(profiles: Float) -> tuple[Float, Float]:
    """Return by how many rows toward the head each view lies from the one before, and the step's sd by chance.

    Views on both sides are added. 0 where there is nothing to compare.
    """
    smooth = _smoothing(profiles.shape[1])
    steps, chance = np.zeros(len(profiles) - 1), np.zeros(len(profiles) - 1)
    for place in range(len(steps)):
        before = profiles[max(place + 1 - _BESIDE, 0) : place + 1].sum(axis=0)
        after = profiles[place + 1 : place + 1 + _BESIDE].sum(axis=0)
        if min(before.sum(), after.sum()) > 0 and len(smooth) > 1:
            steps[place], chance[place] = _step(before, after, smooth)
    return steps, chance


def _smoothing(rows: int) -> Float:
    """Return the Gaussian `[smooth row, row]`, for rows alone about which it lies wholly on the profile."""
    reach = int(3 * _SMOOTH_PIXELS)
    apart = np.arange(rows)[None, :] - np.arange(reach, max(rows - reach, reach))[:, None]
    kernel = np.where(np.abs(apart) <= reach, np.exp(-((apart / _SMOOTH_PIXELS) ** 2) / 2), 0.0)
    return np.asarray(kernel / np.maximum(kernel.sum(axis=1, keepdims=True), 1e-12))


def _step(before: Float, after: Float, smooth: Float) -> tuple[float, float]:
    """Return by how many rows toward the head the second axial profile lies from the first, and the sd by chance.

    A profile f that moves by s changes by s f', to first order about the middle between both. The weighted fit of s
    leaves out a change of height, a multiple of f; it is linear in the counts, so Poisson's law gives its variance.
    """
    first, second = before / before.sum(), after / after.sum()
    middle = smooth @ (first + second) / 2
    slope = np.gradient(middle)
    weight = 1.0 / (middle + _EVEN * middle.max())
    along = weight * (slope - middle * float(weight @ (slope * middle)) / float(weight @ middle**2))
    share = (smooth.T @ along) / max(float(along @ slope), 1e-12)
    variance = float(share**2 @ (first / before.sum() + second / after.sum()))
    return float(share @ (second - first)), float(np.sqrt(variance))


def _jumps(steps: Float, chance: Float) -> Float:
    """Return the steps that stand out from the smooth run of their neighbours, and beyond chance; 0 for all others.

    A jump shows in the steps beside it, too, since views are added; only the largest of them counts.
    """
    half = _TREND_VIEWS // 2
    padded = np.pad(steps, half, mode="edge")
    trend = np.array([np.median(padded[place : place + _TREND_VIEWS]) for place in range(steps.size)])
    rest = steps - trend
    spread = 1.4826 * float(np.median(np.abs(rest)))
    standing_out = np.abs(rest) / np.maximum(_SMALLEST_JUMP_PIXELS, _JUMP_SIGMAS * np.maximum(spread, chance))
    jumps = np.zeros_like(steps)
    for place in np.argsort(-standing_out, kind="stable"):
        beside = slice(max(place - _BESIDE + 1, 0), place + _BESIDE)
        if standing_out[place] > 1.0 and not jumps[beside].any():
            jumps[place] = rest[place]
    return jumps


def _lateral_jump(counts: Float, angles_deg: tuple[float, ...], pixel_mm: float) -> LateralJump | None:
    """Return the largest jump of the counts' center that stands out from the steps about it and from chance."""
    profiles = counts.sum(axis=1)  # [view, column]
    columns, counted = np.arange(profiles.shape[1]), profiles.sum(axis=1)
    counted[counted == 0.0] = np.nan  # an empty view has no center
    center = profiles @ columns / counted
    chance = np.sqrt(np.maximum(profiles @ columns**2 / counted - center**2, 0.0) / counted)
    if np.isnan(chance).all():
        return None
    neighbors = neighbor_views(angles_deg)
    following = neighbors[:, REACH + 1]
    last = following == np.arange(len(angles_deg))
    steps = np.where(last, np.nan, center[following] - center)
    jumps = np.nan_to_num(np.abs(steps - median_of_neighbors(steps, neighbors)))
    worst = int(jumps.argmax())
    if jumps[worst] <= max(_WARN_PIXELS, _LATERAL_SIGMAS * float(np.nanmedian(chance))):
        return None
    between = sorted((angles_deg[worst], angles_deg[int(following[worst])]))
    return LateralJump(float(jumps[worst]) * pixel_mm, (between[0], between[1]))


def _lateral_residual(counts: Float, angles: Float) -> float:
    """Return the rms distance, in pixels, of the transaxial centers from a path of a few harmonics."""
    center = (counts.sum(axis=1) @ np.arange(counts.shape[2])) / np.maximum(counts.sum(axis=(1, 2)), 1e-12)
    turns = np.deg2rad(angles)[:, None] * np.arange(1, _HARMONICS + 1)[None, :]
    basis = np.concatenate([np.ones((angles.size, 1)), np.cos(turns), np.sin(turns)], axis=1)
    if angles.size <= basis.shape[1]:
        return 0.0
    solution = np.linalg.lstsq(basis, center, rcond=None)[0]
    return float(np.sqrt(np.mean((center - basis @ solution) ** 2)))
