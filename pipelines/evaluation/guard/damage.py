"""Everything that may go wrong with a study or a network, done to a sound study on purpose: the guard should notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import Acquisition
from pipelines.evaluation.guard.faults import Fault, painted, smoothed
from pipelines.evaluation.guard.phantom import phantom_counts
from pipelines.evaluation.guard.studies import GuardStudy
from pipelines.images import Array, EnergyWindow, Projections, Volume
from pipelines.quality.heart_shadow import heart_shadow
from pipelines.simulation.acquisition import Motion
from pipelines.simulation.uptake import Defect, middle_of

HEART_MM = 45.0  # about the ventricle's center: wall and cavity of all but the largest hearts
MOVED_PIXELS = 2
STEP_MM = 15.0
HOT = 20.0  # times the study's brightest pixel
THALLIUM = EnergyWindow(68.0, 82.0)
_DEFECT_SEGMENT = 10  # mid inferior: where attenuation makes readers doubt
_DEFECT_HALF_WIDTHS_DEG = (28.0, 30.0)  # some 8 % of the wall
_DEFECT_LOSS = 0.7


@dataclass(frozen=True)
class Presented:
    """What the pipeline is given: an acquisition, the dose that is stated, and a fault of the networks, if any."""

    acquisition: Acquisition
    dose_fraction: float
    fault: Fault | None = None


Damage = Callable[[GuardStudy, np.random.Generator], Presented]


@dataclass(frozen=True)
class Kind:
    """A kind of damage; `words` name it in tables."""

    name: str
    words: str
    damage: Damage
    against: str = ""  # the outcome without damage that it is compared with


def presented(study: GuardStudy) -> Presented:
    """Return the study as it is."""
    return Presented(study.acquisition, study.dose_fraction)


# Networks that go wrong


def _heart_times(factor: float) -> Damage:
    def damage(study: GuardStudy, rng: np.random.Generator) -> Presented:
        shadow = heart_shadow(study.projections.geometry, study.patient.truth.ventricle_center_mm, HEART_MM)
        return replace(presented(study), fault=painted(np.where(shadow, factor, 1.0)))

    return damage


def _smoothed(pixels: int) -> Damage:
    return lambda study, rng: replace(presented(study), fault=smoothed(pixels))


def _invented_defect(study: GuardStudy, rng: np.random.Generator) -> Presented:
    """The networks paint a defect into the heart: the ratio of what would be counted with it and without."""
    ill = study.expect(study.with_defects((*study.patient.truth.defects, _defect(study))))
    return replace(presented(study), fault=painted(_ratio(ill.projections, study.expected.projections)))


def _filled_defect(study: GuardStudy, rng: np.random.Generator) -> Presented:
    """The patient has one more defect, and the networks fill it."""
    ill = study.expect(study.with_defects((*study.patient.truth.defects, _defect(study))))
    fault = painted(_ratio(study.expected.projections, ill.projections))
    return Presented(study.counted(ill, rng), study.dose_fraction, fault)


def _defect(study: GuardStudy) -> Defect:
    middle = middle_of(_DEFECT_SEGMENT, study.patient.anatomy.cycle.end_diastole.cut)
    center = (float(middle[0]), float(middle[1]), float(middle[2]))
    return Defect(center, *_DEFECT_HALF_WIDTHS_DEG, severity=_DEFECT_LOSS, reversible=0.0)


def _ratio(numerator: Projections, denominator: Projections) -> NDArray[np.float64]:
    over, under = (one.photopeak_counts().sum(axis=0, dtype=np.float64) for one in (numerator, denominator))
    return np.asarray(over / np.maximum(under, 1e-6))


# Studies that aren't what they seem


def _changed(change: Callable[[Array, GuardStudy, np.random.Generator], NDArray[np.floating[Any]]]) -> Damage:
    """Return the damage that changes the counts `[window, gate, view, row, column]`."""

    def damage(study: GuardStudy, rng: np.random.Generator) -> Presented:
        counts = np.ascontiguousarray(change(study.projections.counts.copy(), study, rng), dtype=np.float32)
        return _with(study, replace(study.projections, counts=counts))

    return damage


def _with(study: GuardStudy, projections: Projections) -> Presented:
    return replace(presented(study), acquisition=replace(study.acquisition, projections=projections))


def _half_moved(axis: int) -> Damage:
    def change(counts: Array, study: GuardStudy, rng: np.random.Generator) -> Array:
        second = slice(counts.shape[2] // 2, None)
        counts[:, :, second] = np.roll(counts[:, :, second], MOVED_PIXELS, axis=axis)
        return counts

    return _changed(change)


def _shuffled(counts: Array, study: GuardStudy, rng: np.random.Generator) -> Array:
    return counts[:, :, rng.permutation(counts.shape[2])]


def _view_times(factor: float) -> Damage:
    def change(counts: Array, study: GuardStudy, rng: np.random.Generator) -> Array:
        counts[:, :, int(rng.integers(counts.shape[2]))] *= factor
        return counts

    return _changed(change)


def _hot(pixels: int) -> Damage:
    """A square of the detector counts much too much in every view."""

    def change(counts: Array, study: GuardStudy, rng: np.random.Generator) -> Array:
        row, column = (int(rng.integers(size // 4, 3 * size // 4)) for size in counts.shape[-2:])
        level = HOT * counts.max() if pixels == 1 else counts.max()
        square = counts[..., row : row + pixels, column : column + pixels]
        square[...] = rng.poisson(level, square.shape)
        return counts

    return _changed(change)


def _dose_times_four(study: GuardStudy, rng: np.random.Generator) -> Presented:
    """The dose that is stated is four times the true one, or, for a study of full dose, a quarter of it."""
    dose = study.dose_fraction
    return replace(presented(study), dose_fraction=dose / 4 if dose > 1 / 4 else dose * 4)


def _thallium_window(study: GuardStudy, rng: np.random.Generator) -> Presented:
    projections = study.projections
    windows = tuple(
        THALLIUM if number == projections.photopeak else window for number, window in enumerate(projections.windows)
    )
    return _with(study, replace(projections, windows=windows))


def _no_uptake(study: GuardStudy, rng: np.random.Generator) -> Presented:
    """The tracer went elsewhere: the ventricle's wall holds none of it."""
    patient = study.patient
    values = patient.activity.values.copy()
    values[patient.gates_box] = np.maximum(values[patient.gates_box] - patient.ventricle, 0.0)
    activity = Volume(values.astype(np.float32), patient.activity.grid, patient.activity.unit)
    still = tuple(np.zeros_like(gate) for gate in patient.gates)
    without = replace(patient, activity=activity, gates=still)
    return replace(presented(study), acquisition=study.counted(study.expect(without), rng))


def _truncated(counts: Array, study: GuardStudy, rng: np.random.Generator) -> Array:
    """The detector is 16 cm wide: it cuts off the body everywhere and the heart in some views."""
    columns = counts.shape[-1]
    apart = np.abs(np.arange(columns) - (columns - 1) / 2) * study.projections.geometry.pixel_size_mm[1]
    return np.asarray(counts * (apart <= 80.0))


def _cropped(counts: Array, study: GuardStudy, rng: np.random.Generator) -> Array:
    """The detector ends in the middle of the heart."""
    geometry = study.projections.geometry
    z = study.patient.truth.ventricle_center_mm[2] - geometry.isocenter_mm[2]
    row = round((geometry.rows - 1) / 2 - z / geometry.pixel_size_mm[0])
    counts[..., : max(row, 0), :] = 0
    return counts


def _moving(study: GuardStudy, rng: np.random.Generator) -> Presented:
    motion = Motion((0.0, 0.0, STEP_MM), study.camera.time_steps // 2)
    return replace(presented(study), acquisition=study.counted(study.expect(study.patient, motion), rng))


def _phantom(study: GuardStudy, rng: np.random.Generator) -> Presented:
    mean = phantom_counts(study)
    return _with(study, replace(study.projections, counts=rng.poisson(mean).astype(np.float32)))


def _last_gate_lost(study: GuardStudy, rng: np.random.Generator) -> Presented:
    """The last gate was open for a third of the time; an ungated study lost a third of its views' time."""
    counts = study.projections.counts.copy()
    if counts.shape[1] > 1:
        counts[:, -1] = rng.binomial(counts[:, -1].astype(np.int64), 1 / 3)
    else:
        late = slice(2 * counts.shape[2] // 3, None)
        counts[:, :, late] = rng.binomial(counts[:, :, late].astype(np.int64), 2 / 3)
    return _with(study, replace(study.projections, counts=counts))


KINDS = (
    Kind("heart minus 5", "network takes 5 % from the heart", _heart_times(0.95)),
    Kind("heart minus 10", "network takes 10 % from the heart", _heart_times(0.90)),
    Kind("heart plus 10", "network adds 10 % to the heart", _heart_times(1.10)),
    Kind("smoothed 3", "network smooths over 3 x 3 pixels", _smoothed(3)),
    Kind("smoothed 5", "network smooths over 5 x 5 pixels", _smoothed(5)),
    Kind("defect invented", "network paints a defect (8 % of the wall, 70 % less)", _invented_defect),
    Kind("defect filled", "network fills such a defect", _filled_defect),
    Kind("half moved across", "half of the views 2 pixels to the side", _half_moved(-1)),
    Kind("half moved along", "half of the views 2 pixels along the table", _half_moved(-2)),
    Kind("motion", "patient moves by 15 mm halfway", _moving),
    Kind("axes swapped", "rows and columns swapped", _changed(lambda counts, study, rng: np.swapaxes(counts, -1, -2))),
    Kind("views shuffled", "views in random order", _changed(_shuffled)),
    Kind("views reversed", "views in the opposite order", _changed(lambda counts, study, rng: counts[:, :, ::-1])),
    Kind("upside down", "upside down", _changed(lambda counts, study, rng: counts[..., ::-1, :])),
    Kind("mirrored", "left and right mirrored", _changed(lambda counts, study, rng: counts[..., ::-1])),
    Kind("view dropped", "a view without counts", _view_times(0.0)),
    Kind("view doubled", "a view with twice its counts", _view_times(2.0)),
    Kind("hot pixel", "a hot pixel in every view", _hot(1)),
    Kind("hot block", "a hot block of 4 x 4 pixels in every view", _hot(4)),
    Kind("part lost", "last gate a third as long (ungated: last third of the views two thirds)", _last_gate_lost),
    Kind("wrong dose", "dose stated four times too high or low", _dose_times_four),
    Kind("thallium", "energy window of thallium-201", _thallium_window),
    Kind("no uptake", "no tracer in the ventricle", _no_uptake),
    Kind("truncated", "detector 16 cm wide", _changed(_truncated)),
    Kind("cropped", "detector ends in the heart", _changed(_cropped)),
    Kind("scaled", "counts times 1.7, made whole", _changed(lambda counts, study, rng: np.rint(1.7 * counts))),
    Kind("not whole", "counts times 0.9", _changed(lambda counts, study, rng: 0.9 * counts)),
    Kind("interpolated", "moved by half a pixel, made whole",
         _changed(lambda counts, study, rng: np.rint(0.5 * (counts + np.roll(counts, 1, axis=-1))))),
    Kind("phantom", "a cylinder with rods, no patient", _phantom),
)  # fmt: skip
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
