"""Follows the left ventricle's wall through the gates of a beat: one spheroid per gate.

The long axis is the summed image's. In each gate width, length and place along the axis are fitted to the ridge of the
wall, while the apex stays nearly where it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pipelines.cardiac.heart_frame import Float, Spheroid, directions
from pipelines.cardiac.sampling import Sampler
from pipelines.cardiac.wall_fit import ridge_of

RINGS, ANGLES = 12, 24
FIT_POLAR = math.radians(115.0)
HUBER_MM = 3.0
ROUNDS, CONVERGED_MM = 12, 0.03
# How strongly the apex, the axis and the ratio of length to width stay, as heavy as so many places on the wall.
APEX_PULL, AXIS_PULL, STRETCH_PULL = 15.0, 60.0, 5.0


@dataclass(frozen=True)
class WallFit:
    """A gate's ridge as a spheroid about the summed image's axis; mm."""

    values: Float  # middle along the axis, from the summed image's; half-width; half-length
    across: Float  # (lateral, anterior) shift of the axis
    seen: float  # share of the wall that shows a ridge


def fit_gate(sampler: Sampler, summed: Spheroid, start: WallFit) -> WallFit:
    """Return the spheroid through the wall's ridge in one gate."""
    polar, angle = np.meshgrid(
        (np.arange(RINGS) + 0.5) / RINGS * FIT_POLAR, 360.0 * (np.arange(ANGLES) + 0.5) / ANGLES, indexing="ij"
    )
    area = np.sin(polar)
    fit = start
    for _ in range(ROUNDS):
        spheroid = placed(summed, fit)
        ridge = ridge_of(sampler, spheroid, polar, angle)
        robust = HUBER_MM / np.maximum(np.abs(ridge.offset_mm), HUBER_MM)
        weight = area * ridge.weight * robust
        before = fit.values
        fit = _stepped(fit, spheroid, summed, polar, angle, ridge.offset_mm, weight)
        fit = replace(fit, seen=float((area * ridge.weight).sum() / area.sum()))
        if float(np.abs(fit.values - before).max()) < CONVERGED_MM:
            break
    return fit


def placed(summed: Spheroid, fit: WallFit) -> Spheroid:
    """Return a gate's spheroid in the patient."""
    along, lateral, anterior = directions(np.asarray(summed.axis))
    middle = np.asarray(summed.middle) + fit.values[0] * along + fit.across[0] * lateral + fit.across[1] * anterior
    x, y, z = (float(value) for value in middle)
    return Spheroid((x, y, z), summed.axis, float(fit.values[1]), float(fit.values[2]))


def _stepped(
    fit: WallFit, spheroid: Spheroid, summed: Spheroid, polar: Float, angle_deg: Float, offset: Float, weight: Float
) -> WallFit:
    """Return the fit after one step of Gauss and Newton toward the ridge."""
    along, lateral, anterior = directions(np.asarray(spheroid.axis))
    _, normals = spheroid.surface(polar, angle_deg)
    radians = np.radians(angle_deg)[..., None]
    across = np.cos(radians) * lateral + np.sin(radians) * anterior
    moves = [np.broadcast_to(along, normals.shape), np.sin(polar)[..., None] * across, np.cos(polar)[..., None] * along]
    moves += [np.broadcast_to(axis, normals.shape) for axis in (lateral, anterior)]
    jacobian = np.stack([(move * normals).sum(axis=-1).ravel() for move in moves], axis=-1)
    rows = jacobian * weight.ravel()[:, None]
    normal, wanted = rows.T @ jacobian, rows.T @ offset.ravel()
    now = np.concatenate([fit.values, fit.across])
    stretch = summed.half_length / summed.half_width
    pulls = (
        (APEX_PULL, np.array([1.0, 0.0, 1.0, 0.0, 0.0]), summed.half_length),
        (STRETCH_PULL, np.array([0.0, -stretch, 1.0, 0.0, 0.0]), 0.0),
        (AXIS_PULL, np.array([0.0, 0.0, 0.0, 1.0, 0.0]), 0.0),
        (AXIS_PULL, np.array([0.0, 0.0, 0.0, 0.0, 1.0]), 0.0),
    )
    for strength, row, target in pulls:
        normal = normal + strength * np.outer(row, row)
        wanted = wanted + strength * (target - float(row @ now)) * row
    step = np.clip(np.linalg.solve(normal + 0.5 * np.eye(5), wanted), -5.0, 5.0)
    values = now + step
    width = float(np.clip(values[1], 6.0, 60.0))
    length = float(np.clip(values[2], 1.1 * width, 3.2 * width))
    return WallFit(np.array([values[0], width, length]), values[3:], fit.seen)
