"""Paints the heart: left ventricle in each gate, right ventricle, atria, great vessels, and the fat around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulation.anatomy import HeartPose, axis_of
from pipelines.simulation.body import TISSUES, Activities
from pipelines.simulation.left_ventricle import APICAL_WALL, Shape
from pipelines.simulation.shapes import Box, Canvas, Layer, ellipsoid
from pipelines.simulation.uptake import WallUptake

Float = NDArray[np.float64]

RIGHT_WALL_MM = 4.0
VALVE_SLOPE = 0.12  # the septum is shorter than the lateral wall: the valve plane leans


@dataclass(frozen=True)
class HeartFrame:
    """The voxels around a heart in its own coordinates (mm): along the long axis, lateral, anterior.

    `along` is measured from the middle of the left ventricle at end diastole.
    """

    canvas: Canvas
    box: Box
    along: Float
    lateral: Float
    anterior: Float

    @classmethod
    def of(cls, canvas: Canvas, pose: HeartPose, reach_mm: float = 105.0) -> HeartFrame:
        """Return the coordinates of all voxels within `reach_mm` of the left ventricle's middle."""
        box = canvas.box(pose.center, (reach_mm, reach_mm, reach_mm))
        offset = [canvas.straight[axis][box] - pose.center[axis] for axis in range(3)]
        along, lateral, anterior = (sum(d * o for d, o in zip(axis, offset, strict=True)) for axis in axis_of(pose))
        return cls(canvas, box, np.asarray(along), np.asarray(lateral), np.asarray(anterior))


def paint_surroundings(frame: HeartFrame, rest: Shape, held: Activities) -> Layer:
    """Return the heart without its left ventricle: fat, atria, vessels, right ventricle."""
    layer, canvas, box = Layer(frame.canvas), frame.canvas, frame.box
    t, lateral, anterior = frame.along, frame.lateral, frame.anterior
    half, width = (1 + rest.cut) / 2 * rest.half_length, rest.outer_half_width

    def put(distance: Float, activity: float, mu: float) -> None:
        layer.fill(canvas.coverage(distance), activity, mu, box)

    right_center, right_half = (-4.0, -(0.72 * width + 8.0), 0.10 * width), (half + 4.0, 0.78 * width, 1.02 * width)
    wall_half = tuple(size + RIGHT_WALL_MM for size in right_half)
    outer = ellipsoid(t, lateral, anterior, right_center, (wall_half[0], wall_half[1], wall_half[2]))
    inner = ellipsoid(t, lateral, anterior, right_center, (right_half[0], right_half[1], right_half[2]))
    base = -half - 2.0
    left_atrium = ellipsoid(t, lateral, anterior, (-half - 24.0, 6.0, 4.0), (24.0, 27.0, 24.0))
    right_atrium = ellipsoid(t, lateral, anterior, (-half - 22.0, -0.9 * width - 20.0, -2.0), (26.0, 24.0, 27.0))
    root = np.hypot(t + half + 8.0, lateral + 0.45 * width) - 15.0
    root = np.maximum(root, np.abs(anterior - 40.0) - 42.0)
    pools = np.minimum(np.minimum(left_atrium, right_atrium), root)
    sac_half = (half + rest.wall + 22.0, 1.30 * width + 14.0, 1.05 * width + 10.0)
    sac = ellipsoid(t, lateral, anterior, (-16.0, -0.34 * width, 0.0), sac_half)
    own = ellipsoid(t, lateral, anterior, (0.0, 0.0, 0.0), (half + rest.wall + 2, width + 1, width + 1))
    put(np.minimum(np.minimum(np.minimum(pools, outer), own) - 5.0, sac), held.fat, TISSUES.heart_fat)
    put(pools, held.blood, TISSUES.blood)
    put(np.maximum(outer, base - t), held.right_ventricle, TISSUES.muscle)
    put(np.maximum(inner, base - t - 1.0), held.blood, TISSUES.blood)
    return layer


def left_ventricle(
    frame: HeartFrame, rest: Shape, shape: Shape, uptake: WallUptake | None = None, at_rest: bool = False
) -> tuple[Float, Float, Float]:
    """Return shares of wall and of cavity, and the wall's uptake (1 = normal, 0 without `uptake`), per voxel.

    `rest` is the end-diastolic shape, whose apex stays where it is while the ventricle beats as `shape`.
    """
    canvas = frame.canvas
    apex = (1 - rest.cut) / 2 * rest.half_length  # the rest shape's middle lies this far from its t = 0
    t = frame.along + apex + (shape.outer_half_length - rest.outer_half_length)
    radius = np.hypot(frame.lateral, frame.anterior)
    inner = _spheroid(t, radius, shape.half_length, shape.half_width)
    outer = _spheroid(t, radius, shape.outer_half_length, shape.outer_half_width)
    plane = shape.base_mm - VALVE_SLOPE * frame.lateral - t
    cavity = canvas.coverage(np.maximum(inner, plane))
    wall = canvas.coverage(np.maximum(outer, plane)) - cavity
    held = np.zeros_like(wall)
    if uptake is None:
        return np.clip(wall, 0.0, 1.0), cavity, held
    middle_width = shape.half_width + shape.wall / 2
    middle_length = shape.half_length + APICAL_WALL * shape.wall / 2
    places = np.stack([t / middle_length, frame.lateral / middle_width, frame.anterior / middle_width], axis=-1)
    places /= np.maximum(np.linalg.norm(places, axis=-1, keepdims=True), 1e-6)
    depth = np.clip(inner / np.maximum(inner - outer, 1e-6), 0.0, 1.0)
    touched = wall > 0
    held[touched] = uptake.at(places[touched], depth[touched], at_rest)
    return np.clip(wall, 0.0, 1.0), cavity, held


def _spheroid(t: Float, radius: Float, length: float, width: float) -> Float:
    """Return the approximate distance to a spheroid about the long axis (mm, negative inside)."""
    level = np.sqrt((t / length) ** 2 + (radius / width) ** 2)
    slope = np.sqrt((t / length**2) ** 2 + (radius / width**2) ** 2)
    return np.asarray((level - 1.0) * level / np.maximum(slope, 1e-9))
