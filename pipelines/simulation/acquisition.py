"""Brings a virtual patient to a camera: expected counts, then counts as the camera would store them."""

from __future__ import annotations

from dataclasses import replace
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from pipelines.images import EnergyWindow, Projections
from pipelines.simulation.camera import PHOTOPEAK_KEV, Camera
from pipelines.simulation.projector import FWHM_TO_SIGMA, Projector
from pipelines.simulation.virtual_patient import VirtualPatient

Float = NDArray[np.float64]

HALF_LIFE_S = 6.0067 * 3600.0  # technetium-99m


def acquire(
    patient: VirtualPatient,
    camera: Camera,
    rng: np.random.Generator,
    *,
    gated: bool = False,
    dose_fraction: float = 1.0,
) -> Projections:
    """Return what `camera` counts: Poisson noise, decay, the crystal's size.

    `dose_fraction` thins the counts of the full study binomially, as a share of its events would give.
    """
    expected = expected_counts(patient, camera, rng, gated=gated)
    full = replace(expected, counts=rng.poisson(expected.counts.astype(np.float64)).astype(np.float32))
    return full if dose_fraction == 1.0 else thin(full, dose_fraction, rng)


def expected_counts(patient: VirtualPatient, camera: Camera, rng: np.random.Generator, *, gated: bool) -> Projections:
    """Return the mean of what `camera` would count; `rng` draws how close the heads come."""
    geometry = camera.geometry(patient.mu_map, rng)
    activity = patient.activity
    projector = Projector(patient.mu_map, geometry, camera.blur)
    counts = projector.project([activity.values])
    if gated:
        beating = np.zeros((len(patient.gates), *activity.grid.shape))
        for number, gate in enumerate(patient.gates):
            beating[number][patient.gates_box] = gate
        counts = (counts + projector.project(list(beating))) / len(patient.gates)
    per_view = patient.mbq_per_unit * camera.sensitivity_cps_per_mbq * camera.protocol.view_time_s
    decay = 0.5 ** (np.arange(geometry.views) * camera.protocol.view_time_s / camera.heads / HALF_LIFE_S)
    seen = per_view * decay[:, None, None] * camera.field_of_view()
    shares = [window_share(window, camera.energy_resolution) for window in camera.windows]
    windows = np.stack([np.maximum(counts, 0.0) * seen * share for share in shares])
    return Projections(
        counts=windows.astype(np.float32),
        geometry=geometry,
        windows=camera.windows,
        photopeak=camera.photopeak,
        view_time_s=camera.protocol.view_time_s,
    )


def window_share(window: EnergyWindow, resolution: float) -> float:
    """Return the share of unscattered photons whose measured energy falls into the window."""
    spread = sqrt(2.0) * resolution * PHOTOPEAK_KEV * FWHM_TO_SIGMA
    return 0.5 * (erf((window.upper_kev - PHOTOPEAK_KEV) / spread) - erf((window.lower_kev - PHOTOPEAK_KEV) / spread))


def thin(projections: Projections, dose_fraction: float, rng: np.random.Generator) -> Projections:
    """Return the same acquisition with each event kept with the probability `dose_fraction`.

    Gates are thinned one by one, so that their sum is the ungated study at the same dose.
    """
    if not 0.0 < dose_fraction <= 1.0:
        raise ValueError(f"a dose fraction of {dose_fraction} is not in (0, 1]")
    kept = rng.binomial(projections.counts.astype(np.int64), dose_fraction)
    return replace(projections, counts=kept.astype(np.float32))
