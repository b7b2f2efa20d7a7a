"""Paints a patient's trunk without the heart: what stands still (thorax) and what moves with the breath (abdomen)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pipelines.simulation.anatomy import Anatomy, Position, Sex, Torso
from pipelines.simulation.shapes import Canvas, Layer, Point, ellipsoid, super_ellipse
from pipelines.simulation.vessels import paint_vessels

Float = NDArray[np.float64]

RIB_THICKNESS_MM = 7.0


@dataclass(frozen=True)
class Tissues:
    """Linear attenuation coefficients at 140.5 keV in 1/cm (NIST XCOM with ICRU-44 compositions)."""

    muscle: float = 0.160
    fat: float = 0.145
    breast: float = 0.150
    liver: float = 0.162
    blood: float = 0.159
    rib: float = 0.195
    spine: float = 0.190
    gut: float = 0.155  # between the organs of the belly
    arm: float = 0.157
    heart_fat: float = 0.150
    mediastinum: float = 0.152  # fat, vessels, gullet
    table_shell: float = 0.08
    table_core: float = 0.02


@dataclass(frozen=True)
class Activities:
    """Concentration of the tracer per organ; the normal left-ventricular wall holds 100."""

    muscle: float
    fat: float
    lung: float
    blood: float
    right_ventricle: float
    liver: float
    spleen: float
    kidney: float
    gall_bladder: float
    stomach: float
    bowel: float
    thyroid: float

    @classmethod
    def draw(cls, rng: np.random.Generator, at_rest: bool) -> Activities:
        """Return a random uptake of the organs an hour after sestamibi was given.

        As many numbers are drawn at stress as at rest, so that one seed means the same patient.
        """

        def between(stress: tuple[float, float], rest: tuple[float, float] | None = None) -> float:
            return float(rng.uniform(*(rest if at_rest and rest else stress)))

        loud_bowel, full_bladder = rng.random(2) < (0.5, 0.4)
        bowel, quiet = between((30, 140), (40, 180)), between((10, 25))
        bladder = between((100, 320), (150, 420))
        return cls(
            muscle=between((6, 11), (5, 9)),
            fat=between((2.5, 4.5), (2, 4)),
            lung=between((4, 7.5), (3.5, 6)),
            blood=between((5, 9)),
            right_ventricle=between((30, 45), (25, 40)),
            liver=between((22, 65), (45, 105)),
            spleen=between((25, 50)),
            kidney=between((45, 110)),
            gall_bladder=bladder if full_bladder else 40.0,
            stomach=between((8, 40)),
            bowel=bowel if loud_bowel else quiet,
            thyroid=between((30, 70)),
        )

    @classmethod
    def none(cls) -> Activities:
        """Return organs without tracer, where only attenuation is wanted."""
        return cls(*(0.0,) * len(fields(cls)))


TISSUES = Tissues()


class Thorax:
    """The trunk's static layer, and the masks that the other layers need."""

    def __init__(self, canvas: Canvas, anatomy: Anatomy, activities: Activities) -> None:
        self.canvas, self.anatomy, self.activities = canvas, anatomy, activities
        self.layer = Layer(canvas)
        lateral, depth = self._cage()
        self.cage_mm = super_ellipse(canvas.x, canvas.y, lateral, depth, anatomy.torso.power)
        self.spine = canvas.coverage(np.hypot(canvas.x, canvas.y - 0.80 * depth) - 20.0)
        self.inside = canvas.coverage(self.cage_mm) * (1.0 - self.spine)
        self.lung = np.zeros(canvas.grid.shape)

    def _cage(self) -> tuple[Float, Float]:
        """Return the rib cage's half-axes at each height: widest below the heart, closing toward the neck."""
        torso, z = self.anatomy.torso, self.canvas.z
        top = np.clip((z - 20.0) / (torso.shoulder_height - 5.0), 0.0, 0.995)
        narrowing = np.sqrt(1.0 - 0.92 * top**2.6)
        widening = 1.0 - 0.04 * np.tanh(z / 120.0)
        return torso.cage_half[0] * narrowing * widening, torso.cage_half[1] * narrowing * widening

    def paint(self) -> Layer:
        """Paint skin to spine, lungs included; the lungs reach down behind the abdomen, which covers them."""
        self._paint_limbs()
        self._paint_trunk()
        self._paint_chest()
        self._paint_lungs()
        self._paint_bones()
        if self.anatomy.torso.table_gap is not None:
            self._paint_table(self.anatomy.torso, self.anatomy.torso.table_gap)
        return self.layer

    def _paint_limbs(self) -> None:
        torso, muscle = self.anatomy.torso, self.activities.muscle
        height, radius = torso.shoulder_height, 44.0 + 0.4 * torso.fat
        for side in (-1.0, 1.0):
            if torso.arms_down:
                start: Point = (side * (torso.lateral + radius - 4.0), 15.0, height - 20.0)
                end: Point = (side * (torso.lateral + radius + 8.0), 25.0, -260.0)
            else:
                start = (side * (torso.cage_half[0] + 2.0), 12.0, height - 52.0)
                end = (side * (torso.cage_half[0] + 85.0), -5.0, height + 130.0)
                self.layer.capsule((side * 25.0, 15.0, height + 5.0), start, 0.8 * radius, muscle, TISSUES.muscle)
            self.layer.capsule(start, end, radius, 0.9 * muscle, TISSUES.arm)

    def _paint_trunk(self) -> None:
        """Paint the fat shell, the muscles under it, and the neck."""
        canvas, torso, tissue, held = self.canvas, self.anatomy.torso, TISSUES, self.activities
        shoulder = 1.0 / (1.0 + np.exp((canvas.z - torso.shoulder_height) / 15.0))
        half = [torso.neck_half + (size - torso.neck_half) * shoulder for size in (torso.lateral, torso.depth)]
        waist = 1.0 - 0.07 * np.tanh((canvas.z + 30.0) / 120.0)
        skin = super_ellipse(canvas.x, canvas.y, half[0] * waist, half[1] * waist, torso.power)
        self.layer.fill(canvas.coverage(skin), held.fat, tissue.fat)
        furrow = (
            0.55 * np.exp(-((canvas.x / 60.0) ** 2)) * (canvas.y > 0.0)
        )  # the back's long muscles lie near the skin
        self.layer.fill(canvas.coverage(skin + torso.fat * (1.0 - furrow)), held.muscle, tissue.muscle)
        throat = (0.0, -25.0, torso.shoulder_height + 25.0)
        for side in (-1.0, 1.0):
            self.layer.ellipsoid((side * 17.0, *throat[1:]), (9.0, 9.0, 24.0), held.thyroid, tissue.muscle)

    def _paint_chest(self) -> None:
        """Paint the breasts, or a man's pectoral fat: flat domes that follow the chest's curve."""
        canvas, torso, breast = self.canvas, self.anatomy.torso, self.anatomy.torso.breast
        mu = TISSUES.breast if self.anatomy.sex is Sex.FEMALE else TISSUES.fat
        above = self.cage_mm - RIB_THICKNESS_MM - torso.muscle
        curve = np.arctan2(np.abs(canvas.x), -canvas.y) * (torso.cage_half[1] + torso.muscle)
        middle = math.radians(breast.angle_deg) * (torso.cage_half[1] + torso.muscle)
        dome = ellipsoid(curve, above, canvas.z, (middle, 0.0, breast.height), breast.half)
        share = canvas.coverage(dome) * canvas.coverage(-above)
        self.layer.fill(share, 1.2 * self.activities.fat, mu)

    def _paint_lungs(self) -> None:
        """Paint the cage with lung, but for the mediastinum; denser toward the back, where blood settles."""
        canvas, torso = self.canvas, self.anatomy.torso
        self.layer.fill(canvas.coverage(self.cage_mm), self.activities.muscle, TISSUES.mediastinum)
        wide = 30.0 + 10.0 * np.exp(-(((canvas.z - 70.0) / 50.0) ** 2))
        mediastinum = super_ellipse(canvas.x - 2.0, canvas.y + 4.0, wide, 0.86 * torso.cage_half[1], 2.4)
        behind = super_ellipse(canvas.x, canvas.y - 0.80 * torso.cage_half[1], 33.0, 34.0, 2.2)
        solid = np.maximum(canvas.coverage(mediastinum), canvas.coverage(behind))
        self.lung = (
            canvas.coverage(self.cage_mm + 3.0) * (1.0 - solid) * canvas.coverage(canvas.z - torso.shoulder_height + 20)
        )
        gradient = 1.0 + 0.15 * np.clip(canvas.y / torso.cage_half[1], -1.0, 1.0)
        self.layer.fill(self.lung, self.activities.lung * gradient, self.anatomy.lung_mu * gradient)
        paint_vessels(self.layer, self.anatomy.vessels, self.lung, self.activities.blood, TISSUES.blood)
        aorta = canvas.coverage(np.hypot(canvas.x - 22.0, canvas.y - 0.55 * torso.cage_half[1]) - 12.0)
        self.layer.fill(aorta * (canvas.z < 90.0), self.activities.blood, TISSUES.blood)

    def _paint_bones(self) -> None:
        canvas, torso, held = self.canvas, self.anatomy.torso, 1.5 * self.activities.muscle
        depth = torso.cage_half[1]
        disc = 0.75 + 0.25 * np.clip(2.0 * np.cos(2 * np.pi * canvas.z / 30.0) + 1.0, -1.0, 1.0)
        self.layer.fill(self.spine, held, TISSUES.muscle + (TISSUES.spine - TISSUES.muscle) * disc)
        process = canvas.coverage(super_ellipse(canvas.x, canvas.y - 0.80 * depth - 28.0, 7.0, 18.0, 2.0))
        self.layer.fill(process * canvas.coverage(canvas.z - torso.shoulder_height), held, TISSUES.spine)
        slope = -0.55 * depth * (1.0 - np.clip(canvas.y / depth, -1.0, 1.0)) * 0.5
        turn = np.mod((canvas.z - slope * 1.6) / torso.rib_pitch + torso.rib_phase, 1.0) - 0.5
        across = np.abs(turn) * torso.rib_pitch - 6.0
        wall = np.maximum(np.abs(self.cage_mm - RIB_THICKNESS_MM / 2) - RIB_THICKNESS_MM / 2, across)
        cartilage = np.clip((canvas.y / depth + 0.75) / 0.2, 0.0, 1.0)
        mu = TISSUES.muscle + (TISSUES.rib - TISSUES.muscle) * (0.25 + 0.75 * cartilage)
        self.layer.fill(canvas.coverage(wall) * (canvas.z < torso.shoulder_height - 10.0), held, mu)
        front = super_ellipse(canvas.x, canvas.y + self._cage()[1] + 4.0, 19.0, 6.0, 3.0)
        self.layer.fill(canvas.coverage(front) * canvas.coverage(-(canvas.z + 25.0)), held, TISSUES.rib)

    def _paint_table(self, torso: Torso, gap: float) -> None:
        """Paint a curved slab under the back: a thin shell around foam."""
        canvas = self.canvas
        x, y = canvas.straight[0], canvas.straight[1]
        top = torso.depth + gap - 0.00035 * x * x
        slab = np.maximum(np.abs(y - top - 10.0) - 10.0, np.abs(x) - 205.0)
        free = 1.0 - self.layer.cover
        self.layer.fill(canvas.coverage(slab) * free, 0.0, TISSUES.table_shell)
        self.layer.fill(canvas.coverage(slab + 3.0) * free, 0.0, TISSUES.table_core)


def paint_abdomen(canvas: Canvas, anatomy: Anatomy, activities: Activities, inside: Float) -> Layer:
    """Return what lies below the diaphragm, inside the rib cage; it moves with the breath."""
    torso, tissue, held = anatomy.torso, TISSUES, activities
    lateral, depth = torso.cage_half
    domes = (
        (-0.47 * lateral, -0.05 * depth, torso.dome_right),
        (0.12 * lateral, -0.35 * depth, torso.below_heart),
        (0.50 * lateral, 0.15 * depth, torso.dome_left),
    )
    below = np.maximum.reduce([_under_dome(canvas, (lateral, depth), dome) for dome in domes])
    layer = Layer(canvas)
    cavity = inside * canvas.coverage(-below)
    layer.fill(cavity, held.muscle, tissue.gut)
    low, high = torso.dome_left, torso.dome_right
    layer.ellipsoid((0.64 * lateral, 0.40 * depth, low - 40.0), (25.0, 40.0, 38.0), held.spleen, tissue.muscle, cavity)
    for side in (-1.0, 1.0):
        layer.ellipsoid(
            (side * 60.0, 0.52 * depth, low - 118.0 - 6.0 * side),
            (27.0, 24.0, 50.0),
            held.kidney,
            tissue.muscle,
            cavity,
        )
    stomach = (0.36 * lateral, -0.12 * depth, low - 52.0)
    layer.ellipsoid(stomach, anatomy.stomach_half, held.stomach, tissue.muscle, cavity)
    if anatomy.stomach_gas > 0.0:
        _paint_gas(layer, anatomy, stomach, cavity)
    for piece in anatomy.bowel:
        layer.capsule(piece.start, piece.end, piece.radius, held.bowel * piece.filling, tissue.muscle, cavity)
    half = anatomy.liver_half
    layer.ellipsoid((-0.46 * lateral, -2.0, high - 0.72 * half[2]), half, held.liver, tissue.liver, cavity)
    lobe = (0.04 * lateral, -0.42 * depth, torso.below_heart - 22.0)
    layer.ellipsoid(
        lobe,
        (0.62 * half[0] + 25.0, 0.42 * half[1], 26.0 + 20.0 * anatomy.liver_tilt),
        held.liver,
        tissue.liver,
        cavity,
    )
    bladder = (-0.30 * lateral, -0.55 * depth, high - 1.35 * half[2])
    radius = anatomy.gall_bladder_radius
    layer.ellipsoid(bladder, (radius, radius, 1.5 * radius), held.gall_bladder, tissue.muscle, cavity)
    return layer


def _paint_gas(layer: Layer, anatomy: Anatomy, stomach: Point, cavity: Float) -> None:
    """Paint the bubble of gas that floats in the stomach: in front of a supine patient's, behind in a prone one's."""
    half = anatomy.stomach_half
    up = -1.0 if anatomy.position is Position.SUPINE else 1.0
    center = (stomach[0], stomach[1] + up * (1.0 - anatomy.stomach_gas) * 0.8 * half[1], stomach[2])
    size = anatomy.stomach_gas
    layer.ellipsoid(center, (1.1 * size * half[0], size * half[1], 1.1 * size * half[2]), 0.0, 0.0, cavity)


def _under_dome(canvas: Canvas, cage: tuple[float, float], dome: tuple[float, float, float]) -> Float:
    """Return how far each voxel lies below one part of the diaphragm (mm, positive below); x, y, z of its top."""
    x, y, top = dome
    sag = 55.0 * ((canvas.x - x) / (0.62 * cage[0])) ** 2 + 45.0 * ((canvas.y - y) / cage[1]) ** 2
    return np.asarray(top - 75.0 * np.tanh(sag / 75.0) - canvas.z)
