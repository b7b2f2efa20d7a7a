"""One test patient of the denoising evaluation: made, thinned, denoised by every method, read, and compared.

The study is gated and acquired once; the ungated study is the sum of its gates, and so is each low dose, whose gates
are thinned one by one. What happens by chance depends on the patient alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipelines.agreement.image_quality import ImageQuality, rmse
from pipelines.agreement.statistics import pearson
from pipelines.cardiac.limits_library import limits_for
from pipelines.cardiac.quantification import NormalLimits
from pipelines.cardiac.reorientation import Orientation, reoriented
from pipelines.evaluation.denoising.arrays import FULL_DOSE, KEPT, NOISE_FREE, Kind, PatientArrays, image_name
from pipelines.evaluation.denoising.low_dose_table import CAMERA
from pipelines.evaluation.denoising.methods import Estimate, Models, estimates
from pipelines.evaluation.denoising.reading import (
    Reading,
    beat_percent,
    ejection_fraction,
    heart_rows,
    heart_slices,
    image_quality_of,
    in_patient,
    projection_quality,
    read,
    reconstructed,
    truth_percent,
)
from pipelines.evaluation.denoising.record import TRUTH, Dose, Method, MethodRecord, PatientRecord, Truth
from pipelines.images import Array, Projections, Volume
from pipelines.simulation.acquisition import thin
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import SimulatedStudy, StudyPlan, StudySettings, make_study
from pipelines.simulation.truth import PatientTruth

GATED_METHODS = KEPT  # half dose alone, as in the paper
EJECTION_METHODS = (Method.LOW_DOSE, Method.FOR_IMAGES)  # read at the doses below, too
GATED_VIEWS = 4  # evenly over the arc, kept for figures
HEART_RADIUS_MM = 60.0  # within which images are compared with the truth
_SLICES = {
    Kind.SHORT_AXIS: Orientation.SHORT_AXIS,
    Kind.VERTICAL_LONG_AXIS: Orientation.VERTICAL_LONG_AXIS,
    Kind.HORIZONTAL_LONG_AXIS: Orientation.HORIZONTAL_LONG_AXIS,
}


@dataclass(frozen=True)
class Case:
    """A patient at full dose; `full`, `noise_free` are ungated, `study` holds their gates."""

    plan: StudyPlan
    study: SimulatedStudy
    full: Projections
    noise_free: Projections
    limits: NormalLimits

    @classmethod
    def of(cls, plan: StudyPlan) -> Case:
        """Make the patient and bring it to the camera."""
        study = make_study(plan, StudySettings(CAMERAS[CAMERA], gated=True))
        return cls(plan, study, study.projections.ungated(), study.expected.ungated(), limits_of(study.patient.truth))

    @functools.cached_property
    def full_reading(self) -> Reading:
        """What is read from the full dose."""
        return read(self.full, self.limits)

    @functools.cached_property
    def noise_free_reading(self) -> Reading:
        """What is read from the full dose's expectation."""
        return read(self.noise_free, self.limits)

    @property
    def truth(self) -> PatientTruth:
        """What is known of the patient."""
        return self.study.patient.truth

    @property
    def rows(self) -> tuple[int, int]:
        """The rows of projections that count when the liver is left out."""
        return heart_rows(self.full.geometry, self.full_reading.ventricle, self.truth.ventricle_center_mm)

    def heart(self, volume: Volume) -> Array:
        """Return an image's heart in slices that are the same places in every image of the patient."""
        return heart_slices(volume, self.full_reading.ventricle, self.truth.ventricle_center_mm)

    def low(self, dose: Dose) -> Projections:
        """Return the gates at a low dose."""
        place = list(Dose).index(dose)
        return thin(
            self.study.projections,
            dose.fraction,
            np.random.default_rng([self.plan.patient, self.plan.study, 21, place]),
        )

    def ceiling(self, low: Projections, dose: Dose) -> Estimate:
        """Return the best that can be foretold of the full dose from a share p of it: x + (1 - p) lambda."""
        expected = self.study.expected if low.gates > 1 else self.noise_free
        counts = low.counts + (1.0 - dose.fraction) * expected.counts
        return Estimate(replace(low, counts=counts.astype(np.float32)))


@dataclass(frozen=True)
class _Judged:
    """What one method made of one dose."""

    record: MethodRecord
    estimate: Estimate
    reading: Reading

    @classmethod
    def of(cls, case: Case, method: Method, estimate: Estimate) -> _Judged:
        """Read an estimate and compare it with full dose and truth."""
        reading = read(estimate.projections, case.limits)
        heart, full = case.heart(reading.volume), case.heart(case.full_reading.volume)
        record = MethodRecord(
            projection=projection_quality(method, estimate, case.full),
            projection_heart=projection_quality(method, estimate, case.full, case.rows),
            projection_counts_rmse=rmse(estimate.projections.photopeak_counts(), case.full.photopeak_counts()),
            projection_truth_percent=_projection_truth(case, estimate),
            image=image_quality_of(method, heart, full),
            image_pearson=pearson(heart.ravel(), full.ravel()).r,
            image_truth_percent=_image_truth(case, reading),
            indices=reading.indices,
            image_whole=image_quality_of(method, reading.volume.values, case.full_reading.volume.values),
        )
        return cls(record, estimate, reading)


@dataclass(frozen=True)
class _Tried:
    """What all methods made of one dose, and how near to the full dose anything can come."""

    methods: Mapping[Method, _Judged]
    ceiling: ImageQuality
    image_ceiling: ImageQuality

    @classmethod
    def of(cls, case: Case, dose: Dose, models: Models, methods: tuple[Method, ...]) -> _Tried:
        """Thin a patient to a dose and judge each method."""
        low = case.low(dose).ungated()
        best = case.ceiling(low, dose)
        slices = case.heart(reconstructed(best.projections))
        made = estimates(low, dose, models, methods)
        return cls(
            {method: _Judged.of(case, method, estimate) for method, estimate in made.items()},
            projection_quality(Method.FULL, best, case.full),
            image_quality_of(Method.FULL, slices, case.heart(case.full_reading.volume)),
        )


def evaluate(
    case: Case,
    models: Models,
    methods: tuple[Method, ...] = tuple(Method),
    doses: tuple[Dose, ...] = tuple(Dose),
) -> tuple[PatientRecord, PatientArrays]:
    """Return all numbers and the images of one test patient; the gates are judged at half dose, whatever `doses`."""
    plan = case.plan
    tried = {dose: _Tried.of(case, dose, models, methods) for dose in doses}
    gated = _Gated.of(case, models, methods, tried.get(Dose.HALF))
    record = PatientRecord(
        patient=plan.patient,
        sex=plan.sex.value,
        risk=plan.risk.value,
        state=plan.state.value,
        million_counts=float(case.full.photopeak_counts().sum(dtype=np.float64)) / 1e6,
        truth=truth_of(case.truth),
        full_dose=case.full_reading.indices,
        noise_free=case.noise_free_reading.indices,
        ceiling={dose.value: one.ceiling for dose, one in tried.items()},
        methods={
            dose.value: {method.value: judged.record for method, judged in one.methods.items()}
            for dose, one in tried.items()
        },
        gated=gated.quality,
        gated_ejection_percent=gated.ejection_percent,
        ejection_percent={
            dose.value: _ejections(case, dose, models, one) for dose, one in tried.items() if dose is not Dose.HALF
        },
        gated_beat_percent=gated.beat_percent,
        gated_ceiling=gated.ceiling,
        image_ceiling={dose.value: one.image_ceiling for dose, one in tried.items()},
        full_dose_projection_truth_percent=_projection_truth(case, Estimate(case.full)),
        full_dose_image_truth_percent=_image_truth(case, case.full_reading),
    )
    return record, _arrays(case, tried, gated)


def limits_of(truth: PatientTruth) -> NormalLimits:
    """Return the normal limits that a virtual patient is read against, those that the product ships."""
    limits = limits_for(truth.sex, truth.state, corrected=False)
    if limits is None:
        raise ValueError(f"no normal limits are shipped for sex {truth.sex} at {truth.state}")
    return limits


def truth_of(truth: PatientTruth) -> Truth:
    """Return what is compared with the truth; the wall keeps its volume through the beat."""
    return Truth(
        tpd_percent=truth.perfusion.tpd_percent,
        summed_score=float(truth.perfusion.summed_score),
        cavity_ml=float(np.mean(truth.gate_volumes_ml)),
        wall_ml=truth.end_diastole.wall_ml,
    )


def _projection_truth(case: Case, estimate: Estimate) -> float:
    truth = case.noise_free.photopeak_counts()
    return truth_percent(estimate.projections.photopeak_counts(), truth, in_patient(truth))


def _image_truth(case: Case, reading: Reading) -> float:
    """Return the error in a ball about the heart's true place."""
    truth = case.noise_free_reading.volume
    axes = [np.arange(size) for size in truth.grid.shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    places = np.stack([x, y, z, np.ones_like(x)], axis=-1) @ truth.grid.matrix.T
    distance = np.linalg.norm(places[..., :3] - np.asarray(case.truth.ventricle_center_mm), axis=-1)
    return truth_percent(reading.volume.values, truth.values, distance <= HEART_RADIUS_MM)


@dataclass(frozen=True)
class _Gated:
    """The gates at half dose: their quality, the ejection fraction, a few views."""

    quality: Mapping[str, ImageQuality]
    ceiling: ImageQuality
    ejection_percent: Mapping[str, float]
    beat_percent: Mapping[str, float]
    views: tuple[int, ...]
    images: Mapping[str, Array]

    @classmethod
    def of(cls, case: Case, models: Models, methods: tuple[Method, ...], tried: _Tried | None) -> _Gated:
        """Judge the gates; each method's ventricle is the one found in its ungated image."""
        low = case.low(Dose.HALF)
        made = estimates(low, Dose.HALF, models, tuple(method for method in GATED_METHODS if method in methods))
        full = case.study.projections
        at_full_dose = ejection_fraction(full, case.full_reading.ventricle)
        judged = {FULL_DOSE: full, **{method.value: one.projections for method, one in made.items()}}
        shown = {NOISE_FREE: case.study.expected, FULL_DOSE: full}
        shown |= {image_name(Dose.HALF, method): one.projections for method, one in made.items()}
        step = full.geometry.views // GATED_VIEWS
        views = tuple(range(step // 2, full.geometry.views, step))[:GATED_VIEWS]
        return cls(
            quality={method.value: projection_quality(method, one, full) for method, one in made.items()},
            ceiling=projection_quality(Method.FULL, case.ceiling(low, Dose.HALF), full),
            ejection_percent={
                TRUTH: case.truth.ejection_fraction_percent,
                **({} if at_full_dose is None else {FULL_DOSE: at_full_dose}),
                **_ejections_of(made, tried),
            },
            beat_percent={
                name: beat_percent(one.photopeak_counts(), case.study.expected.photopeak_counts())
                for name, one in judged.items()
            },
            views=views,
            images={name: one.photopeak_counts()[:, list(views)] for name, one in shown.items()},
        )


def _ejections(case: Case, dose: Dose, models: Models, tried: _Tried) -> dict[str, float]:
    """Return the ejection fractions in percent that are read from the gates of a low dose."""
    wanted = tuple(method for method in EJECTION_METHODS if method in tried.methods)
    return _ejections_of(estimates(case.low(dose), dose, models, wanted), tried)


def _ejections_of(made: Mapping[Method, Estimate], tried: _Tried | None) -> dict[str, float]:
    """Return the ejection fractions of gates; each method's ventricle is the one found in its ungated image."""
    found = {}
    for method, estimate in made.items():
        ungated = tried.methods.get(method) if tried else None
        percent = ejection_fraction(estimate.projections, ungated.reading.ventricle if ungated else None)
        if percent is not None:
            found[method.value] = percent
    return found


def _arrays(case: Case, tried: Mapping[Dose, _Tried], gated: _Gated) -> PatientArrays:
    """Return the images that figures are drawn from; all slices lie in the frame of the full-dose ventricle."""
    readings = {NOISE_FREE: case.noise_free_reading, FULL_DOSE: case.full_reading}
    projections = {NOISE_FREE: case.noise_free, FULL_DOSE: case.full}
    for dose, method, one in _kept(tried):
        readings[image_name(dose, method)] = one.reading
        projections[image_name(dose, method)] = one.estimate.projections
    images: dict[Kind, dict[str, Array]] = {
        Kind.PROJECTIONS: {name: one.photopeak_counts()[0] for name, one in projections.items()},
        Kind.POLAR_MAP: {
            name: one.polar.counts.astype(np.float32) for name, one in readings.items() if one.polar is not None
        },
        Kind.GATED_PROJECTIONS: dict(gated.images),
    }
    frame = case.full_reading.ventricle
    if frame is not None:
        for kind, orientation in _SLICES.items():
            images[kind] = {name: reoriented(one.volume, frame, orientation).values for name, one in readings.items()}
    geometry = case.full.geometry
    return PatientArrays(
        patient=case.plan.patient,
        angles_deg=geometry.angles_deg,
        pixel_size_mm=geometry.pixel_size_mm,
        voxel_mm=min(case.full_reading.volume.grid.voxel_mm),
        heart_rows=case.rows,
        gated_views=gated.views,
        images=images,
    )


def _kept(tried: Mapping[Dose, _Tried]) -> Iterator[tuple[Dose, Method, _Judged]]:
    for dose, one in tried.items():
        for method in KEPT:
            if method in one.methods:
                yield dose, method, one.methods[method]
