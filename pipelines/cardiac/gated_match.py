"""Finds the wall that would look as the gates look: shells are imaged, measured like the gates, and mended."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipelines.cardiac.gated_fit import WallFit, fit_gate, placed
from pipelines.cardiac.gated_shell import Shell, ShellImage
from pipelines.cardiac.heart_frame import Float, Spheroid
from pipelines.cardiac.sampling import Sampler
from pipelines.cardiac.wall_fit import valve_plane_mm, wall_blur_mm

ROUNDS = 6
BLUR_RANGE_MM = (4.0, 13.0)
FIRST_BLUR_SHARE = 0.85  # of the wall's apparent blur; the rest is its thickness and curvature


@dataclass(frozen=True)
class Look:
    """What is measured in one gate, or in the picture of a shell."""

    fit: WallFit  # of the ridge
    valve_plane: float  # along the axis from the summed image's middle, mm; NaN if no end is seen
    blur: float  # sd of the Gaussian as which the wall appears across, mm

    @property
    def values(self) -> Float:
        """Place along the axis, half-width, half-length, valve plane."""
        return np.array([*self.fit.values, self.valve_plane])


def look_at(sampler: Sampler, frame: Spheroid, start: WallFit) -> Look:
    """Return what is seen of the wall."""
    fit = fit_gate(sampler, frame, start)
    spheroid = placed(frame, fit)
    valve = float(fit.values[0]) + valve_plane_mm(sampler, spheroid)
    return Look(fit, valve if math.isfinite(valve) else math.nan, wall_blur_mm(sampler, spheroid))


def matched_shells(wanted: Float, blur: float, half_wall: float, frame: Spheroid) -> tuple[tuple[Shell, ...], float]:
    """Return the shells `[gate]` whose images measure as `wanted` `[gate, 4]` (see Look.values), and the camera's blur.

    All have the same volume of wall, which is `half_wall` (mm) half as thick at end diastole. `blur` is the apparent sd
    of the wall, mean over the gates.
    """
    values = wanted.copy()
    values[:, 1:3] += (1.5, 5.0)
    own_blur = FIRST_BLUR_SHARE * blur
    shells = _of_one_wall(values, half_wall)
    for _ in range(ROUNDS):
        looks = [
            look_at(ShellImage(shell, own_blur, frame), frame, _fit(gate))
            for shell, gate in zip(shells, wanted, strict=True)
        ]
        seen = np.array([look.values for look in looks])
        missing = np.where(np.isfinite(seen), wanted - seen, 0.0)
        values = _possible(values + np.clip(missing, -4.0, 4.0))
        own_blur += blur - float(np.mean([look.blur for look in looks]))
        own_blur = float(np.clip(own_blur, *BLUR_RANGE_MM))
        shells = _of_one_wall(values, half_wall)
    return shells, own_blur


def _fit(values: Float) -> WallFit:
    return WallFit(values[:3], np.zeros(2), 0.0)


def _possible(values: Float) -> Float:
    """Return values within what a ventricle can be."""
    result = values.copy()
    result[:, 1] = np.clip(values[:, 1], 8.0, 65.0)
    result[:, 2] = np.clip(values[:, 2], result[:, 1], 3.5 * result[:, 1])
    relative = np.clip(values[:, 3] - values[:, 0], -0.98 * result[:, 2], 0.1 * result[:, 2])
    result[:, 3] = values[:, 0] + relative
    return result


def _of_one_wall(values: Float, half_wall: float) -> tuple[Shell, ...]:
    # A wall as thick as at end diastole would have most volume then: the ventricle is widest.
    shells = [Shell(*(float(value) for value in (*gate[:4], half_wall))) for gate in values]
    wall = max(shell.wall_ml for shell in shells)
    return tuple(shell.with_wall(wall) for shell in shells)
