"""The numbers that make one virtual patient different from another, drawn from a seed within anatomical ranges.

Lengths are mm in the patient's own frame: the origin is the middle of the left ventricle's height on the body's axis,
x to the left, y to the back, z to the head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from pipelines.simulation.left_ventricle import CardiacCycle, Shape
from pipelines.simulation.shapes import Point, point_of
from pipelines.simulation.vessels import Vessel, draw_vessels


class Sex(Enum):
    """The patient's sex; the value is DICOM's code."""

    FEMALE = "F"
    MALE = "M"


class Position(Enum):
    """How the patient lies on the table."""

    SUPINE = "supine"
    PRONE = "prone"


@dataclass(frozen=True)
class Breast:
    """A woman's breast or the fat over a man's pectoral muscle, lying on the rib cage's muscles."""

    half: Point  # along the chest's curve, thickness, height
    angle_deg: float  # of its middle, from the midline in front
    height: float  # of its middle


@dataclass(frozen=True)
class Torso:
    """Rib cage, the soft tissue over it, and how the patient lies."""

    cage_half: tuple[float, float]  # lateral and front-to-back, inner surface of the ribs at the heart's height
    muscle: float
    fat: float  # in front; more at the flanks
    power: float  # of the super-ellipse
    shoulder_height: float
    dome_right: float  # top of the diaphragm
    dome_left: float
    below_heart: float  # top of what lies under the left ventricle
    breast: Breast
    arms_down: bool
    table_gap: float | None  # between back and table; None: nothing in the beam
    rib_pitch: float
    rib_phase: float
    neck_half: float

    @property
    def lateral(self) -> float:
        """Outer half-width of the body at the heart's height."""
        return self.cage_half[0] + self.muscle + 1.15 * self.fat

    @property
    def depth(self) -> float:
        """Outer half-depth of the body at the heart's height."""
        return self.cage_half[1] + self.muscle + self.fat


@dataclass(frozen=True)
class HeartPose:
    """Where the left ventricle lies: its middle, and the long axis to the apex."""

    center: Point
    azimuth_deg: float  # of the apex, from anterior toward the left
    elevation_deg: float  # of the apex below the horizontal


@dataclass(frozen=True)
class BowelPiece:
    """A short stretch of gut."""

    start: Point
    end: Point
    radius: float
    filling: float  # its tracer against the mean of the gut


@dataclass(frozen=True)
class Anatomy:
    """All that is fixed in a patient's body."""

    sex: Sex
    position: Position
    age_years: int
    height_m: float
    bmi: float
    torso: Torso
    pose: HeartPose
    cycle: CardiacCycle
    lung_mu: float
    liver_half: Point
    liver_tilt: float
    gall_bladder_radius: float
    stomach_half: Point
    stomach_gas: float  # size of the bubble against the stomach's; 0: none
    bowel: tuple[BowelPiece, ...]
    vessels: tuple[Vessel, ...]
    breathing_mm: float  # head-foot travel of the diaphragm


def draw_anatomy(rng: np.random.Generator, sex: Sex, position: Position, bmi: float | None = None) -> Anatomy:
    """Return a random body of this sex in this position."""
    bmi = float(np.clip(rng.normal(27.5, 4.5), 18.5, 42.0)) if bmi is None else bmi
    cycle = draw_cycle(rng, sex)
    torso = _draw_torso(rng, sex, position, bmi)
    pose = _draw_pose(rng, torso, cycle.end_diastole, position)
    gap = rng.uniform(2.0, 22.0)
    lowest = pose.center[2] - _drop_below_center(cycle.end_diastole, pose)
    below = lowest - gap
    left = below + rng.uniform(*((8.0, 30.0) if sex is Sex.MALE else (-4.0, 10.0)))  # beside the heart
    torso = replace(
        torso, dome_right=float(left + rng.uniform(4.0, 16.0)), dome_left=float(left), below_heart=float(below)
    )
    return Anatomy(
        sex=sex,
        position=position,
        age_years=int(np.clip(rng.normal(62, 10), 32, 88)),
        height_m=round(float(rng.normal(1.62, 0.06) if sex is Sex.FEMALE else rng.normal(1.75, 0.07)), 2),
        bmi=bmi,
        torso=torso,
        pose=pose,
        cycle=cycle,
        lung_mu=float(rng.uniform(0.038, 0.053)),
        liver_half=(float(rng.uniform(66, 87)), float(rng.uniform(62, 81)), float(rng.uniform(63, 83))),
        liver_tilt=float(rng.uniform(0.1, 0.35)),
        gall_bladder_radius=float(rng.uniform(12, 20)),
        stomach_half=(float(rng.uniform(30, 44)), float(rng.uniform(26, 40)), float(rng.uniform(36, 52))),
        breathing_mm=float(rng.uniform(5.0, 15.0)),
        stomach_gas=float(rng.uniform(0.35, 0.6)) if rng.random() < 0.6 else 0.0,
        bowel=_draw_bowel(rng, torso),
        vessels=draw_vessels(rng, torso.cage_half),
    )


def draw_cycle(rng: np.random.Generator, sex: Sex, failing: bool | None = None) -> CardiacCycle:
    """Return a random left ventricle; a failing one (7 % unless told) is wide and empties poorly."""
    failing = bool(rng.random() < 0.07) if failing is None else failing
    low, high = (20.5, 26.0) if sex is Sex.MALE else (18.5, 23.0)
    if failing:
        low, high = (high + 1.0, 35.0)
    half_width = float(rng.uniform(low, high))
    wall = float(rng.uniform(8.5, 11.5) if sex is Sex.MALE else rng.uniform(8.8, 11.0))
    ratio = float(rng.uniform(1.95, 2.3) if not failing else rng.uniform(1.65, 1.95))
    shape = Shape(half_width, ratio * half_width, float(rng.uniform(0.58, 0.70)), wall)
    fraction = rng.normal(65.0 if sex is Sex.FEMALE else 61.0, 7.0)
    fraction = float(np.clip(fraction, 48.0, 80.0)) if not failing else float(rng.uniform(20.0, 44.0))
    return CardiacCycle(shape, fraction / 100.0)


def _draw_torso(rng: np.random.Generator, sex: Sex, position: Position, bmi: float) -> Torso:
    male = sex is Sex.MALE
    growth = 1.0 + 0.006 * (bmi - 26.0)
    lateral = rng.uniform(128, 148) if male else rng.uniform(116, 134)
    depth = rng.uniform(90, 106) if male else rng.uniform(82, 97)
    fat = float(np.clip((bmi - 19.0) * (1.25 if male else 1.4) + rng.normal(0, 2.0), 4.0, 45.0))
    cage = (float(lateral * growth), float(depth * growth))
    muscle = float(rng.uniform(9, 15) if male else rng.uniform(7, 11))
    return Torso(
        cage_half=cage,
        muscle=muscle,
        fat=fat,
        power=float(rng.uniform(2.2, 2.6)),
        shoulder_height=float(rng.uniform(150, 185)),
        dome_right=0.0,
        dome_left=0.0,
        below_heart=0.0,
        breast=_draw_breast(rng, sex, position, bmi, fat),
        arms_down=bool(rng.random() < 0.08),
        table_gap=float(rng.uniform(0, 5)) if position is Position.SUPINE else None,
        rib_pitch=float(rng.uniform(24, 29)),
        rib_phase=float(rng.uniform(0, 1)),
        neck_half=float(rng.uniform(58, 68) if male else rng.uniform(50, 60)),
    )


def _draw_breast(rng: np.random.Generator, sex: Sex, position: Position, bmi: float, fat: float) -> Breast:
    if sex is Sex.MALE:
        half = (float(rng.uniform(55, 70)), fat + float(rng.uniform(3, 11)), float(rng.uniform(45, 60)))
        return Breast(half, 36.0, float(rng.uniform(25, 50)))
    size = float(np.clip(1.0 + 0.035 * (bmi - 26) + rng.normal(0, 0.22), 0.5, 1.8))
    hang = 1.3 if position is Position.PRONE else 1.0
    half = (68.0 * size**0.3, 0.6 * fat + 29.0 * size * hang, 54.0 * size**0.4)
    return Breast(half, float(rng.uniform(41, 49)), float(rng.uniform(22, 42)))


def axis_of(pose: HeartPose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the heart's own directions in the patient: along the long axis to the apex, lateral, anterior."""
    azimuth, elevation = math.radians(pose.azimuth_deg), math.radians(pose.elevation_deg)
    level = math.cos(elevation)
    along = np.array([level * math.sin(azimuth), -level * math.cos(azimuth), -math.sin(elevation)])
    head = np.array([0.0, 0.0, 1.0])
    anterior = head - (head @ along) * along
    anterior /= np.linalg.norm(anterior)
    return along, np.cross(anterior, along), anterior


def _drop_below_center(shape: Shape, pose: HeartPose) -> float:
    """Return how far the outer wall reaches below the ventricle's middle."""
    along, _, anterior = axis_of(pose)
    middle = shape.half_length * (1 - shape.cut) / 2
    return float(np.hypot(shape.outer_half_length * along[2], shape.outer_half_width * anterior[2]) + middle * along[2])


def _draw_pose(rng: np.random.Generator, torso: Torso, shape: Shape, position: Position) -> HeartPose:
    """Return a pose whose apex stays inside the rib cage."""
    azimuth, elevation = float(rng.uniform(30, 60)), float(rng.uniform(10, 42))
    x = float(rng.uniform(34, 54))
    y = -float(rng.uniform(0.22, 0.42)) * torso.cage_half[1]
    if position is Position.PRONE:
        y -= float(rng.uniform(5, 10))
    pose = HeartPose((x, y, 0.0), azimuth, elevation)
    along, _, _ = axis_of(pose)
    reach = (1.0 + shape.cut) / 2 * shape.half_length + shape.wall + 6.0
    for _ in range(60):
        apex = np.array([x, y, 0.0]) + reach * along
        level = abs(apex[0] / torso.cage_half[0]) ** torso.power + abs(apex[1] / torso.cage_half[1]) ** torso.power
        if level < 0.90:
            break
        x, y = x - 1.0 * along[0], y - 1.0 * along[1]
    return HeartPose((float(x), float(y), 0.0), azimuth, elevation)


def _draw_bowel(rng: np.random.Generator, torso: Torso) -> tuple[BowelPiece, ...]:
    """Return loops of bowel below the liver and the stomach: a tube that winds, bulges, and is filled unevenly."""
    lateral, depth = torso.cage_half
    low, high = np.array([-0.6 * lateral, -0.6 * depth, -210.0]), np.array([0.6 * lateral, 0.1 * depth, -105.0])
    place = np.array([rng.uniform(-0.3, 0.1) * lateral, rng.uniform(-0.55, -0.1) * depth, rng.uniform(-150, -110)])
    heading, filling, pieces = rng.normal(size=3), 1.0, []
    for _ in range(int(rng.integers(14, 30))):
        heading = 0.75 * heading + rng.normal(size=3) * [0.9, 0.5, 0.5]
        goal = place + 15.0 * heading / np.linalg.norm(heading)
        heading = np.where((goal < low) | (goal > high), -heading, heading)  # it turns back at the walls
        goal = np.clip(goal, low, high)
        filling = float(np.clip(filling * rng.lognormal(0.0, 0.35), 0.25, 2.2))
        pieces.append(BowelPiece(point_of(place), point_of(goal), float(rng.uniform(8, 15)), filling))
        place = goal
    return tuple(pieces)
