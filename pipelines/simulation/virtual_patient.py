"""A virtual patient: activity and attenuation on a fine grid, the beating heart, and the truth behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import CardiacState
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.simulation.anatomy import Anatomy, Position, Sex, axis_of, draw_anatomy
from pipelines.simulation.body import TISSUES, Activities, Thorax, paint_abdomen
from pipelines.simulation.energy import hounsfield_from_mu
from pipelines.simulation.heart import HeartFrame, left_ventricle, paint_surroundings
from pipelines.simulation.left_ventricle import Shape
from pipelines.simulation.shapes import Box, Canvas, Deformation, Layer, Placement, Texture
from pipelines.simulation.truth import PatientTruth, VentricleTruth
from pipelines.simulation.uptake import Defect, WallUptake, draw_uptake, perfusion_truth

Float = NDArray[np.float64]

REVISION = 2  # grows whenever a seed comes to mean another patient or other counts
GRID_SHAPE = (136, 104, 160)  # (z, y, x)
VOXEL_MM = 3.2
GATES = 8
BREATHS = 5  # positions that stand for the breathing cycle
HEART_TRAVEL = 0.6  # of the diaphragm's
UPTAKE = {CardiacState.STRESS: 0.0138, CardiacState.REST: 0.0120}  # of the injected activity, in the left ventricle
FAT_HOUNSFIELD = -100.0
DECAY_BEFORE_SCAN = 0.89  # an hour from injection to acquisition


@dataclass(frozen=True)
class Body:
    """A patient as shapes, which can be painted on any grid."""

    anatomy: Anatomy
    deformation: Deformation
    organ_deformation: Deformation  # of the abdomen, besides the body's
    placement: Placement  # in the camera's coordinates
    tissue_texture: Texture
    uptake_texture: Texture

    def mu_per_cm(self, grid: VoxelGrid, placement: Placement | None = None, breath_mm: float = 0.0) -> Float:
        """Return mu `[z, y, x]` with the breath held: the diaphragm `breath_mm` above its mean place."""
        return self._held(grid, placement, breath_mm)[1]

    def hounsfield(self, grid: VoxelGrid, placement: Placement | None = None, breath_mm: float = 0.0) -> Float:
        """Return Hounsfield units `[z, y, x]` with the breath held, of a CT of some 130 kV.

        Fat is darker there than its mu at 140 keV tells: soft X-rays tell it from water better than hard photons.
        """
        fat, mu = self._held(grid, placement, breath_mm)
        darker = FAT_HOUNSFIELD - float(hounsfield_from_mu(np.array(TISSUES.fat)))
        return hounsfield_from_mu(mu) + darker * np.clip(fat, 0.0, 1.0)

    def _held(self, grid: VoxelGrid, placement: Placement | None, breath_mm: float) -> tuple[Float, Float]:
        """Return the share of each voxel that is fat, and mu."""
        canvas = Canvas(grid, self.deformation, placement or self.placement)
        layers = _paint(canvas, self, replace(Activities.none(), fat=1.0))
        end = self.anatomy.cycle.end_diastole
        wall, cavity, _ = left_ventricle(layers.frame, end, self.anatomy.cycle.at(0.3))
        layers.put_ventricle(np.zeros_like(wall), wall + cavity)
        return layers.at_breath(breath_mm)


@dataclass(frozen=True)
class VirtualPatient:
    """A patient on a grid about the camera's isocentre (LPS mm).

    `activity` is the mean over heart beat and breath, with 100 in the normal wall. Inside `gates_box` of the grid,
    `gates` holds what each gate adds to it (they sum to zero) and `ventricle` what the left ventricle's wall has of it.
    `mbq_per_unit` turns one unit of activity in one voxel into MBq at the start of the acquisition.
    """

    body: Body
    activity: Volume
    gates: tuple[Float, ...]
    gates_box: Box
    ventricle: Float
    mu_map: Volume
    mbq_per_unit: float
    truth: PatientTruth

    @property
    def anatomy(self) -> Anatomy:
        """The numbers of this patient's body."""
        return self.body.anatomy

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
    body_mass_index: float | None = None,
    defects: tuple[Defect, ...] | None = None,
    injected_mbq: float | None = None,
) -> VirtualPatient:
    """Return the virtual patient of this seed; the same seed at stress and rest is the same body.

    Without `defects`, half of the patients have one or two, drawn from the seed; an empty tuple is a normal heart.
    Without `injected_mbq`, the activity is drawn around 814 MBq (740 to 925).
    """
    wall_rng, organ_rng = (np.random.default_rng([seed, stream]) for stream in (2, 3))
    body = draw_body(seed, sex, position, body_mass_index)
    uptake = draw_uptake(wall_rng, defects)
    at_rest = state is CardiacState.REST
    activities = Activities.draw(organ_rng, at_rest)
    injected = float(np.clip(organ_rng.normal(814, 60), 740, 925)) if injected_mbq is None else injected_mbq
    share = UPTAKE[CardiacState.REST if at_rest else CardiacState.STRESS] * float(organ_rng.lognormal(0.0, 0.14))

    grid = VoxelGrid.axial(GRID_SHAPE, (VOXEL_MM,) * 3, (0.0, 0.0, 0.0))
    layers = _paint(Canvas(grid, body.deformation, body.placement), body, activities)
    beats = _paint_beats(layers.frame, body.anatomy, uptake, at_rest, activities)
    mean_activity, mean_cover, mean_wall = (np.mean([beat[index] for beat in beats], axis=0) for index in range(3))
    layers.put_ventricle(mean_activity, mean_cover)
    positions = breathing_positions(body.anatomy.breathing_mm)
    held = [layers.at_breath(shift) for shift in positions]
    voxels = body.anatomy.cycle.end_diastole.wall_ml * 1000.0 / VOXEL_MM**3
    return VirtualPatient(
        body=body,
        activity=Volume(np.mean([a for a, _ in held], axis=0).astype(np.float32), grid, Unit.PROPORTIONAL_COUNTS),
        gates=tuple(_smear(beat[0] - mean_activity, positions) for beat in beats),
        gates_box=layers.frame.box,
        ventricle=_smear(mean_wall, positions),
        mu_map=Volume(np.mean([mu for _, mu in held], axis=0).astype(np.float32), grid, Unit.PER_CM),
        mbq_per_unit=injected * DECAY_BEFORE_SCAN * share / (100.0 * voxels),
        truth=_truth(seed, state, body, uptake, injected, share),
    )


def breathing_positions(travel_mm: float) -> Float:
    """Return places of the diaphragm about its mean, equally often; longest near the end of breathing out.

    Quantiles of cos^4 (Lujan et al. 1999).
    """
    down = np.cos(np.pi * (np.arange(BREATHS) + 0.5) / (2 * BREATHS)) ** 4
    return np.asarray(travel_mm * (down.mean() - down))


def draw_body(seed: int, sex: Sex | None, position: Position, body_mass_index: float | None = None) -> Body:
    """Return the body of this seed; 55 % are women unless the sex is given."""
    rng = np.random.default_rng([seed, 1])
    drawn = Sex.FEMALE if rng.random() < 0.55 else Sex.MALE
    anatomy = draw_anatomy(rng, sex or drawn, position, body_mass_index)
    origin = (float(rng.normal(-8, 6)), float(rng.normal(0, 6)), float(rng.normal(0, 8)))
    deformation = Deformation.draw(rng, 8.0, anatomy.pose.center)
    organs = Deformation.draw(rng, 6.0, anatomy.pose.center, waves=6, wavelengths_mm=(55.0, 130.0))
    tissue, uptake = (int(value) for value in rng.integers(0, 2**31, size=2))
    return Body(anatomy, deformation, organs, Placement(origin), Texture(tissue), Texture(uptake))


@dataclass(frozen=True)
class _Layers:
    """What lies over what: the abdomen and the heart slide along the body's axis as the patient breathes."""

    still: Layer
    abdomen: Layer
    heart: Layer
    frame: HeartFrame

    def put_ventricle(self, activity: Float, cover: Float) -> None:
        """Paint the left ventricle, given in the heart's frame, into the heart."""
        box, heart = self.frame.box, self.heart
        heart.activity[box] = heart.activity[box] * (1.0 - cover) + activity
        heart.mu[box] += cover * (TISSUES.muscle - heart.mu[box])
        heart.cover[box] += cover * (1.0 - heart.cover[box])

    def at_breath(self, shift_mm: float) -> tuple[Float, Float]:
        """Return activity and mu with the diaphragm `shift_mm` above its mean place."""
        activity, mu = self.still.activity.copy(), self.still.mu.copy()
        edge = self.frame.canvas.grid.voxel_mm[0]
        filled = np.nonzero(self.abdomen.cover.any(axis=(1, 2)))[0]
        top = min(int(filled[-1]) + 2 + int(abs(shift_mm) / edge) if len(filled) else 0, len(mu))
        low: Box = (slice(0, top), slice(None), slice(None))
        for layer, box, travel in (
            (self.abdomen, low, shift_mm),
            (self.heart, self.frame.box, HEART_TRAVEL * shift_mm),
        ):
            cover = slide(layer.cover[box], travel / edge)
            for image, own in ((activity, layer.activity), (mu, layer.mu)):
                image[box] = image[box] * (1.0 - cover) + slide(own[box], travel / edge)
        return activity, mu


def _paint(canvas: Canvas, body: Body, held: Activities) -> _Layers:
    anatomy = body.anatomy
    frame = HeartFrame.of(canvas, anatomy.pose)
    thorax = Thorax(canvas, anatomy, held)
    still = thorax.paint()
    organs = Canvas(canvas.grid, body.deformation.and_also(body.organ_deformation), canvas.placement)
    abdomen = paint_abdomen(organs, anatomy, held, thorax.inside)
    tissue, uptake = body.tissue_texture.on(canvas), body.uptake_texture.on(canvas)
    for layer in (still, abdomen):
        layer.mu *= 1.0 + 0.012 * tissue
        layer.activity *= np.maximum(1.0 + 0.05 * uptake, 0.2)
    heart = paint_surroundings(frame, anatomy.cycle.end_diastole, held)
    for image in (heart.activity, heart.mu, heart.cover):
        image *= thorax.inside
    return _Layers(still, abdomen, heart, frame)


def _paint_beats(
    frame: HeartFrame, anatomy: Anatomy, uptake: WallUptake, at_rest: bool, held: Activities
) -> list[tuple[Float, Float, Float]]:
    """Return per gate the left ventricle's activity, the share of each voxel that it fills, and the wall's activity."""
    beats: list[tuple[Float, Float, Float]] = []
    for shape in anatomy.cycle.gates(GATES):
        wall, cavity, value = left_ventricle(frame, anatomy.cycle.end_diastole, shape, uptake, at_rest)
        held_by_wall = 100.0 * value * wall
        beats.append((held_by_wall + held.blood * cavity, wall + cavity, held_by_wall))
    return beats


def slide(values: Float, steps: float) -> Float:
    """Return values `[z, y, x]` moved toward the head by a number of slices; the end slices repeat."""
    whole = int(np.floor(steps))
    part = steps - whole
    slices = np.arange(len(values))
    below = values[np.clip(slices - whole, 0, len(values) - 1)]
    if part < 1e-9:
        return np.asarray(below)
    return np.asarray((1.0 - part) * below + part * values[np.clip(slices - whole - 1, 0, len(values) - 1)])


def _smear(values: Float, positions: Float) -> Float:
    """Return the mean of a heart's values over the breath."""
    return np.asarray(np.mean([slide(values, HEART_TRAVEL * shift / VOXEL_MM) for shift in positions], axis=0))


def _truth(
    seed: int, state: CardiacState, body: Body, uptake: WallUptake, injected_mbq: float, share: float
) -> PatientTruth:
    anatomy, place = body.anatomy, body.placement
    end = anatomy.cycle.end_diastole
    along, _, _ = axis_of(anatomy.pose)
    center = np.asarray(anatomy.pose.center)
    half = (1.0 + end.cut) / 2 * end.half_length
    apex, base = center + half * along, center - half * along

    def located(point: Float) -> tuple[float, float, float]:
        x, y, z = (round(float(value), 3) for value in place.to_grid((point[0], point[1], point[2])))
        return x, y, z

    def ventricle(shape: Shape) -> VentricleTruth:
        return VentricleTruth.of(shape)

    return PatientTruth(
        seed=seed,
        sex=anatomy.sex.value,
        age_years=anatomy.age_years,
        height_m=anatomy.height_m,
        body_mass_index=round(anatomy.bmi, 2),
        position=anatomy.position.value,
        state=state.value,
        injected_mbq=round(injected_mbq, 2),
        ventricle_uptake_percent=round(100.0 * share, 4),
        ejection_fraction_percent=round(100.0 * anatomy.cycle.ejection_fraction, 3),
        end_diastole=ventricle(end),
        end_systole=ventricle(anatomy.cycle.end_systole),
        gate_volumes_ml=tuple(round(shape.cavity_ml, 3) for shape in anatomy.cycle.gates(GATES)),
        ventricle_center_mm=located(center),
        endocardial_apex_mm=located(apex),
        base_mm=located(base),
        breathing_mm=round(anatomy.breathing_mm, 3),
        defects=uptake.defects,
        perfusion=perfusion_truth(uptake, end, state is CardiacState.REST),
    )
