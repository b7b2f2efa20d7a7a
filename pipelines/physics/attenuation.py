"""The mu-map: from Hounsfield units, and checked for its unit."""

from __future__ import annotations

import numpy as np

from pipelines.images import EnergyWindow, Unit, UnsuitableAcquisition, Volume

WATER_PER_CM = 0.1538  # at 140.5 keV, narrow beam (NIST XCOM)
TECHNETIUM_KEV = 140.5
_BONE_PER_CM_HU = 1.09e-4  # per Hounsfield unit above water, 120-130 kVp, at 140.5 keV
# mass attenuation coefficients in cm2/g: NIST, Hubbell and Seltzer 1995, tables 4 (water, cortical bone of ICRU-44)
_ENERGIES_KEV = (60.0, 80.0, 100.0, 150.0, 200.0)
_WATER = (0.2059, 0.1837, 0.1707, 0.1505, 0.1370)
_BONE = (0.3148, 0.2229, 0.1855, 0.1480, 0.1309)
_BONE_DENSITY = 1.92
DENSEST_HU = 1295.0  # cortical bone of ICRU-44 by the coefficients above; more is metal, or what a CT makes of it
_TOO_MUCH_METAL = 0.05  # of the body
_INSIDE_HU = -500.0  # more is no air
_LEAST_PER_CM = 0.05  # the largest value of a patient's or phantom's map is higher
_ABOVE_BONE = 1.7  # times the densest bone: no higher, whatever interpolation and a bit of metal do to a map


def mu_from_hounsfield(ct: Volume, energy_kev: float = TECHNETIUM_KEV) -> Volume:
    """Return the mu-map at a photon energy of a CT, by two straight lines that meet at water.

    Below 0 HU tissue is a mix of air and water; above, bone attenuates photons of a nuclide less than its CT number
    says. Burger et al., Eur. J. Nucl. Med. 29 (2002) 922; other energies than 140.5 keV by the ratio of NIST's
    coefficients of water and cortical bone. What is denser than bone counts as bone: CT numbers of metal say little
    of it, and a pacemaker's wire must not cost the patient the CT (`share_of_metal` tells how much that is). Raises
    UnsuitableAcquisition on other units and on more of it than any implant, ValueError on an energy outside the table.
    """
    if ct.unit is not Unit.HOUNSFIELD:
        raise UnsuitableAcquisition(f"a CT in {ct.unit.value} can't be turned into a mu-map; expected Hounsfield units")
    if (metal := share_of_metal(ct)) > _TOO_MUCH_METAL:
        words = f"{100 * metal:.2g} % of the body in the CT is denser than bone ({DENSEST_HU:g} HU)"
        raise UnsuitableAcquisition(f"{words}: these are no Hounsfield units")
    water = water_per_cm(energy_kev)
    excess = _bone_excess(energy_kev) / _bone_excess(TECHNETIUM_KEV)
    hounsfield = np.minimum(ct.values, np.float32(DENSEST_HU), dtype=np.float32)
    soft, bone = np.float32(water / 1000), np.float32(_BONE_PER_CM_HU * excess)
    mu = np.maximum(np.where(hounsfield <= 0, soft, bone) * hounsfield + np.float32(water), np.float32(0))
    return Volume(mu, ct.grid, Unit.PER_CM)


def share_of_metal(ct: Volume) -> float:
    """Return which share of what isn't air in a CT is denser than bone, and so counts as bone in its mu-map."""
    inside = int(np.count_nonzero(ct.values > _INSIDE_HU))
    return int(np.count_nonzero(ct.values > DENSEST_HU)) / inside if inside else 0.0


def photon_energy_kev(window: EnergyWindow) -> float:
    """Return the energy of the photons in a photopeak window: technetium's if it holds that, else its middle."""
    if window.upper_kev <= 0 or window.holds(TECHNETIUM_KEV):
        return TECHNETIUM_KEV
    return (window.lower_kev + window.upper_kev) / 2


def water_per_cm(energy_kev: float) -> float:
    """Return the attenuation coefficient of water. Raises ValueError on an energy outside the table."""
    return WATER_PER_CM * _coefficient(_WATER, energy_kev) / _coefficient(_WATER, TECHNETIUM_KEV)


def _bone_excess(energy_kev: float) -> float:
    """Return by how much cortical bone attenuates more than water, in 1/cm."""
    return _BONE_DENSITY * _coefficient(_BONE, energy_kev) - _coefficient(_WATER, energy_kev)


def _coefficient(table: tuple[float, ...], energy_kev: float) -> float:
    """Return a mass attenuation coefficient in cm2/g: straight lines between logarithms."""
    if not _ENERGIES_KEV[0] <= energy_kev <= _ENERGIES_KEV[-1]:
        low, high = _ENERGIES_KEV[0], _ENERGIES_KEV[-1]
        raise ValueError(f"photons of {energy_kev:g} keV; coefficients are known from {low:g} to {high:g} keV")
    return float(np.exp(np.interp(np.log(energy_kev), np.log(_ENERGIES_KEV), np.log(table))))


def check_mu_map(mu_map: Volume, energy_kev: float = TECHNETIUM_KEV) -> None:
    """Raise UnsuitableAcquisition unless the values can be attenuation coefficients in 1/cm for photons of an energy.

    A map in 1/mm or in Hounsfield units would pass every later step and give a wrong image in silence.
    """
    if mu_map.unit is not Unit.PER_CM:
        raise UnsuitableAcquisition(f"a mu-map in {mu_map.unit.value}; expected 1/cm")
    low, high = float(mu_map.values.min()), float(mu_map.values.max())
    known_kev = min(max(energy_kev, _ENERGIES_KEV[0]), _ENERGIES_KEV[-1])
    most = _ABOVE_BONE * _BONE_DENSITY * _coefficient(_BONE, known_kev)
    if low < -1e-3 or not _LEAST_PER_CM <= high <= most:
        raise UnsuitableAcquisition(
            f"the mu-map's values go from {low:.4g} to {high:.4g} 1/cm; water is {WATER_PER_CM} 1/cm at "
            f"{TECHNETIUM_KEV} keV, so the largest should lie in {_LEAST_PER_CM}-{most:.2f} at {energy_kev:g} keV"
        )
