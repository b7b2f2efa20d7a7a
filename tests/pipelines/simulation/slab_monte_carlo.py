"""A Monte Carlo simulation of a point source in a slab of water, as a second opinion on the scatter model.

Photons are followed through Compton scatterings (Klein and Nishina) one by one; at each, the chance to leave straight
toward the detector is added up (forced detection). It shares no formula with the model but the physics' constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from pipelines.images import EnergyWindow
from pipelines.simulation.energy import PHOTOPEAK_KEV, klein_nishina_cm2, window_share

Float = NDArray[np.float64]

SLAB_MM = 300.0
ELECTRONS_PER_MM3 = 3.343e20


@dataclass(frozen=True)
class Slab:
    """Counts per primary photon that the photopeak window counts."""

    peak_scatter: float
    low_scatter: float


def _compton_per_mm(energy: Float) -> Float:
    table = np.linspace(60.0, 141.0, 300)
    return np.interp(energy, table, [ELECTRONS_PER_MM3 * 100 * klein_nishina_cm2(float(e)) for e in table])


def _mu_per_mm(energy: Float) -> Float:
    return _compton_per_mm(energy) + 1.8e-4 * (PHOTOPEAK_KEV / energy) ** 3


def _differential(energy: Float, cosine: Float) -> Float:
    ratio = 1.0 / (1.0 + energy / 510.999 * (1.0 - cosine))
    return 0.5 * 7.9408e-26 * ratio**2 * (ratio + 1.0 / ratio - 1.0 + cosine**2)


def _scattering_cosines(energy: Float, rng: np.random.Generator) -> Float:
    cosine, waiting = np.empty_like(energy), np.arange(len(energy))
    while len(waiting):
        trial = rng.uniform(-1.0, 1.0, len(waiting))
        limit = _differential(energy[waiting], np.ones(len(waiting))) * rng.random(len(waiting))
        taken = limit < _differential(energy[waiting], trial)
        cosine[waiting[taken]] = trial[taken]
        waiting = waiting[~taken]
    return cosine


def _turned(direction: Float, cosine: Float, rng: np.random.Generator) -> Float:
    helper = np.where(np.abs(direction[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    one = np.cross(direction, helper)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    two = np.cross(direction, one)
    angle, sine = rng.uniform(0, 2 * pi, len(cosine)), np.sqrt(1.0 - cosine**2)
    across = one * np.cos(angle)[:, None] + two * np.sin(angle)[:, None]
    return direction * cosine[:, None] + across * sine[:, None]


def simulate(
    depth_mm: float, peak: EnergyWindow, low: EnergyWindow, resolution: float, seed: int, photons: int = 60_000
) -> Slab:
    """Follow photons from a point `depth_mm` below the surface of the slab; the detector looks straight down."""
    rng = np.random.default_rng(seed)
    table = np.linspace(60.0, 141.0, 400)
    shares = [np.array([window_share(window, resolution, float(e)) for e in table]) for window in (peak, low)]
    height = np.full(photons, -depth_mm)
    direction = rng.normal(size=(photons, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    energy, weight, counted = np.full(photons, PHOTOPEAK_KEV), np.ones(photons), np.zeros(2)
    for _ in range(7):
        height = height + direction[:, 2] * rng.exponential(1.0 / _mu_per_mm(energy))
        alive = (height < 0) & (height > -SLAB_MM) & (energy > 80.0)
        height, direction, energy, weight = height[alive], direction[alive], energy[alive], weight[alive]
        weight = weight * _compton_per_mm(energy) / _mu_per_mm(energy)
        up = direction[:, 2]
        left = energy / (1.0 + energy / 510.999 * (1.0 - up))
        chance = _differential(energy, up) / (_compton_per_mm(energy) / (ELECTRONS_PER_MM3 * 100))
        leaving = weight * chance * np.exp(_mu_per_mm(left) * height)
        counted += [float((leaving * np.interp(left, table, share)).sum()) for share in shares]
        cosine = _scattering_cosines(energy, rng)
        energy, direction = energy / (1.0 + energy / 510.999 * (1.0 - cosine)), _turned(direction, cosine, rng)
    unscattered = np.exp(-float(_mu_per_mm(np.array(PHOTOPEAK_KEV))) * depth_mm) / (4 * pi) * photons
    peak_scatter, low_scatter = counted / (unscattered * window_share(peak, resolution))
    return Slab(float(peak_scatter), float(low_scatter))
