"""How much tracer each part of the left ventricle's wall holds: normal variation, perfusion defects, the 17 segments.

A place on the wall is a unit vector (along, lateral, anterior): `along` is 1 at the apex, and the other two turn about
the long axis, lateral = 0 and anterior = 90 degrees. It belongs to the muscle and moves with it through the cycle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulation.left_ventricle import Shape

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Where the 17 segments begin and end (Cerqueira et al. 2002): level from the apex, then angles from lateral.
BASAL_AND_MID = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
TERRITORIES = {
    "LAD": (1, 2, 7, 8, 13, 14, 17),
    "RCA": (3, 4, 9, 10, 15),
    "LCX": (5, 6, 11, 12, 16),
}
ABNORMAL = 0.15  # share of uptake lost from which a place counts as defect in the truth
SEVERE = 0.70  # share lost from which a place has the worst score (Slomka et al. 2005)


def segment_of(along: Float, angle_deg: Float, cut: float) -> Int:
    """Return the segment, 1 to 17, of places on the wall.

    The cavity from the valve plane (`along` = -`cut`) to its tip (1) is cut into thirds; the last
    eighth of the apical third's depth toward the tip is the apex, segment 17.
    """
    level = (along + cut) / (1.0 + cut)
    angle = np.mod(angle_deg, 360.0)
    sextant = np.mod(np.floor((angle - 60.0) / 60.0), 6).astype(np.int64)
    quadrant = np.mod(np.floor((angle - 45.0) / 90.0), 4).astype(np.int64)
    segment = np.where(level < 1 / 3, 1 + sextant, 7 + sextant)
    segment = np.where(level >= 2 / 3, 13 + quadrant, segment)
    return np.where(level >= 0.96, 17, segment)


def middle_of(segment: int, cut: float) -> Float:
    """Return the place in the middle of a segment."""
    if segment == 17:
        return np.array([1.0, 0.0, 0.0])
    if segment >= 13:
        level, angle = 0.82, 90.0 * (segment - 12)
    else:
        level, angle = (1 / 6 if segment <= 6 else 1 / 2), 90.0 + 60.0 * ((segment - 1) % 6)
    along = level * (1.0 + cut) - cut
    across = math.sqrt(1.0 - along**2)
    return np.array([along, across * math.cos(math.radians(angle)), across * math.sin(math.radians(angle))])


@dataclass(frozen=True)
class Defect:
    """A patch of the wall with less tracer.

    Half-widths are measured on the wall along the long axis and around it; `severity` is the share of uptake lost
    in the middle at stress, `reversible` the part of that loss which is back at rest, `depth` the part of the wall's
    thickness from the endocardium that is affected (1: transmural).
    """

    center: tuple[float, float, float]
    half_length_deg: float
    half_width_deg: float
    severity: float
    reversible: float
    depth: float = 1.0

    def loss(self, places: Float, depth: Float | float, at_rest: bool) -> Float:
        """Return the share of uptake lost at places `[..., 3]` on the wall and `depth` (0 inside, 1 outside) in it."""
        center = np.asarray(self.center)
        cosine = np.clip(places @ center, -1.0, 1.0)
        distance = np.degrees(np.arccos(cosine))
        tangent = places - cosine[..., None] * center
        scale = distance / np.maximum(np.linalg.norm(tangent, axis=-1), 1e-9)
        axis, around = _tangents(center)
        along = scale * (tangent @ axis) / self.half_length_deg
        across = scale * (tangent @ around) / self.half_width_deg
        patch = np.exp(-math.log(2.0) * (along**2 + across**2) ** 2)
        reach = np.clip((self.depth - depth) / 0.2 + 0.5, 0.0, 1.0) if self.depth < 1.0 else 1.0
        left = 1.0 - self.reversible if at_rest else 1.0
        return np.asarray(self.severity * left * patch * reach)


def _tangents(center: Float) -> tuple[Float, Float]:
    """Return the directions on the unit sphere toward the base and around the long axis."""
    around = np.cross([1.0, 0.0, 0.0], center)
    length = float(np.linalg.norm(around))
    around = np.array([0.0, 1.0, 0.0]) if length < 1e-6 else around / length
    return np.cross(center, around), around


@dataclass(frozen=True)
class WallUptake:
    """Relative uptake over the wall, 1 = normal lateral wall.

    `septal` and `apical` are the normal uptake there; `waves` a smooth random variation of direction, phase, height.
    """

    septal: float
    apical: float
    waves: tuple[tuple[tuple[float, float, float], float, float], ...] = ()
    defects: tuple[Defect, ...] = ()

    def normal(self, places: Float) -> Float:
        """Return the uptake that the wall would have without defects."""
        lateral = places[..., 1]
        value = 1.0 - (1.0 - self.septal) * (0.5 - 0.5 * lateral)
        value = value * (1.0 - (1.0 - self.apical) * np.exp(-((np.arccos(np.clip(places[..., 0], -1, 1)) / 0.45) ** 2)))
        for direction, phase, height in self.waves:
            value = value * (1.0 + height * np.cos(places @ np.asarray(direction) + phase))
        return np.asarray(value)

    def remaining(self, places: Float, depth: Float | float, at_rest: bool) -> Float:
        """Return the share of the normal uptake that the defects leave."""
        left = np.ones(places.shape[:-1])
        for defect in self.defects:
            left = left * (1.0 - defect.loss(places, depth, at_rest))
        return left

    def at(self, places: Float, depth: Float | float, at_rest: bool) -> Float:
        """Return the uptake at places `[..., 3]` and `depth` (0 endocardium, 1 epicardium)."""
        return self.normal(places) * self.remaining(places, depth, at_rest)


def draw_uptake(rng: np.random.Generator, defects: tuple[Defect, ...] | None = None) -> WallUptake:
    """Return a random normal variation of the wall, with these defects or, for None, random ones (none in half)."""
    septal, apical = float(rng.uniform(0.91, 1.0)), float(rng.uniform(0.88, 0.95))
    waves = []
    for _ in range(3):
        x, y, z = (float(value) for value in rng.normal(size=3) * 2.0)
        waves.append(((x, y, z), float(rng.uniform(0, 2 * math.pi)), 0.025))
    if defects is None:
        number = int(rng.choice([0, 1, 2], p=[0.5, 0.3, 0.2]))
        defects = tuple(draw_defect(rng) for _ in range(number))
    return WallUptake(septal, apical, tuple(waves), defects)


def draw_defect(rng: np.random.Generator) -> Defect:
    """Return a random defect: anywhere, small to large, mild to severe, scar or ischaemia."""
    territory = TERRITORIES[str(rng.choice(["LAD", "RCA", "LCX"], p=[0.45, 0.33, 0.22]))]
    center = middle_of(int(rng.choice(territory)), 0.62) + rng.normal(size=3) * 0.12
    center /= np.linalg.norm(center)
    ischemic = bool(rng.random() < 0.6)
    return Defect(
        center=(float(center[0]), float(center[1]), float(center[2])),
        half_length_deg=float(rng.uniform(16, 45)),
        half_width_deg=float(rng.uniform(20, 55)),
        severity=float(rng.uniform(0.15, 0.90)),
        reversible=float(rng.uniform(0.5, 1.0)) if ischemic else 0.0,
        depth=float(rng.uniform(0.4, 0.8)) if rng.random() < 0.25 else 1.0,
    )


@dataclass(frozen=True)
class PerfusionTruth:
    """What a perfect reader would find.

    `segments_percent` is the mean uptake of segments 1 to 17 in % of their normal value. `extent_percent` is the share
    of the wall that lost more than 15 %. Each place is scored from 0 at a loss of 15 % to 4 at 70 %: the mean in % of
    4 is `tpd_percent`, the rounded mean of a segment its score (Slomka et al. 2005, the truth being its own normal).
    """

    segments_percent: tuple[float, ...]
    scores: tuple[int, ...]
    extent_percent: float
    tpd_percent: float

    @property
    def summed_score(self) -> int:
        """SSS at stress, SRS at rest."""
        return sum(self.scores)


def perfusion_truth(uptake: WallUptake, shape: Shape, at_rest: bool) -> PerfusionTruth:
    """Return the truth of a wall of this shape, averaged over its area and its depth."""
    along, angle, area = _wall_places(shape)
    across = np.sqrt(1.0 - along**2)
    radians = np.radians(angle)
    places = np.stack([along, across * np.cos(radians), across * np.sin(radians)], axis=-1)
    depths = (np.arange(5) + 0.5) / 5
    left = np.mean([uptake.remaining(places, float(depth), at_rest) for depth in depths], axis=0)
    segment = segment_of(along, angle, shape.cut)
    score = np.clip((1.0 - left - ABNORMAL) / (SEVERE - ABNORMAL), 0.0, 1.0)

    def mean(values: Float, where: NDArray[np.bool_]) -> float:
        return float((values * area)[where].sum() / area[where].sum())

    everywhere = np.ones_like(segment, dtype=bool)
    members = [segment == number for number in range(1, 18)]
    return PerfusionTruth(
        segments_percent=tuple(round(100.0 * mean(left, where), 3) for where in members),
        scores=tuple(round(4.0 * mean(score, where)) for where in members),
        extent_percent=round(100.0 * mean((1.0 - left > ABNORMAL).astype(np.float64), everywhere), 3),
        tpd_percent=round(100.0 * mean(score, everywhere), 3),
    )


def _wall_places(shape: Shape) -> tuple[Float, Float, Float]:
    """Return `along`, angle (degrees) and relative area of places that cover the middle of the wall."""
    edges = np.linspace(-shape.cut, 1.0, 101)
    along, angle = np.meshgrid((edges[1:] + edges[:-1]) / 2, np.arange(1.5, 360.0, 3.0), indexing="ij")
    stretch = shape.half_length / shape.half_width
    area = np.sqrt(along**2 + stretch**2 * (1.0 - along**2))  # of a spheroid, per step along
    return along, angle, area
