"""One scan of the attenuation evaluation: made, its maps told by every method, corrected by both roads, and read.

What happens by chance depends on the patient alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.evaluation.attenuation.arrays import Plane, ScanArrays, plane_key, polar_key
from pipelines.evaluation.attenuation.maps import Maps, MapSources, map_figures, measured_maps, moved, network_maps
from pipelines.evaluation.attenuation.models import Models
from pipelines.evaluation.attenuation.reading import PatientLimits, found_ventricle, read
from pipelines.evaluation.attenuation.record import (
    Frame,
    HeartFigures,
    Method,
    Patient,
    Readings,
    RegistrationFigures,
    Road,
    ScanRecord,
)
from pipelines.evaluation.attenuation.uniform import chang
from pipelines.geometry import Float, VoxelGrid
from pipelines.images import Array, Unit, Volume
from pipelines.perfusion.imaging import Prepared, prepare
from pipelines.perfusion.options import Options
from pipelines.reconstruction.emission_images import EmissionImages, emission_images
from pipelines.reconstruction.motion import Motion
from pipelines.reconstruction.prac import prac
from pipelines.registration.rigid import Registration
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import SimulatedStudy, StudyPlan, StudySettings, make_study
from pipelines.simulation.registration import Misregistration, attenuation_map
from pipelines.simulation.vendor import vendor_reconstruction
from pipelines.simulation.virtual_patient import HEART_TRAVEL
from pipelines.training.mu_map_cohort import VENDOR_ONLY
from pipelines.training.mu_map_data import MapPair, PairMaker

DIRECTIONS: Mapping[str, tuple[int, int, int]] = {
    "to the left": (1, 0, 0), "to the right": (-1, 0, 0),
    "backward": (0, 1, 0), "forward": (0, -1, 0),
    "toward the head": (0, 0, 1), "toward the feet": (0, 0, -1),
}  # fmt: skip
SHIFTS_MM: Mapping[str, tuple[float, float, float]] = {
    f"{distance} mm {toward}": (x * distance, y * distance, z * distance)
    for toward, (x, y, z) in DIRECTIONS.items()
    for distance in (5, 10, 20)
}

Images = Mapping[Road, Mapping[Method, Volume]]


@dataclass(frozen=True)
class Case:
    """A patient at a camera; `whole` cases also have a CT that lies as usual, and a reference that was moved."""

    plan: StudyPlan
    camera: str
    study: SimulatedStudy
    sources: MapSources
    prepared: Prepared
    whole: bool

    @classmethod
    def of(cls, plan: StudyPlan, camera: str, *, whole: bool) -> Case:
        """Make the patient and bring it to the camera."""
        study = make_study(plan, StudySettings(CAMERAS[camera], with_mu_map=True))
        reference = attenuation_map(study.patient)
        views = study.projections.geometry.views
        still = Motion((0.0,) * views, 0.0, study.projections.geometry.pixel_size_mm[0])
        prepared = prepare(study.projections, Options(), still)
        by_hand = study.mu_map if whole else None
        return cls(plan, camera, study, _sources(study, camera, reference, prepared, by_hand), prepared, whole)

    @property
    def has_projections(self) -> bool:
        """Whether anybody but the vendor can reconstruct."""
        return self.camera != VENDOR_ONLY

    def images(self, maps: Maps) -> Images:
        """Return all images: without correction, and with each map by each road."""
        before = self.sources.uncorrected
        after = {method: prac(before, mu_map) for method, mu_map in maps.items()}
        after[Method.CHANG] = chang(before, maps[Method.UNIFORM])
        images = {Road.PRAC: {Method.NONE: before, **after}}
        if self.has_projections:
            corrected = {method: self.prepared.reconstruct("cpu", mu_map) for method, mu_map in maps.items()}
            images[Road.OSEM] = {Method.NONE: before, **corrected}
        return images


def _sources(
    study: SimulatedStudy, camera: str, reference: Volume, prepared: Prepared, by_hand: Volume | None
) -> MapSources:
    maker, wall = PairMaker(copies=1), wall_of(study)
    if camera == VENDOR_ONLY:
        vendors = vendor_reconstruction(study.projections)
        pair = maker.of_reconstruction(vendors, reference, "", wall=wall)
        return MapSources(EmissionImages((vendors,)), vendors, pair, reference, by_hand)
    pair = maker.of_projections(study.projections, reference, "", wall=wall)
    images = emission_images(study.projections)
    return MapSources(images, prepared.reconstruct("cpu"), pair, reference, by_hand)


def wall_of(study: SimulatedStudy) -> Volume:
    """Return which share of each voxel is the left ventricle's wall."""
    patient = study.patient
    values = np.zeros(patient.activity.grid.shape, dtype=np.float32)
    values[patient.gates_box] = patient.ventricle
    return Volume(values / max(float(values.max()), 1e-12), patient.activity.grid, patient.activity.unit)


def evaluate(plan: StudyPlan, camera: str, models: Models, *, whole: bool) -> tuple[ScanRecord, ScanArrays]:
    """Return numbers and images of one scan."""
    case = Case.of(plan, camera, whole=whole)
    measured, registrations = measured_maps(case.sources)
    maps = {**network_maps(case.sources, models), **measured}
    read_ones = _Readings.of(case, case.images(maps))
    truth, error = case.study.patient.truth, case.study.registration
    record = ScanRecord(
        patient=Patient(
            plan.patient, truth.sex, truth.age_years, truth.height_m, truth.weight_kg, plan.risk.value,
            truth.perfusion.tpd_percent,
        ),
        study=plan.study,
        camera=camera,
        state=plan.state.value,
        million_counts=float(case.study.projections.photopeak_counts().sum(dtype=np.float64)) / 1e6,
        misregistration_mm=error.translation_mm,
        misregistration_deg=error.rotation_deg,
        breath_mm=error.breath_mm,
        maps={method.value: map_figures(one, case.sources.pair) for method, one in maps.items()},
        hearts=read_ones.hearts,
        shifted=_shifted(case, read_ones.common.get(Road.OSEM)),
        registrations={method.value: _registration(case, method, one) for method, one in registrations.items()},
    )  # fmt: skip
    return record, ScanArrays(case.sources.pair.grid.voxel_mm[1], {**read_ones.polar, **_planes(case, maps)})


@dataclass(frozen=True)
class _Readings:
    """What was read from all images of a case."""

    hearts: Mapping[str, Mapping[str, Readings]]
    polar: Mapping[str, Array]
    common: Mapping[Road, LeftVentricle]  # found in the reference

    @classmethod
    def of(cls, case: Case, images: Images) -> _Readings:
        """Read each image in the ventricle that is found in it, and in the reference's."""
        limits = PatientLimits.of(case.study.patient.truth.sex, case.plan.state.value)
        hearts: dict[str, dict[str, dict[str, HeartFigures | None]]] = {}
        polar: dict[str, Array] = {}
        common: dict[Road, LeftVentricle] = {}
        for road, of_road in images.items():
            own = {method: found_ventricle(volume) for method, volume in of_road.items()}
            reference = own[Method.CTAC]
            if reference is not None:
                common[road] = reference
            frames = {Frame.OWN: own, Frame.COMMON: dict.fromkeys(of_road, reference)}
            hearts[road.value] = {frame.value: {} for frame in Frame}
            for frame, ventricles in frames.items():
                for method, ventricle in ventricles.items():
                    figures = None
                    if ventricle is not None:
                        against = limits.not_corrected if method is Method.NONE else limits.corrected
                        found, figures = read(of_road[method], ventricle, against)
                        polar[polar_key(road, frame, method)] = found.counts.astype(np.float32)
                    hearts[road.value][frame.value][method.value] = figures
        return cls(hearts, polar, common)


def _shifted(case: Case, ventricle: LeftVentricle | None) -> dict[str, HeartFigures]:
    """Return what is read where the reference lies elsewhere, in whole cases."""
    if not case.whole or ventricle is None:
        return {}
    limits = PatientLimits.of(case.study.patient.truth.sex, case.plan.state.value).corrected
    return {
        name: read(case.prepared.reconstruct("cpu", moved(case.sources.reference, shift)), ventricle, limits)[1]
        for name, shift in SHIFTS_MM.items()
    }


def _registration(case: Case, method: Method, found: Registration) -> RegistrationFigures:
    body, truth = case.study.patient.body, case.study.registration
    error = Misregistration(truth.translation_mm, truth.rotation_deg, truth.breath_mm)
    heart = body.anatomy.pose.center
    emission = np.asarray(body.placement.to_grid(heart))
    there = emission
    if method is Method.CT_REGISTERED:
        breath = np.array([0.0, 0.0, HEART_TRAVEL * error.breath_mm])
        there = np.asarray(error.place(body.placement).to_grid(heart)) + breath
    before, after = (float(np.linalg.norm(one - emission)) for one in (there, carried(found, there)))
    agreements = (found.agreement_before, found.agreement_after)
    return RegistrationFigures(found.shift_mm, found.turn_deg, *agreements, before, after)


def carried(found: Registration, place_mm: Float) -> Float:
    """Return where a registration brings a place of the map (LPS mm)."""
    grid = VoxelGrid.axial((1, 1, 1), (1.0, 1.0, 1.0), (float(place_mm[0]), float(place_mm[1]), float(place_mm[2])))
    point = Volume(np.zeros((1, 1, 1), dtype=np.float32), grid, Unit.PER_CM)
    return found.apply(point).grid.position_mm(0, 0, 0)


def _planes(case: Case, maps: Maps) -> dict[str, Array]:
    """Return slices of all maps and of the emission image through the middle of the heart."""
    shown: list[tuple[Method | None, Volume]] = [(None, case.sources.images.levels[-1]), *maps.items()]
    axial, coronal = _heart_planes(case.sources.pair, case.study.patient.truth.ventricle_center_mm)
    made: dict[str, Array] = {}
    for method, volume in shown:
        made[plane_key(Plane.AXIAL, method)] = volume.values[axial]
        made[plane_key(Plane.CORONAL, method)] = volume.values[::-1, coronal]
    return made


def _heart_planes(pair: MapPair, center_mm: tuple[float, float, float]) -> tuple[int, int]:
    grid: VoxelGrid = pair.grid
    z, y, _ = (round(float(value)) for value in grid.index_of(center_mm))
    return min(max(z, 0), grid.shape[0] - 1), min(max(y, 0), grid.shape[1] - 1)
