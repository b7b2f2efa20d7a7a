"""Size and shape of the left ventricle: cavity and wall in ml, eccentricity, shape index of a cut spheroid.

An image can't show how thick the wall is, for it is thinner than the camera's blur; a usual thickness is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipelines.cardiac.heart_frame import APICAL_HALF_WALL_MM, LeftVentricle

HALF_WALL_MM = 5.5  # half the thickness of the free wall, mean over the beat


@dataclass(frozen=True)
class VentricleShape:
    """Mean over the beat, for an ungated study."""

    cavity_ml: float  # inside the endocardium, up to the valve plane
    wall_ml: float
    eccentricity: float  # sqrt(1 - width^2 / length^2) of the middle of the wall: 0 is a sphere
    shape_index: float  # largest width of the cavity over its length


def ventricle_shape(ventricle: LeftVentricle) -> VentricleShape:
    """Return the shape of a ventricle."""
    width, length, base = ventricle.wall.half_width, ventricle.wall.half_length, ventricle.valve_plane_mm
    inner_width, inner_length = max(width - HALF_WALL_MM, 1.0), length - APICAL_HALF_WALL_MM
    cavity = _cut_spheroid_ml(inner_width, inner_length, base)
    whole = _cut_spheroid_ml(width + HALF_WALL_MM, length + APICAL_HALF_WALL_MM, base)
    return VentricleShape(
        cavity_ml=cavity,
        wall_ml=whole - cavity,
        eccentricity=math.sqrt(max(1.0 - (width / length) ** 2, 0.0)),
        shape_index=2.0 * inner_width / (inner_length - base),
    )


def _cut_spheroid_ml(half_width: float, half_length: float, base: float) -> float:
    """Return the volume of a spheroid from `base` (mm along the axis from its middle) to its tip."""
    start = max(base, -half_length)
    height = half_length - start - (half_length**3 - start**3) / (3.0 * half_length**2)
    return math.pi * half_width**2 * height / 1000.0
