"""What may go wrong in attenuation correction, done to sound studies, networks and measured maps on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipelines.contract import Acquisition
from pipelines.evaluation.guard import damage as of_studies
from pipelines.evaluation.guard.map_faults import (
    LUNG_PER_CM,
    MapFault,
    Point,
    ball,
    filled_lungs,
    flipped,
    replaced,
    scaled,
    shifted,
    smoothed,
)
from pipelines.evaluation.guard.studies import CAMERA_NAMES, GuardPlan, GuardStudy
from pipelines.geometry import VoxelGrid
from pipelines.images import Volume
from pipelines.simulation.cohort import plan_attenuation_cohort
from pipelines.simulation.registration import Misregistration, attenuation_map
from pipelines.simulation.virtual_patient import draw_body

SEED = 91  # of the cohort; trainings use others
MOST_STUDIES = 1000
OTHER_PATIENT = 50_000  # added to a patient's seed: one of no cohort's
MEASURED = "measured"  # the name of the study with a measured map, without any damage
_HOLE_MM = 40.0
_HEART_MM = 50.0


@dataclass(frozen=True)
class MapPresented:
    """What the pipeline is given: an acquisition, a measured map or None for the network's, and a fault of networks."""

    acquisition: Acquisition
    measured: Volume | None = None
    fault: MapFault | None = None
    only_first: bool = False  # of the networks


MapDamage = Callable[[GuardStudy], MapPresented]


@dataclass(frozen=True)
class MapKind:
    """A kind of damage; `words` name it in tables, `against` the outcome that it is compared with."""

    name: str
    words: str
    damage: MapDamage
    against: str = ""


def plans(studies: int, seed: int = SEED) -> tuple[GuardPlan, ...]:
    """Return the plans of so many studies of supine patients at full dose; the first ones are always the same."""
    cohort = plan_attenuation_cohort(seed, MOST_STUDIES, MOST_STUDIES * 7 // 10)
    return tuple(
        GuardPlan(number, plan, CAMERA_NAMES[number % len(CAMERA_NAMES)], 1.0, gated=False)
        for number, plan in enumerate(cohort[:studies])
    )


def sound(study: GuardStudy) -> MapPresented:
    """Return the study as it is, its map to be told by the networks."""
    return MapPresented(study.acquisition)


def measured(study: GuardStudy) -> MapPresented:
    """Return the study with a measured map that lies as usual."""
    error = Misregistration.draw(np.random.default_rng([study.planned.plan.patient, 44]))
    return MapPresented(study.acquisition, attenuation_map(study.patient, error))


def _network(fault: Callable[[GuardStudy], MapFault], *, only_first: bool = False) -> MapDamage:
    return lambda study: replace(sound(study), fault=fault(study), only_first=only_first)


def _always(fault: MapFault) -> MapDamage:
    return _network(lambda study: fault)


def _of_study(name: str) -> MapDamage:
    """Return a damage to the study's counts, as the denoiser's guard is tried with."""

    def damage(study: GuardStudy) -> MapPresented:
        rng = np.random.default_rng([study.planned.plan.patient, 45])
        return MapPresented(of_studies.BY_NAME[name].damage(study, rng).acquisition)

    return damage


def _measured(change: Callable[[Volume], Volume]) -> MapDamage:
    def damage(study: GuardStudy) -> MapPresented:
        shown = measured(study)
        return shown if shown.measured is None else replace(shown, measured=change(shown.measured))

    return damage


def _hole(study: GuardStudy) -> MapFault:
    """Air between the heart and the skin in front."""
    x, y, z = study.patient.truth.ventricle_center_mm
    return ball((x + 25.0, y - 60.0, z), _HOLE_MM, 0.0)


def _heart_in_lung(study: GuardStudy) -> MapFault:
    return ball(study.patient.truth.ventricle_center_mm, _HEART_MM, LUNG_PER_CM)


def _others_map(study: GuardStudy) -> Callable[[VoxelGrid], np.ndarray]:
    """Return another patient's map, of the same sex and without the table, on any grid."""
    plan = study.planned.plan
    body = draw_body(plan.patient + OTHER_PATIENT, plan.sex, plan.position)
    return lambda grid: np.asarray(body.mu_per_cm(grid, body.placement, 0.0))


def _another_patients_measured(study: GuardStudy) -> MapPresented:
    shown = measured(study)
    if shown.measured is None:
        return shown
    values = _others_map(study)(shown.measured.grid).astype(np.float32)
    return replace(shown, measured=replace(shown.measured, values=values))


def _changed(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Volume], Volume]:
    return lambda volume: replace(volume, values=np.ascontiguousarray(change(volume.values)).astype(np.float32))


def _moved(shift_mm: Point) -> Callable[[Volume], Volume]:
    def move(volume: Volume) -> Volume:
        matrix = volume.grid.matrix
        matrix[:3, 3] += shift_mm
        rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in matrix)
        return replace(volume, grid=VoxelGrid(volume.grid.shape, rows))

    return move


MAP_KINDS = (
    MapKind("map upside down", "network's map upside down", _always(flipped(0))),
    MapKind("map mirrored", "network's map mirrored", _always(flipped(2))),
    MapKind("map front to back", "network's map front to back", _always(flipped(1))),
    MapKind("map another's", "network tells another patient's map", _network(lambda s: replaced(_others_map(s)))),
    MapKind("map minus 20", "network's map 20 % thinner", _always(scaled(0.8))),
    MapKind("map plus 20", "network's map 20 % denser", _always(scaled(1.2))),
    MapKind("map minus 10", "network's map 10 % thinner", _always(scaled(0.9))),
    MapKind("lungs filled", "network fills the lungs with soft tissue", _always(filled_lungs)),
    MapKind("one network", "one network of the ensemble does so", _network(lambda s: filled_lungs, only_first=True)),
    MapKind("map to the side", "network's map 30 mm to the left", _always(shifted((30.0, 0.0, 0.0)))),
    MapKind("map to the head", "network's map 30 mm toward the head", _always(shifted((0.0, 0.0, 30.0)))),
    MapKind("hole", "network's map with a hole of 8 cm in front of the heart", _network(_hole)),
    MapKind("heart in lung", "network takes the heart for lung", _network(_heart_in_lung)),
    MapKind("map smoothed", "network's map smoothed over 9 x 9 x 9 voxels", _always(smoothed(9))),
    MapKind("upside down", "counts upside down", _of_study("upside down")),
    MapKind("mirrored", "counts mirrored", _of_study("mirrored")),
    MapKind("views reversed", "views in the opposite order", _of_study("views reversed")),
    MapKind("views shuffled", "views in random order", _of_study("views shuffled")),
    MapKind("half moved", "half of the views 2 pixels to the side", _of_study("half moved across")),
    MapKind("axes swapped", "rows and columns swapped", _of_study("axes swapped")),
    MapKind("thallium", "energy window of thallium-201", _of_study("thallium")),
    MapKind("no uptake", "no tracer in the ventricle", _of_study("no uptake")),
    MapKind("truncated", "detector 16 cm wide", _of_study("truncated")),
    MapKind("cropped", "detector ends in the heart", _of_study("cropped")),
    MapKind("phantom", "a cylinder with rods, no patient", _of_study("phantom")),
    MapKind("CT another's", "measured map of another patient", _another_patients_measured, MEASURED),
    MapKind("CT mirrored", "measured map mirrored", _measured(_changed(lambda mu: mu[..., ::-1])), MEASURED),
    MapKind("CT upside down", "measured map upside down", _measured(_changed(lambda mu: mu[::-1])), MEASURED),
    MapKind("CT 40 mm off", "measured map 40 mm to the side", _measured(_moved((40.0, 0.0, 0.0))), MEASURED),
    MapKind("CT 40 mm down", "measured map 40 mm toward the feet", _measured(_moved((0.0, 0.0, -40.0))), MEASURED),
    MapKind("CT scaled", "measured map 30 % thinner", _measured(_changed(lambda mu: 0.7 * mu)), MEASURED),
    MapKind("CT in 1/mm", "measured map in 1/mm, called 1/cm", _measured(_changed(lambda mu: 0.1 * mu)), MEASURED),
)
BY_NAME: Mapping[str, MapKind] = {kind.name: kind for kind in MAP_KINDS}
