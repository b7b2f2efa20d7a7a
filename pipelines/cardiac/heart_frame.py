"""Where the left ventricle lies: a spheroid through the middle of its wall, its own directions, its valve plane.

The heart's directions, from which all displays and polar maps follow: `along` runs from base to apex, `anterior` is the
direction nearest the head across it, `lateral` completes them. Seen from the apex with anterior up, lateral is right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Point = tuple[float, float, float]

APICAL_HALF_WALL_MM = 3.5  # from the middle of the wall to the endocardium, at the apex


def directions(long_axis: Float) -> tuple[Float, Float, Float]:
    """Return the unit vectors (along, lateral, anterior) in LPS of a ventricle with this axis from base to apex."""
    along = np.asarray(long_axis, dtype=np.float64)
    along = along / np.linalg.norm(along)
    head = np.array([0.0, 0.0, 1.0])
    anterior = head - (head @ along) * along
    length = float(np.linalg.norm(anterior))
    if length < 1e-6:
        raise ValueError("a long axis along the body's axis leaves anterior and lateral undefined")
    anterior /= length
    return along, _cross(anterior, along), anterior


def _cross(left: Float, right: Float) -> Float:
    """Return the vector product; numpy's own takes ten times as long for two vectors, and the search asks often."""
    (a, b, c), (d, e, f) = left, right
    return np.array([b * f - c * e, c * d - a * f, a * e - b * d])


@dataclass(frozen=True)
class Spheroid:
    """A spheroid through the middle of the wall; lengths in mm, LPS. `axis` is a unit vector from base to apex."""

    middle: Point
    axis: Point
    half_width: float
    half_length: float

    def along_mm(self, places_mm: Float) -> Float:
        """Return the position along the axis, from the middle, of LPS places `[..., 3]`."""
        return np.asarray((places_mm - np.asarray(self.middle)) @ np.asarray(self.axis))

    def place(self, along_mm: float) -> Point:
        """Return the LPS place on the axis at this distance from the middle toward the apex."""
        x, y, z = np.asarray(self.middle) + along_mm * np.asarray(self.axis)
        return float(x), float(y), float(z)

    def surface(self, polar: Float, angle_deg: Float) -> tuple[Float, Float]:
        """Return places `[..., 3]` on the surface and the outward normals there.

        `polar` is the parametric angle (radians) from the apex, `angle_deg` turns from lateral (0) to anterior (90).
        """
        along, lateral, anterior = directions(np.asarray(self.axis))
        radians = np.radians(angle_deg)[..., None]
        across = np.cos(radians) * lateral + np.sin(radians) * anterior
        cosine, sine = np.cos(polar)[..., None], np.sin(polar)[..., None]
        places = np.asarray(self.middle) + self.half_length * cosine * along + self.half_width * sine * across
        normals = self.half_width * cosine * along + self.half_length * sine * across
        return places, normals / np.linalg.norm(normals, axis=-1, keepdims=True)


@dataclass(frozen=True)
class LeftVentricle:
    """A left ventricle that was found, or set by a person.

    `ridge` lies where the image of the wall is hottest, `wall` in the middle of the muscle: blur moves the one inward
    of the other. The valve plane stands across the axis, `valve_plane_mm` along it from the middle (negative).
    `confidence` runs from 0 to 1: how clearly a hollow wall stands out, see `left_ventricle`.
    """

    ridge: Spheroid
    wall: Spheroid
    valve_plane_mm: float
    confidence: float
    remarks: tuple[str, ...] = ()  # what a reader should check, in words

    @property
    def long_axis(self) -> Point:
        """Unit vector from base to apex, LPS."""
        return self.ridge.axis

    @property
    def apex_mm(self) -> Point:
        """The middle of the wall at the apex, LPS."""
        return self.wall.place(self.wall.half_length)

    @property
    def base_mm(self) -> Point:
        """Where the axis meets the valve plane, LPS."""
        return self.wall.place(self.valve_plane_mm)

    @property
    def center_mm(self) -> Point:
        """Halfway from the valve plane to the endocardial apex, LPS."""
        return self.wall.place((self.valve_plane_mm + self.wall.half_length - APICAL_HALF_WALL_MM) / 2.0)

    @property
    def azimuth_deg(self) -> float:
        """Angle of the axis to the left of straight ahead."""
        return math.degrees(math.atan2(self.long_axis[0], -self.long_axis[1]))

    @property
    def elevation_deg(self) -> float:
        """Angle of the axis below the horizontal."""
        return math.degrees(math.asin(max(-1.0, min(1.0, -self.long_axis[2]))))
