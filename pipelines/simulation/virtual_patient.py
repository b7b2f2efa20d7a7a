"""A virtual patient: activity and attenuation on a fine grid, the beating heart, and the truth behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import CardiacState
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.simulation.anatomy import Anatomy, Position, Sex, draw_anatomy
from pipelines.simulation.body import Activities, Thorax, paint_abdomen
from pipelines.simulation.heart import HeartFrame, left_ventricle, paint_surroundings
from pipelines.simulation.shapes import Box, Canvas, Deformation, Layer
from pipelines.simulation.uptake import Defect, PerfusionTruth, WallUptake, middle_of, perfusion_truth

Float = NDArray[np.float64]

GRID_SHAPE = (136, 104, 160)  # (z, y, x)
VOXEL_MM = 3.2
GATES = 8
BREATHS = 5  # positions that stand for the breathing cycle
HEART_TRAVEL = 0.6  # of the diaphragm's


@dataclass(frozen=True)
class Truth:
    """What is known of a virtual patient."""

    seed: int
    sex: str
    position: str
    state: str
    body_mass_index: float
    ejection_fraction_percent: float
    end_diastolic_ml: float
    end_systolic_ml: float
    wall_ml: float
    perfusion: PerfusionTruth


@dataclass(frozen=True)
class VirtualPatient:
    """A patient on a grid about the camera's isocentre (LPS mm).

    `activity` is the mean over heart beat and breath, with 100 in the normal wall; `gates` holds what each gate adds to
    it inside `gates_box` of the grid (sums to zero over the gates). `mbq_per_unit` turns one unit of activity in one
    voxel into MBq at the start of the acquisition.
    """

    anatomy: Anatomy
    activity: Volume
    gates: tuple[Float, ...]
    gates_box: Box
    mu_map: Volume
    mbq_per_unit: float
    truth: Truth

    def gate(self, number: int) -> Volume:
        """Return the activity during one gate."""
        values = self.activity.values.copy()
        values[self.gates_box] += self.gates[number].astype(np.float32)
        return Volume(values, self.activity.grid, self.activity.unit)


def make_patient(
    seed: int,
    *,
    state: CardiacState = CardiacState.STRESS,
    sex: Sex | None = None,
    position: Position = Position.SUPINE,
    defects: tuple[Defect, ...] | None = None,
    injected_mbq: float = 814.0,
) -> VirtualPatient:
    """Return the virtual patient of this seed; the same seed at stress and rest is the same body.

    Without `defects`, half of the patients have one or two, drawn from the seed; an empty tuple is a normal heart.
    """
    body_rng, wall_rng, organ_rng = (np.random.default_rng([seed, stream]) for stream in (1, 2, 3))
    drawn_sex = Sex.FEMALE if body_rng.random() < 0.55 else Sex.MALE
    anatomy = draw_anatomy(body_rng, sex or drawn_sex, position)
    uptake = draw_uptake(wall_rng, defects)
    at_rest = state is CardiacState.REST
    activities = draw_activities(organ_rng, at_rest)
    grid = VoxelGrid.axial(GRID_SHAPE, (VOXEL_MM,) * 3, (0.0, 0.0, 0.0))
    origin = (float(body_rng.normal(-8, 6)), float(body_rng.normal(0, 6)), float(body_rng.normal(0, 8)))
    deformation = Deformation.draw(body_rng, 8.0, anatomy.pose.center)
    canvas = Canvas(grid, deformation, origin)
    frame = HeartFrame.of(canvas, anatomy.pose)
    layers = _paint(canvas, frame, anatomy, activities)
    beats = _paint_beats(frame, anatomy, uptake, at_rest, activities)
    mean_beat = tuple(np.mean([beat[index] for beat in beats], axis=0) for index in range(2))
    activity, mu = _breathe(layers, frame, (mean_beat[0], mean_beat[1]), anatomy.breathing_mm)
    cycle = anatomy.cycle
    truth = Truth(
        seed=seed,
        sex=anatomy.sex.value,
        position=position.value,
        state=state.value,
        body_mass_index=round(anatomy.bmi, 2),
        ejection_fraction_percent=round(100 * cycle.ejection_fraction, 2),
        end_diastolic_ml=round(cycle.end_diastole.cavity_ml, 2),
        end_systolic_ml=round(cycle.end_systole.cavity_ml, 2),
        wall_ml=round(cycle.end_diastole.wall_ml, 2),
        perfusion=perfusion_truth(uptake, cycle.end_diastole.cut, at_rest),
    )
    voxels = cycle.end_diastole.wall_ml * 1000.0 / VOXEL_MM**3
    taken_up = (0.012 if at_rest else 0.015) * float(organ_rng.lognormal(0.0, 0.15)) * injected_mbq * 0.89
    return VirtualPatient(
        anatomy=anatomy,
        activity=Volume(activity.astype(np.float32), grid, Unit.PROPORTIONAL_COUNTS),
        gates=tuple(_smear(beat[0] - mean_beat[0], anatomy.breathing_mm * HEART_TRAVEL) for beat in beats),
        gates_box=frame.box,
        mu_map=Volume(mu.astype(np.float32), grid, Unit.PER_CM),
        mbq_per_unit=taken_up / (100.0 * voxels),
        truth=truth,
    )


def draw_activities(rng: np.random.Generator, at_rest: bool) -> Activities:
    """Return a random uptake of the organs, an hour after sestamibi."""

    def between(stress: tuple[float, float], rest: tuple[float, float] | None = None) -> float:
        return float(rng.uniform(*(rest if at_rest and rest else stress)))

    bowel = bool(rng.random() < 0.5)
    bladder = bool(rng.random() < 0.4)
    return Activities(
        muscle=between((5, 10), (4, 8)),
        fat=between((2, 4)),
        lung=between((5, 10), (4, 8)),
        blood=between((5, 10)),
        right_ventricle=between((30, 45), (25, 40)),
        liver=between((25, 70), (50, 110)),
        spleen=between((30, 60)),
        kidney=between((60, 130)),
        gall_bladder=between((100, 350), (150, 450)) if bladder else 40.0,
        stomach=between((8, 40)),
        bowel=between((30, 160), (40, 200)) if bowel else between((10, 25)),
        thyroid=between((30, 70)),
    )


def draw_uptake(rng: np.random.Generator, defects: tuple[Defect, ...] | None = None) -> WallUptake:
    """Return a random normal variation of the wall, with these defects or, for None, random ones."""
    septal, apical = float(rng.uniform(0.91, 1.0)), float(rng.uniform(0.88, 0.95))
    waves = []
    for _ in range(3):
        direction = rng.normal(size=3) * 2.0
        waves.append(
            ((float(direction[0]), float(direction[1]), float(direction[2])), float(rng.uniform(0, 6.28)), 0.025)
        )
    if defects is None:
        number = int(rng.choice([0, 1, 2], p=[0.5, 0.3, 0.2]))
        defects = tuple(draw_defect(rng) for _ in range(number))
    return WallUptake(septal, apical, tuple(waves), defects)


def draw_defect(rng: np.random.Generator) -> Defect:
    """Return a random defect: anywhere, small to large, mild to severe, scar or ischaemia."""
    center = middle_of(int(rng.integers(1, 18)), 0.62) + rng.normal(size=3) * 0.12
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
class _Layers:
    still: Layer
    abdomen: Layer
    heart: Layer  # without the left ventricle


def _paint(canvas: Canvas, frame: HeartFrame, anatomy: Anatomy, held: Activities) -> _Layers:
    thorax = Thorax(canvas, anatomy, held)
    still = thorax.paint()
    abdomen = paint_abdomen(canvas, anatomy, held, thorax.inside)
    heart = paint_surroundings(frame, anatomy.cycle.end_diastole, held, held.fat)
    heart.cover *= thorax.inside
    return _Layers(still, abdomen, heart)


def _paint_beats(
    frame: HeartFrame, anatomy: Anatomy, uptake: WallUptake, at_rest: bool, held: Activities
) -> list[tuple[Float, Float]]:
    """Return per gate the activity of the left ventricle and the share of each voxel that it fills."""
    rest, beats = anatomy.cycle.end_diastole, []
    for shape in anatomy.cycle.gates(GATES):
        wall, cavity, value = left_ventricle(frame, rest, shape, uptake, at_rest)
        beats.append((100.0 * value * wall + held.blood * cavity, wall + cavity))
    return beats


def _breathe(layers: _Layers, frame: HeartFrame, beat: tuple[Float, Float], travel_mm: float) -> tuple[Float, Float]:
    """Return activity and mu, the mean over the breath: the abdomen and the heart slide along the body's axis."""
    heart = layers.heart
    box = frame.box
    heart.activity[box] = heart.activity[box] * (1.0 - beat[1]) + beat[0]
    heart.mu[box] += beat[1] * (0.160 - heart.mu[box])
    heart.cover[box] = np.maximum(heart.cover[box], beat[1])
    activity, mu = np.zeros_like(heart.mu), np.zeros_like(heart.mu)
    for shift in np.linspace(-0.5, 0.5, BREATHS) * travel_mm:
        for total, name in ((activity, "activity"), (mu, "mu")):
            value = getattr(layers.still, name).copy()
            for layer, share in ((layers.abdomen, 1.0), (heart, HEART_TRAVEL)):
                cover = slide(layer.cover, share * shift)
                value += cover * (slide(getattr(layer, name), share * shift) - value)
            total += value / BREATHS
    return activity, mu


def slide(values: Float, shift_mm: float) -> Float:
    """Return values `[z, y, x]` moved toward the head by `shift_mm`; the end slices repeat."""
    steps = shift_mm / VOXEL_MM
    whole = int(np.floor(steps))
    part = steps - whole
    slices = np.arange(len(values))
    below = values[np.clip(slices - whole, 0, len(values) - 1)]
    if part < 1e-9:
        return np.asarray(below)
    return np.asarray((1.0 - part) * below + part * values[np.clip(slices - whole - 1, 0, len(values) - 1)])


def _smear(values: Float, travel_mm: float) -> Float:
    return np.asarray(sum(slide(values, shift) for shift in np.linspace(-0.5, 0.5, BREATHS) * travel_mm) / BREATHS)
