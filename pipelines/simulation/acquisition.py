"""Brings a virtual patient to a camera: expected counts, then counts as the camera would store them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections, UnsuitableAcquisition
from pipelines.simulation.camera import Camera
from pipelines.simulation.energy import window_share
from pipelines.simulation.projector import Projector
from pipelines.simulation.scatter import ScatterProjector
from pipelines.simulation.shapes import Point
from pipelines.simulation.truth import AcquisitionTruth
from pipelines.simulation.virtual_patient import VirtualPatient

Float = NDArray[np.float64]

HALF_LIFE_S = 6.0067 * 3600.0  # technetium-99m
SENSITIVITY_WINDOW = EnergyWindow(126.45, 154.55)  # in which the makers state it
LONGEST_LAST_GATE_DROP = 0.2
PENETRATION_SHARE = 0.015  # of a view's counts, spread evenly: photons through septa, scattered in the camera


@dataclass(frozen=True)
class Motion:
    """How a patient moves during the acquisition (LPS mm): one step before a time step, and a slow creep."""

    step_mm: Point = (0.0, 0.0, 0.0)
    step_at: int = 0
    creep_mm: Point = (0.0, 0.0, 0.0)  # over the whole acquisition

    @classmethod
    def draw(cls, rng: np.random.Generator, camera: Camera) -> Motion:
        """Return a step of up to 15 mm at a random time, mostly toward head or feet, and a creep of up to 6 mm."""
        size, sign = rng.uniform(4.0, 15.0), rng.choice([-1.0, 1.0])
        side = float(rng.normal(0, 2.0))
        steps = camera.time_steps
        at = int(rng.integers(steps // 5, max(steps - steps // 5, 1)))
        return cls((side, 0.0, float(size * sign)), at, (0.0, 0.0, float(rng.uniform(0.0, 6.0))))

    def places_mm(self, steps: int) -> tuple[Point, ...]:
        """Return the patient's displacement at each of so many time steps, to the millimetre."""
        places = []
        for step in range(steps):
            passed = (step + 0.5) / steps
            place = [
                round(float(creep * passed + (jump if step >= self.step_at else 0.0)))
                for creep, jump in zip(self.creep_mm, self.step_mm, strict=True)
            ]
            places.append((float(place[0]), float(place[1]), float(place[2])))
        return tuple(places)


@dataclass(frozen=True)
class Expected:
    """The mean of what a camera would count, and what is known about it."""

    projections: Projections  # `counts` are expected values
    sensitivity: Float  # by which the counts are divided after counting `[row, column]`; 1 for parallel holes
    truth: AcquisitionTruth

    def count(self, rng: np.random.Generator, dose_fraction: float = 1.0) -> Projections:
        """Return counts with Poisson noise; a `dose_fraction` keeps each event of the full study with that chance."""
        mean = self.projections.counts.astype(np.float64) * self.sensitivity
        counts = rng.poisson(mean)
        if dose_fraction != 1.0:
            counts = _kept(counts, dose_fraction, rng)
        return replace(self.projections, counts=(counts / self.sensitivity).astype(np.float32))


def acquire(
    patient: VirtualPatient,
    camera: Camera,
    rng: np.random.Generator,
    *,
    gated: bool = False,
    dose_fraction: float = 1.0,
    motion: Motion | None = None,
) -> Projections:
    """Return what `camera` counts of `patient`, with the noise of the counts.

    `dose_fraction` thins the counts of the full study binomially, as a share of its events would be. A gated
    acquisition summed over its gates (`Projections.ungated`) is the ungated one.
    """
    return expect(patient, camera, rng, gated=gated, motion=motion).count(rng, dose_fraction)


def expect(
    patient: VirtualPatient, camera: Camera, rng: np.random.Generator, *, gated: bool, motion: Motion | None = None
) -> Expected:
    """Return the mean of what `camera` would count; `rng` draws how close the heads come."""
    geometry = camera.geometry(patient, rng)
    steps = camera.time_steps
    places = motion.places_mm(steps) if motion else ((0.0, 0.0, 0.0),) * steps
    shape = (len(patient.gates) if gated else 1, geometry.views, geometry.rows, geometry.columns)
    primary, scatter = np.zeros(shape), np.zeros((len(camera.windows), *shape[1:]))
    ventricle = np.zeros(shape[1:])
    for place in sorted(set(places)):
        views = [view for view in range(geometry.views) if places[camera.time_step(view)] == place]
        part = _part(geometry, views, place)
        primary[:, views] = _primary(patient, camera, part, gated)
        ventricle[views] = _ventricle(patient, camera, part)
        scatter[:, views] = ScatterProjector(
            patient.mu_map, part, camera.blur, camera.windows, camera.energy_resolution
        ).project(patient.activity.values)
    gates = np.ones(len(primary))
    if gated:
        gates[-1] -= rng.uniform(0.0, LONGEST_LAST_GATE_DROP)
    parts = _Photons(primary, scatter, ventricle)
    return _expected(patient, camera, geometry, parts, gates, places if motion else ())


def _part(geometry: AcquisitionGeometry, views: list[int], moved_mm: Point) -> AcquisitionGeometry:
    """Return some views of a geometry as they look to a patient who has moved."""
    x, y, z = (middle - moved for middle, moved in zip(geometry.isocenter_mm, moved_mm, strict=True))
    radii = geometry.radius_mm or ()
    return replace(
        geometry,
        angles_deg=tuple(geometry.angles_deg[view] for view in views),
        radius_mm=tuple(radii[view] for view in views),
        isocenter_mm=(x, y, z),
    )


def _primary(patient: VirtualPatient, camera: Camera, geometry: AcquisitionGeometry, gated: bool) -> Float:
    """Return unscattered photons `[gate, view, row, column]` per unit of activity."""
    projector = Projector(patient.mu_map, geometry, camera.blur)
    counts = projector.project([patient.activity.values])
    if not gated:
        return counts
    beating = projector.project(patient.gates, patient.gates_box)
    return np.asarray(np.maximum(counts + beating, 0.0) / len(patient.gates))


def _ventricle(patient: VirtualPatient, camera: Camera, geometry: AcquisitionGeometry) -> Float:
    """Return unscattered photons `[view, row, column]` from the left ventricle's wall."""
    projector = Projector(patient.mu_map, geometry, camera.blur)
    return np.asarray(projector.project([patient.ventricle], patient.gates_box)[0])


@dataclass(frozen=True)
class _Photons:
    """Photons through the holes per unit of activity, by where they come from."""

    primary: Float  # [gate, view, row, column]
    scatter: Float  # [window, view, row, column], of all gates together
    ventricle: Float  # [view, row, column], of all gates together


def _expected(
    patient: VirtualPatient,
    camera: Camera,
    geometry: AcquisitionGeometry,
    photons: _Photons,
    gates: Float,
    places: tuple[Point, ...],
) -> Expected:
    """Return photons as counts: activity, time, decay, sensitivity, windows, the crystal, a share that penetrates."""
    protocol, resolution = camera.protocol, camera.energy_resolution
    times = np.array([camera.time_step(view) for view in range(geometry.views)]) * protocol.view_time_s
    rate = patient.mbq_per_unit * camera.sensitivity_cps_per_mbq / window_share(SENSITIVITY_WINDOW, resolution)
    seen = (rate * protocol.view_time_s * 0.5 ** (times / HALF_LIFE_S))[:, None, None] * camera.field_of_view()
    shares = np.array([window_share(window, resolution) for window in camera.windows])
    open_time = gates[None, :, None, None, None]
    unscattered = shares[:, None, None, None, None] * photons.primary[None] * seen * open_time
    scattered = (photons.scatter * seen)[:, None] / len(gates) * open_time
    through = PENETRATION_SHARE * (unscattered + scattered).mean(axis=(3, 4), keepdims=True) * camera.field_of_view()
    counts = unscattered + scattered + through
    peak = camera.photopeak
    truth = AcquisitionTruth(
        camera=camera.name,
        total_counts=round(float(counts[peak].sum()), 1),
        ventricle_counts=round(float((photons.ventricle * seen).sum() * shares[peak] * gates.mean()), 1),
        scatter_to_primary=round(float(scattered[peak].sum() / unscattered[peak].sum()), 4),
        last_gate=round(float(gates[-1]), 4),
        motion_mm=places,
    )
    projections = Projections(
        counts=counts.astype(np.float32),
        geometry=geometry,
        windows=camera.windows,
        photopeak=peak,
        view_time_s=protocol.view_time_s,
    )
    sensitivity = camera.focus.weights(geometry) if camera.focus else np.ones((geometry.rows, geometry.columns))
    return Expected(projections, sensitivity, truth)


def thin(projections: Projections, dose_fraction: float, rng: np.random.Generator) -> Projections:
    """Return the same acquisition with each event kept with the chance `dose_fraction`.

    Gates are thinned one by one, so that their sum is the ungated study at the same dose. Raises
    UnsuitableAcquisition for a fraction outside (0, 1] and for counts that are not whole events.
    """
    if not np.array_equal(projections.counts, np.rint(projections.counts)):
        raise UnsuitableAcquisition("only whole counts can be thinned to a lower dose")
    return replace(projections, counts=_kept(projections.counts, dose_fraction, rng).astype(np.float32))


def _kept(counts: NDArray[np.generic], dose_fraction: float, rng: np.random.Generator) -> NDArray[np.int64]:
    if not 0.0 < dose_fraction <= 1.0:
        raise UnsuitableAcquisition(f"a dose fraction of {dose_fraction} is not in (0, 1]")
    return rng.binomial(counts.astype(np.int64), dose_fraction)
