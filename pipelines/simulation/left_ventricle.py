"""The left ventricle's shape through the cardiac cycle: a cut half-ellipsoid whose wall keeps its volume."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

APICAL_WALL = 0.7  # thickness at the apex as a share of the free wall's
SYSTOLE = 0.36  # share of the cycle until the smallest volume
LONG_AXIS_SHARE = 0.22  # shortening of the long axis per unit of ejection fraction


def _cut_factor(cut: float) -> float:
    """Return V / (pi b^2 a) of an ellipsoid with semi-axes a, b, b between -cut * a and its tip at +a."""
    return (1.0 + cut) - (1.0 + cut**3) / 3.0


@dataclass(frozen=True)
class Shape:
    """The ventricle at one moment. The long axis t runs from base to apex; t = 0 at the endocardial ellipsoid's middle.

    The apex's outer surface stays where it is; the base moves. Lengths in mm.
    """

    half_width: float  # endocardial semi-minor axis
    half_length: float  # endocardial semi-major axis
    cut: float  # the valve plane lies at t = -cut * half_length
    wall: float  # thickness of the free wall

    @property
    def outer_half_width(self) -> float:
        """Epicardial semi-minor axis."""
        return self.half_width + self.wall

    @property
    def outer_half_length(self) -> float:
        """Epicardial semi-major axis."""
        return self.half_length + APICAL_WALL * self.wall

    @property
    def base_mm(self) -> float:
        """Position of the valve plane along the long axis."""
        return -self.cut * self.half_length

    @property
    def cavity_ml(self) -> float:
        """Volume inside the endocardium up to the valve plane."""
        return math.pi * self.half_width**2 * self.half_length * _cut_factor(self.cut) / 1000.0

    @property
    def wall_ml(self) -> float:
        """Volume of the myocardium up to the valve plane."""
        outer_cut = self.cut * self.half_length / self.outer_half_length
        outer = math.pi * self.outer_half_width**2 * self.outer_half_length * _cut_factor(outer_cut) / 1000.0
        return outer - self.cavity_ml

    @property
    def shape_index(self) -> float:
        """Largest short-axis diameter of the cavity over its long axis."""
        return 2.0 * self.half_width / (self.half_length * (1.0 + self.cut))

    @property
    def eccentricity(self) -> float:
        """sqrt(1 - Rx Ry / Rz^2) of the mid-wall ellipsoid."""
        short = self.half_width + self.wall / 2
        long = self.half_length + APICAL_WALL * self.wall / 2
        return math.sqrt(max(1.0 - (short / long) ** 2, 0.0))

    def with_cavity(self, cavity_ml: float, half_length: float) -> Shape:
        """Return the shape with another cavity and length but the same volume of wall."""
        width = math.sqrt(1000.0 * cavity_ml / (math.pi * half_length * _cut_factor(self.cut)))
        thin, thick = 0.1, 60.0
        for _ in range(60):
            middle = (thin + thick) / 2
            if Shape(width, half_length, self.cut, middle).wall_ml < self.wall_ml:
                thin = middle
            else:
                thick = middle
        return Shape(width, half_length, self.cut, (thin + thick) / 2)


def emptying(phase: Float) -> Float:
    """Return the share of the stroke volume that has left the ventricle at each phase (0..1) of the cycle.

    Ejection, early filling, diastasis and the atrial kick as smooth steps (shape after Guyton's Wiggers diagram).
    """
    ejected = _smooth_step(phase / SYSTOLE)
    filled = 0.75 * _smooth_step((phase - SYSTOLE) / 0.30) + 0.25 * _smooth_step((phase - 0.82) / 0.18)
    return ejected - filled


def _smooth_step(share: Float) -> Float:
    inside = np.clip(share, 0.0, 1.0)
    return 0.5 - 0.5 * np.cos(np.pi * inside)


@dataclass(frozen=True)
class CardiacCycle:
    """How the ventricle beats: its shape at end diastole and the ejection fraction (0..1)."""

    end_diastole: Shape
    ejection_fraction: float

    def at(self, emptied: float) -> Shape:
        """Return the shape when the share `emptied` of the stroke volume has left."""
        rest = self.end_diastole
        if emptied <= 0.0:
            return rest
        cavity = rest.cavity_ml * (1.0 - self.ejection_fraction * emptied)
        length = rest.half_length * (1.0 - LONG_AXIS_SHARE * self.ejection_fraction * emptied)
        return rest.with_cavity(cavity, length)

    def gates(self, count: int) -> tuple[Shape, ...]:
        """Return the shape in the middle of each gate by the mean emptying over it; gate 0 begins at the R wave."""
        fine = 64
        phases = (np.arange(count * fine) + 0.5) / (count * fine)
        mean = emptying(phases).reshape(count, fine).mean(axis=1)
        return tuple(self.at(float(share)) for share in mean)

    @property
    def end_systole(self) -> Shape:
        """The smallest shape."""
        return self.at(1.0)
