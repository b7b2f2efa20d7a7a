"""Fits a spheroid to the ridge of the heart's wall by least squares, and finds where the wall ends: the valve plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipelines.cardiac.heart_frame import Float, Spheroid, directions
from pipelines.cardiac.sampling import Sampler

FIT_POLAR = math.radians(120.0)
RINGS, ANGLES = 12, 24
REACH_MM, STEP_MM = 12.0, 1.5  # of the profiles across the wall
WINDOW_MM = 8.0  # sd of the preference for a ridge near the last fit
HUBER_MM = 3.0
ROUNDS = 12
BLUR_STEP_MM, USUAL_BLUR_MM = 4.0, 7.5
# A ridge below FAINT of the wall's height says nothing of where the wall is; above CLEAR it says all.
FAINT, CLEAR = 0.2, 0.6
USUAL_STRETCH, STRETCH_STRENGTH = 1.8, 5.0  # pulls length / width to the usual where little of the wall is seen
VALVE_EDGE = 0.5  # of the wall's height between middle and base


@dataclass(frozen=True)
class Ridge:
    """The wall's ridge along normals `[ring, angle]` of a spheroid."""

    offset_mm: Float  # from the spheroid, outward
    height: Float  # of the activity there
    weight: Float  # 0 (nothing to see) to 1


def ridge_of(sampler: Sampler, spheroid: Spheroid, polar: Float, angle_deg: Float) -> Ridge:
    """Return the ridge nearest the spheroid along its normals at the places `[ring, angle]`."""
    places, normals = spheroid.surface(polar, angle_deg)
    offsets = np.arange(-REACH_MM, REACH_MM + STEP_MM / 2, STEP_MM)
    profile = sampler.cubic(places[..., None, :] + offsets[:, None] * normals[..., None, :])
    wanted = np.maximum(profile, 0.0) * np.exp(-0.5 * (offsets / WINDOW_MM) ** 2)
    top = np.clip(np.argmax(wanted, axis=-1), 1, len(offsets) - 2)[..., None]
    before, at, after = (np.take_along_axis(wanted, top + step, axis=-1)[..., 0] for step in (-1, 0, 1))
    bend = np.minimum(before - 2.0 * at + after, -1e-12)
    moved = np.clip(0.5 * (before - after) / bend, -1.0, 1.0)
    height = np.take_along_axis(profile, top, axis=-1)[..., 0]
    typical = max(float(np.quantile(height, 0.75)), 1e-12)
    weight = np.clip((height / typical - FAINT) / (CLEAR - FAINT), 0.0, 1.0)
    return Ridge(offsets[top[..., 0]] + moved * STEP_MM, height, weight)


def fit_spheroid(sampler: Sampler, start: Spheroid) -> tuple[Spheroid, float, float]:
    """Return the spheroid through the ridge, the ridge's rms distance (mm), the share of the wall that shows one."""
    polar, angle = np.meshgrid(
        (np.arange(RINGS) + 0.5) / RINGS * FIT_POLAR, 360.0 * (np.arange(ANGLES) + 0.5) / ANGLES, indexing="ij"
    )
    area = np.sin(polar)
    spheroid = start
    for _ in range(ROUNDS):
        ridge = ridge_of(sampler, spheroid, polar, angle)
        robust = HUBER_MM / np.maximum(np.abs(ridge.offset_mm), HUBER_MM)
        spheroid = _stepped(spheroid, polar, angle, ridge.offset_mm, area * ridge.weight * robust)
    ridge = ridge_of(sampler, spheroid, polar, angle)
    weight = area * ridge.weight
    rms = math.sqrt(float((weight * ridge.offset_mm**2).sum()) / max(float(weight.sum()), 1e-12))
    return spheroid, rms, float(weight.sum() / area.sum())


def _stepped(spheroid: Spheroid, polar: Float, angle_deg: Float, offset: Float, weight: Float) -> Spheroid:
    """Return the spheroid after one step of Gauss and Newton toward the ridge."""
    along, lateral, anterior = directions(np.asarray(spheroid.axis))
    places, normals = spheroid.surface(polar, angle_deg)
    arms = places - np.asarray(spheroid.middle)
    radians = np.radians(angle_deg)[..., None]
    across = np.cos(radians) * lateral + np.sin(radians) * anterior
    moves = [np.broadcast_to(axis, normals.shape) for axis in (along, lateral, anterior)]
    moves += [np.cross(np.cross(along, tilt), arms) for tilt in (lateral, anterior)]
    moves += [np.sin(polar)[..., None] * across, np.cos(polar)[..., None] * along]
    jacobian = np.stack([(move * normals).sum(axis=-1).ravel() for move in moves], axis=-1)
    rows = jacobian * weight.ravel()[:, None]
    # One more equation: length - stretch * width = 0, as heavy as a few seen places.
    pull = np.array([0, 0, 0, 0, 0, -USUAL_STRETCH, 1.0])
    missing = USUAL_STRETCH * spheroid.half_width - spheroid.half_length
    strength = STRETCH_STRENGTH
    normal = rows.T @ jacobian + strength * np.outer(pull, pull)
    damping = 1e-3 * np.diag(np.maximum(np.diag(normal), 1e-6))
    step = np.linalg.solve(normal + damping, rows.T @ offset.ravel() + strength * missing * pull)
    step = np.clip(step, [-5, -5, -5, -0.15, -0.15, -4, -6], [5, 5, 5, 0.15, 0.15, 4, 6])
    middle = np.asarray(spheroid.middle) + step[0] * along + step[1] * lateral + step[2] * anterior
    axis = along + step[3] * lateral + step[4] * anterior
    axis /= np.linalg.norm(axis)
    width = float(np.clip(spheroid.half_width + step[5], 12.0, 60.0))
    length = float(np.clip(spheroid.half_length + step[6], 1.15 * width, 2.8 * width))
    return Spheroid(_point(middle), _point(axis), width, length)


def _point(values: Float) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def wall_blur_mm(sampler: Sampler, spheroid: Spheroid) -> float:
    """Return the sd of the Gaussian as which the wall appears across: its thickness, beat and breath, the camera."""
    polar, angle = np.meshgrid(np.radians(np.arange(30.0, 100.0, 10.0)), np.arange(7.5, 360.0, 15.0), indexing="ij")
    ridge = ridge_of(sampler, spheroid, polar, angle)
    places, normals = spheroid.surface(polar, angle)
    inside, middle, outside = (
        np.maximum(sampler.cubic(places + (ridge.offset_mm + step)[..., None] * normals), 1e-12)
        for step in (-BLUR_STEP_MM, 0.0, BLUR_STEP_MM)
    )
    bend = np.log(middle**2 / (inside * outside))
    seen = (ridge.weight > 0.5) & (bend > 1e-3)
    if not seen.any():
        return USUAL_BLUR_MM
    return float(np.clip(BLUR_STEP_MM / np.sqrt(np.median(bend[seen])), 4.0, 12.0))


def unblurred(spheroid: Spheroid, blur_mm: float) -> Spheroid:
    """Return the spheroid through the middle of the wall itself, not of its blurred image.

    A Gaussian of sd s moves the ridge of a thin shell inward by s^2 (k1 + k2) / 2, k the principal curvatures (the
    first order of the exact shift of a sphere, s^2 / R).
    """
    width, length = spheroid.half_width, spheroid.half_length
    for _ in range(20):
        width_shift = blur_mm**2 / 2 * (1.0 / width + width / length**2)
        length_shift = blur_mm**2 * length / width**2
        width = 0.5 * (width + spheroid.half_width + min(width_shift, 0.3 * spheroid.half_width))
        length = 0.5 * (length + spheroid.half_length + min(length_shift, 0.3 * spheroid.half_length))
    return Spheroid(spheroid.middle, spheroid.axis, width, length)


def valve_plane_mm(sampler: Sampler, spheroid: Spheroid) -> float:
    """Return where the wall ends, along the axis from the spheroid's middle (negative); -inf if it closes behind.

    Along each meridian that holds activity, the wall's height is followed toward the base; the plane lies where the
    middle one of all meridians has fallen to VALVE_EDGE.
    """
    along, lateral, anterior = directions(np.asarray(spheroid.axis))
    steps = np.arange(0.3, -1.25, -0.02)
    radians = np.radians(360.0 * (np.arange(36) + 0.5) / 36)
    across = np.cos(radians)[:, None] * lateral + np.sin(radians)[:, None] * anterior
    # Beyond the spheroid's own narrowing the wall is followed straight on.
    radius = spheroid.half_width * np.sqrt(1.0 - np.clip(steps, -0.7, 1.0) ** 2)
    reach = np.arange(-8.0, 8.1, 2.0)
    out = (radius[:, None] + reach)[:, :, None, None] * across
    places = np.asarray(spheroid.middle) + (steps * spheroid.half_length)[:, None, None, None] * along + out
    heights = sampler.linear(places).max(axis=1)
    plateau = heights[steps >= -0.2].mean(axis=0)
    seen = plateau > 0.5 * float(np.quantile(plateau, 0.75))
    if not seen.any():  # an image without any wall
        return -math.inf
    fallen = np.median(heights[:, seen] / np.maximum(plateau[seen], 1e-12), axis=1)
    below = np.nonzero((fallen < VALVE_EDGE) & (steps < -0.2))[0]
    if not len(below):
        return -math.inf
    last = int(below[0])
    high, low = float(fallen[last - 1]), float(fallen[last])
    share = (high - VALVE_EDGE) / max(high - low, 1e-9)
    return float((steps[last - 1] + min(max(share, 0.0), 1.0) * (steps[last] - steps[last - 1])) * spheroid.half_length)
