"""The virtual patients on whom the left ventricle's numbers are judged, and the truth behind each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.polar_map import BASAL_MARGIN_MM
from pipelines.cardiac.segments import ANGLES, RINGS, angles_deg, ring_places
from pipelines.contract import CardiacState
from pipelines.images import Volume
from pipelines.perfusion.imaging import prepare
from pipelines.perfusion.options import Options
from pipelines.simulation.acquisition import expect
from pipelines.simulation.anatomy import Position, Sex
from pipelines.simulation.camera import CAMERAS, Camera
from pipelines.simulation.cohort import Risk, draw_defects
from pipelines.simulation.left_ventricle import APICAL_WALL, Shape
from pipelines.simulation.registration import attenuation_map
from pipelines.simulation.uptake import Defect, draw_uptake
from pipelines.simulation.virtual_patient import GATES, VirtualPatient, draw_body, make_patient

Float = NDArray[np.float64]

# Strata of the denoising paper's test patients (Aghakhan Olia et al. 2022), healthy to severe.
STRATA = (Risk.HEALTHY,) * 8 + (Risk.LOW,) * 16 + (Risk.INTERMEDIATE,) * 6 + (Risk.SEVERE,) * 5
CAMERA_NAMES = ("prospect", "symbia", "discovery")
LARGE_MATRIX = "iq-spect"  # 128 x 128
FAILING = 0.45  # ejection fraction below which a heart is drawn wide
SEEDS_APART = 300  # wide hearts are sought from so far on
HOT_ACTIVITY = 250.0  # of a loop of bowel under the heart; the normal wall holds 100
HOT_RADIUS_MM, HOT_GAP_MM = 14.0, 10.0
HEART_REACH_MM, BACKGROUND = 75.0, 8.0  # what is painted over to take a heart away, and with what
LOW_DOSE = 1.0 / 8.0


@dataclass(frozen=True)
class Case:
    """One patient of the evaluation."""

    seed: int
    sex: Sex
    state: CardiacState
    position: Position
    risk: Risk
    camera: str
    scar: bool  # half of the wall has lost nine tenths
    low_dose: bool  # is also imaged at an eighth of the dose,
    large_matrix: bool  # on a camera of 128 x 128,
    hot: bool  # with a hot loop of bowel under the heart,
    heartless: bool  # and without a heart

    @property
    def defects(self) -> tuple[Defect, ...]:
        """The heart's defects."""
        if self.scar:
            angle = np.random.default_rng([self.seed, 8]).uniform(0.0, 2.0 * math.pi)
            return (Defect((0.3, 0.95 * math.cos(angle), 0.95 * math.sin(angle)), 75.0, 80.0, 0.9, 0.0),)
        return draw_defects(np.random.default_rng([self.seed, 7]), self.risk)

    def make(self) -> VirtualPatient:
        """Return the patient."""
        return make_patient(self.seed, state=self.state, sex=self.sex, position=self.position, defects=self.defects)


def plan_cases(first_seed: int, number: int = 60) -> tuple[Case, ...]:
    """Return the cases from this seed on: sexes, states, positions, cameras and strata cross each other."""
    order = np.random.default_rng([first_seed, 1]).permutation(number)
    cases, wide = [], first_seed + SEEDS_APART
    for index in range(number):
        risk = STRATA[int(order[index]) * len(STRATA) // number]
        sex = Sex.FEMALE if index % 2 else Sex.MALE
        position = Position.PRONE if index % 5 == 3 else Position.SUPINE
        seed = first_seed + index
        if index % 12 == 6:
            seed = _wide_heart(wide, sex, position)
            wide = seed + 1
        cases.append(
            Case(
                seed=seed,
                sex=sex,
                state=CardiacState.REST if index % 6 == 2 else CardiacState.STRESS,
                position=position,
                risk=risk,
                camera=CAMERA_NAMES[(index // 2) % len(CAMERA_NAMES)],
                scar=risk is Risk.SEVERE and bool(order[index] % 2),
                low_dose=index % 3 == 0,
                large_matrix=index % 10 == 1,
                hot=index % 6 == 4,
                heartless=index % 6 == 5,
            )
        )
    return tuple(cases)


def _wide_heart(seed: int, sex: Sex, position: Position) -> int:
    """Return the first seed from here on whose patient has a failing heart."""
    while draw_body(seed, sex, position).anatomy.cycle.ejection_fraction >= FAILING:
        seed += 1
    return seed


@dataclass(frozen=True)
class Place:
    """Where a ventricle truly is (LPS mm), the mean over the beat, which an ungated image shows."""

    axis: Float
    center: Float
    base: Float
    cavity_ml: float
    wall_ml: float


@dataclass(frozen=True)
class Truth:
    """What is known of a patient; maps `[ring, angle]` lie on the samples of a polar map."""

    place: Place
    left: Float  # share of the normal uptake that the defects leave
    uptake: Float  # relative uptake: normal variation and defects
    tpd_percent: float
    summed_score: int


@dataclass(frozen=True)
class Image:
    """One reconstruction of a case."""

    name: str
    volume: Volume


def truth_of(patient: VirtualPatient) -> Truth:
    """Return the truth of a patient."""
    truth, cycle = patient.truth, patient.anatomy.cycle
    apex, end_base, center = (
        np.array(p) for p in (truth.endocardial_apex_mm, truth.base_mm, truth.ventricle_center_mm)
    )
    axis = (apex - end_base) / np.linalg.norm(apex - end_base)
    rest, shapes = cycle.end_diastole, cycle.gates(GATES)
    zero = (1 - rest.cut) / 2 * rest.half_length  # of a shape's own coordinate, seen from the center at end diastole
    moved = [zero + shape.outer_half_length - rest.outer_half_length for shape in shapes]
    base = float(np.mean([shape.base_mm - move for shape, move in zip(shapes, moved, strict=True)]))
    tip = float(np.mean([shape.half_length - move for shape, move in zip(shapes, moved, strict=True)]))
    mean = Shape(
        *(float(np.mean([getattr(s, name) for s in shapes])) for name in ("half_width", "half_length", "cut", "wall"))
    )
    uptake = draw_uptake(np.random.default_rng([truth.seed, 2]), truth.defects)
    places = sample_places(mean)
    at_rest = truth.state == CardiacState.REST.value
    depths = (np.arange(5) + 0.5) / 5
    left = np.mean([uptake.remaining(places, float(depth), at_rest) for depth in depths], axis=0)
    place = Place(
        axis, center + (base + tip) / 2 * axis, center + base * axis,
        float(np.mean([shape.cavity_ml for shape in shapes])), rest.wall_ml,
    )  # fmt: skip
    perfusion = truth.perfusion
    return Truth(place, left, left * uptake.normal(places), perfusion.tpd_percent, perfusion.summed_score)


def sample_places(shape: Shape) -> Float:
    """Return the place on the wall (unit vector along, lateral, anterior) of each sample `[ring, angle]`."""
    width, length = shape.half_width + shape.wall / 2, shape.half_length + APICAL_WALL * shape.wall / 2
    last = math.acos((shape.base_mm + BASAL_MARGIN_MM) / length)
    fine = np.linspace(0.0, last, 2001)
    steps = np.hypot(length * np.sin(fine), width * np.cos(fine))
    arc = np.concatenate([[0.0], np.cumsum((steps[1:] + steps[:-1]) / 2)])
    polar = np.interp(ring_places() * arc[-1], arc, fine)[:, None]
    angle = np.radians(angles_deg())[None, :]
    parts = (np.cos(polar) * np.ones((1, ANGLES)), np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle))
    places = np.stack(parts, axis=-1)
    assert places.shape == (RINGS, ANGLES, 3)
    return places


def images(case: Case, patient: VirtualPatient) -> Iterator[Image]:
    """Yield the reconstructions of a case: full dose three ways first, then what else it is imaged as."""
    mu_map = attenuation_map(patient)
    camera = CAMERAS[case.camera]
    expected = expect(patient, camera, np.random.default_rng([case.seed, 31]), gated=False)
    full = expected.count(np.random.default_rng([case.seed, 32]))
    prepared = prepare(full, Options())
    yield Image("nAC", prepared.reconstruct("cpu"))
    yield Image("AC", prepared.reconstruct("cpu", mu_map))
    yield Image("AC+CDR", prepare(full, with_collimator(camera)).reconstruct("cpu", mu_map))
    if case.low_dose:
        low = prepare(expected.count(np.random.default_rng([case.seed, 33]), LOW_DOSE), Options())
        yield Image("nAC, 1/8 dose", low.reconstruct("cpu"))
        yield Image("AC, 1/8 dose", low.reconstruct("cpu", mu_map))
    if case.large_matrix:
        yield from _seen(patient, LARGE_MATRIX, case.seed + 34, "128 x 128", mu_map)
    if case.hot:
        yield from _seen(with_hot_bowel(patient), case.camera, case.seed + 35, "hot bowel", mu_map)
    if case.heartless:
        yield from _seen(without_heart(patient), case.camera, case.seed + 36, "heartless", mu_map)


def _seen(patient: VirtualPatient, camera: str, key: int, name: str, mu_map: Volume) -> Iterator[Image]:
    rng = np.random.default_rng([key])
    prepared = prepare(expect(patient, CAMERAS[camera], rng, gated=False).count(rng), Options())
    yield Image(f"nAC, {name}", prepared.reconstruct("cpu"))
    yield Image(f"AC, {name}", prepared.reconstruct("cpu", mu_map))


def with_collimator(camera: Camera) -> Options:
    """Return the options that also correct for the camera's blur."""
    return Options(
        cdr=True,
        hole_mm=camera.collimator.hole_mm,
        hole_length_mm=camera.collimator.length_mm,
        intrinsic_fwhm_mm=camera.intrinsic_fwhm_mm,
    )


def with_hot_bowel(patient: VirtualPatient) -> VirtualPatient:
    """Return a patient with a hot ball of bowel a finger's breadth under the inferior wall."""
    center = np.array(patient.truth.ventricle_center_mm)
    shape = patient.anatomy.cycle.end_diastole
    below = center - np.array([0.0, 0.0, shape.outer_half_width + 15.0 + HOT_GAP_MM + HOT_RADIUS_MM])
    distance = _distance(patient, below)
    share = np.clip(0.5 - (distance - HOT_RADIUS_MM) / patient.activity.grid.voxel_mm[0], 0.0, 1.0)
    return _painted(patient, patient.activity.values * (1.0 - share) + HOT_ACTIVITY * share)


def without_heart(patient: VirtualPatient) -> VirtualPatient:
    """Return a patient whose heart and its surroundings hold no more than blood."""
    near = _distance(patient, np.array(patient.truth.ventricle_center_mm)) < HEART_REACH_MM
    values = patient.activity.values
    return _painted(patient, np.where(near, np.minimum(values, BACKGROUND), values))


def _distance(patient: VirtualPatient, place: Float) -> Float:
    grid = patient.activity.grid
    axes = [np.arange(size) * step for size, step in zip(grid.shape, grid.voxel_mm, strict=True)]
    origin = grid.position_mm(0, 0, 0)
    z, y, x = (axis + origin[2 - number] - place[2 - number] for number, axis in enumerate(axes))
    return np.asarray(np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2))


def _painted(patient: VirtualPatient, values: Float) -> VirtualPatient:
    return replace(patient, activity=replace(patient.activity, values=values.astype(np.float32)))
