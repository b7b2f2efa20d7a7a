"""Photons of technetium-99m in water: attenuation, Compton scattering, and what an energy window lets in."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipelines.images import EnergyWindow

Float = NDArray[np.float64]

PHOTOPEAK_KEV = 140.5
ELECTRON_KEV = 510.999
CLASSICAL_RADIUS_CM = 2.8179403e-13
ELECTRONS_PER_CM3 = 3.343e23  # of water
WATER_MU_PER_CM = 0.1536  # at the photopeak (NIST XCOM)
BONE_MU_PER_HU = 1.09e-4  # 1/cm per HU above water: two straight lines, 130 kVp to 140 keV (Siemens Symbia's table)
FWHM_TO_SIGMA = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))


def scattered_energy_kev(cosine: Float, energy_kev: float = PHOTOPEAK_KEV) -> Float:
    """Return the energy of a photon after it was scattered by the angle with this cosine (Compton 1923)."""
    return np.asarray(energy_kev / (1.0 + energy_kev / ELECTRON_KEV * (1.0 - cosine)))


def klein_nishina_cm2(energy_kev: float = PHOTOPEAK_KEV) -> float:
    """Return the total cross-section of one electron (Klein and Nishina 1929)."""
    a = energy_kev / ELECTRON_KEV
    first = (1 + a) / a**2 * (2 * (1 + a) / (1 + 2 * a) - math.log(1 + 2 * a) / a)
    second = math.log(1 + 2 * a) / (2 * a) - (1 + 3 * a) / (1 + 2 * a) ** 2
    return 2 * math.pi * CLASSICAL_RADIUS_CM**2 * (first + second)


def klein_nishina_per_sr(cosine: Float, energy_kev: float = PHOTOPEAK_KEV) -> Float:
    """Return the chance per steradian that a scattering turns the photon by the angle with this cosine."""
    ratio = scattered_energy_kev(cosine, energy_kev) / energy_kev
    differential = 0.5 * CLASSICAL_RADIUS_CM**2 * ratio**2 * (ratio + 1.0 / ratio - 1.0 + cosine**2)
    return np.asarray(differential / klein_nishina_cm2(energy_kev))


def water_mu_per_cm(energy_kev: float) -> float:
    """Return the attenuation of water near the photopeak: Compton scattering, and a remainder that falls as E^-3."""
    compton = ELECTRONS_PER_CM3 * klein_nishina_cm2(energy_kev)
    remainder = WATER_MU_PER_CM - ELECTRONS_PER_CM3 * klein_nishina_cm2()
    return compton + remainder * (PHOTOPEAK_KEV / energy_kev) ** 3


def window_share(window: EnergyWindow, resolution: float, energy_kev: float = PHOTOPEAK_KEV) -> float:
    """Return the share of photons of this energy whose measured energy falls into the window.

    `resolution` is the FWHM at the photopeak as a share of its energy; the FWHM grows with the root of the energy.
    """
    spread = math.sqrt(2.0) * resolution * math.sqrt(PHOTOPEAK_KEV * energy_kev) * FWHM_TO_SIGMA
    above, below = (window.upper_kev - energy_kev) / spread, (window.lower_kev - energy_kev) / spread
    return 0.5 * (math.erf(above) - math.erf(below))


def hounsfield_from_mu(mu_per_cm: Float) -> Float:
    """Return Hounsfield units of tissue with this mu at 140.5 keV: water and air on one line, bone on another."""
    soft = 1000.0 * (mu_per_cm / WATER_MU_PER_CM - 1.0)
    return np.where(soft <= 0.0, soft, (mu_per_cm - WATER_MU_PER_CM) / BONE_MU_PER_HU)


def mu_from_hounsfield(units: Float) -> Float:
    """Return mu (1/cm) at 140.5 keV of Hounsfield units; the inverse of `hounsfield_from_mu`."""
    soft = WATER_MU_PER_CM * (1.0 + units / 1000.0)
    return np.maximum(np.where(units <= 0.0, soft, WATER_MU_PER_CM + BONE_MU_PER_HU * units), 0.0)
