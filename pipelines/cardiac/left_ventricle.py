"""Finds the left ventricle in a transaxial reconstruction: its place, long axis and valve plane; or says it can't.

A hollow, open spheroid is searched for (`shell_search`), fitted to the ridge of the wall (`wall_fit`), and accepted
only if it looks like a ventricle. A person may say where to look, or set apex and base by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.cardiac.heart_frame import Float, LeftVentricle, Point, Spheroid, directions
from pipelines.cardiac.sampling import Sampler
from pipelines.cardiac.shell_search import likely_ventricles
from pipelines.cardiac.wall_fit import fit_spheroid, unblurred, valve_plane_mm, wall_blur_mm
from pipelines.images import UnsuitableAcquisition, Volume

FIT_FWHM_MM = 5.0  # against noise
# What is accepted, and from where on nothing is remarked. Set on 24 virtual patients, with and without their hearts;
# the merit on more: hearts had 0.21 and above, the one other structure that passed all the rest 0.18.
LEAST_SCORE, CLEAR_SCORE = 0.22, 0.32
LEAST_MERIT = 0.195  # a faint wall must be the smoother
LARGEST_RMS_MM, LEAST_SEEN = 0.8, 0.45
RMS_COST = 0.1  # of score per mm of distance between ridge and spheroid
SMALLEST_HALF_WIDTH_MM, LARGEST_HALF_WIDTH_MM = 13.0, 55.0
VALVE_RANGE = (-1.1, -0.2)  # of the half-length: where the valve plane can lie
RIVAL_MM, RIVAL_MARGIN = 30.0, 0.05  # another find so far away and nearly as good is worth a remark
USUAL_WIDTH = 0.55  # half-width over half-length, when a person gives the length alone
MINIMUM_LENGTH_MM = 30.0  # from apex to base, set by hand


class NoHeartFound(UnsuitableAcquisition):
    """No left ventricle stands out in the volume; the message says what was seen instead."""


@dataclass(frozen=True)
class Guidance:
    """What a person says of the heart (LPS mm): `near_mm` roughly where it lies, or its ends, taken as they are.

    `apex_mm` is the middle of the wall at the apex, `base_mm` the middle of the valve plane.
    """

    near_mm: Point | None = None
    apex_mm: Point | None = None
    base_mm: Point | None = None

    def __post_init__(self) -> None:
        if (self.apex_mm is None) != (self.base_mm is None):
            raise ValueError("apex and base are set together or not at all")
        if self.apex_mm is not None and self.near_mm is not None:
            raise ValueError("either say where the heart lies, or set its apex and base, not both")
        if self.apex_mm is not None and self.base_mm is not None:
            length = float(np.linalg.norm(np.subtract(self.apex_mm, self.base_mm)))
            if length < MINIMUM_LENGTH_MM:
                raise ValueError(f"apex and base lie {length:.0f} mm apart; a heart is longer")
            directions(np.subtract(self.apex_mm, self.base_mm))


@dataclass(frozen=True)
class _Find:
    """A fitted candidate."""

    score: float
    ridge: Spheroid
    rms_mm: float
    seen: float
    valve_mm: float  # -inf if the wall closes behind

    @property
    def merit(self) -> float:
        """What candidates are compared by."""
        return self.score - RMS_COST * self.rms_mm


def find_left_ventricle(volume: Volume, guidance: Guidance | None = None) -> LeftVentricle:
    """Return the left ventricle of a reconstruction (LPS, any orientation of its voxels).

    Raises NoHeartFound if nothing looks like one, ValueError if apex and base set by hand make no heart.
    """
    guidance = guidance or Guidance()
    if guidance.apex_mm is not None and guidance.base_mm is not None:
        return _set_by_hand(volume, np.asarray(guidance.apex_mm), np.asarray(guidance.base_mm))
    near = None if guidance.near_mm is None else np.asarray(guidance.near_mm, dtype=np.float64)
    sampler = Sampler.of(volume, FIT_FWHM_MM)
    finds = [_fitted(sampler, score, spheroid) for score, spheroid in likely_ventricles(volume, near)]
    finds.sort(key=lambda find: -find.merit)
    accepted = [find for find in finds if _refusal(find) is None]
    if not accepted:
        raise NoHeartFound(_said_of(finds))
    best = accepted[0]
    blur = wall_blur_mm(sampler, best.ridge)
    return LeftVentricle(
        ridge=best.ridge,
        wall=unblurred(best.ridge, blur),
        valve_plane_mm=best.valve_mm,
        confidence=float(np.clip((best.merit - LEAST_SCORE + 0.1) / (CLEAR_SCORE - LEAST_SCORE + 0.1), 0.0, 1.0)),
        remarks=_remarks(best, accepted),
    )


def _fitted(sampler: Sampler, score: float, start: Spheroid) -> _Find:
    ridge, rms, seen = fit_spheroid(sampler, start)
    return _Find(score, ridge, rms, seen, valve_plane_mm(sampler, ridge))


def _refusal(find: _Find) -> str | None:
    """Return why a candidate is no ventricle, in words, or None."""
    if find.score < LEAST_SCORE:
        return f"its wall hardly stands out (score {find.score:.2f}, at least {LEAST_SCORE} is asked)"
    if find.rms_mm > LARGEST_RMS_MM:
        return f"its wall is no smooth shell (rms {find.rms_mm:.1f} mm, at most {LARGEST_RMS_MM} is asked)"
    if find.merit < LEAST_MERIT:
        return f"its wall is faint and rough at once (score {find.score:.2f}, rms {find.rms_mm:.1f} mm)"
    if find.seen < LEAST_SEEN:
        return f"only {100 * find.seen:.0f} % of its wall is seen (at least {100 * LEAST_SEEN:.0f} % is asked)"
    if not SMALLEST_HALF_WIDTH_MM <= find.ridge.half_width <= LARGEST_HALF_WIDTH_MM:
        return f"it is {2 * find.ridge.half_width:.0f} mm wide"
    low, high = (share * find.ridge.half_length for share in VALVE_RANGE)
    if not low <= find.valve_mm <= high:
        return "its wall is closed where the valves should be"
    return None


def _said_of(finds: list[_Find]) -> str:
    asked = "expected one hollow wall, open at the base, in front of the left chest; set apex and base by hand"
    if not finds:
        return f"no left ventricle found: the volume holds no hollow structure; {asked}"
    best = finds[0]
    x, y, z = best.ridge.middle
    return (
        f"no left ventricle found: the likeliest structure, at ({x:.0f}, {y:.0f}, {z:.0f}) mm, was refused because "
        f"{_refusal(best)}; {asked}"
    )


def _remarks(best: _Find, accepted: list[_Find]) -> tuple[str, ...]:
    remarks = []
    if best.score < CLEAR_SCORE:
        remarks.append("the left ventricle's wall is faint or incomplete: check its axis")
    for other in accepted[1:]:
        apart = float(np.linalg.norm(np.subtract(other.ridge.middle, best.ridge.middle)))
        if apart > RIVAL_MM and other.merit > best.merit - RIVAL_MARGIN:
            remarks.append(f"another structure {apart:.0f} mm away looks nearly as much like a ventricle")
            break
    return tuple(remarks)


def _set_by_hand(volume: Volume, apex: Float, base: Float) -> LeftVentricle:
    """Return the ventricle between these ends; only its width is read from the images."""
    axis = (apex - base) / np.linalg.norm(apex - base)
    length = float(np.linalg.norm(apex - base))
    half_length = length / 1.5  # the valve plane lies half a half-length behind the middle
    middle = apex - half_length * axis
    point = (float(middle[0]), float(middle[1]), float(middle[2]))
    direction = (float(axis[0]), float(axis[1]), float(axis[2]))
    sampler = Sampler.of(volume, FIT_FWHM_MM)
    half_width = _width_at(sampler, point, direction, half_length)
    wall = Spheroid(point, direction, half_width, half_length)
    remarks = ("apex and base were set by hand",)
    return LeftVentricle(wall, wall, -0.5 * half_length, 1.0, remarks)


def _width_at(sampler: Sampler, middle: Point, axis: Point, half_length: float) -> float:
    """Return the half-width of the ring around the axis that holds most activity against its inside and outside."""
    polar, angle = np.meshgrid(np.radians(np.arange(40.0, 111.0, 10.0)), np.arange(7.5, 360.0, 15.0), indexing="ij")
    widths = np.arange(0.35, 0.85, 0.01) * half_length
    rings = [sampler.cubic(Spheroid(middle, axis, float(w), half_length).surface(polar, angle)[0]) for w in widths]
    heights = np.minimum(rings, np.quantile(rings, 0.9)).mean(axis=(1, 2))
    if float(heights.max()) <= 0.0:
        return USUAL_WIDTH * half_length
    return float(widths[int(np.argmax(heights))])
