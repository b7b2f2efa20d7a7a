"""Mu-maps come from CT by the bilinear rule, in the right unit, on the right grid."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import VoxelGrid
from pipelines.images import EnergyWindow, Unit, UnsuitableAcquisition, Volume
from pipelines.physics.attenuation import (
    WATER_PER_CM,
    check_mu_map,
    mu_from_hounsfield,
    photon_energy_kev,
    share_of_metal,
)

GRID = VoxelGrid.axial((6, 8, 8), (6.4, 6.4, 6.4), (0.0, 0.0, 0.0))


def volume(values: np.ndarray, unit: Unit = Unit.PER_CM, grid: VoxelGrid = GRID) -> Volume:
    return Volume(np.broadcast_to(values, grid.shape).astype(np.float32), grid, unit)


@pytest.mark.parametrize(
    ("hounsfield", "mu"), [(-1000, 0.0), (-1024, 0.0), (-700, 0.0461), (0, WATER_PER_CM), (1000, 0.2628)]
)
def test_hounsfield_units_become_attenuation_at_140_kev(hounsfield: float, mu: float) -> None:
    found = mu_from_hounsfield(volume(np.array(hounsfield), Unit.HOUNSFIELD))
    assert found.unit is Unit.PER_CM
    np.testing.assert_allclose(found.values, mu, atol=1e-4)


def test_only_hounsfield_units_are_taken_for_a_ct() -> None:
    with pytest.raises(UnsuitableAcquisition, match="expected Hounsfield units"):
        mu_from_hounsfield(volume(np.array(0.15)))


@pytest.mark.parametrize("largest", [0.015, 1.5, 0.0])
def test_a_map_in_another_unit_or_an_empty_one_is_refused(largest: float) -> None:
    with pytest.raises(UnsuitableAcquisition, match=r"water is 0\.1538 1/cm"):
        check_mu_map(volume(np.array(largest)))


def test_a_map_of_the_wrong_kind_or_with_negative_values_is_refused() -> None:
    with pytest.raises(UnsuitableAcquisition, match="expected 1/cm"):
        check_mu_map(volume(np.array(0.15), Unit.HOUNSFIELD))
    values = np.full(GRID.shape, 0.15)
    values[0, 0, 0] = -0.1
    with pytest.raises(UnsuitableAcquisition, match=r"from -0\.1"):
        check_mu_map(volume(values))
    check_mu_map(volume(np.array(0.22)))


def with_metal(hounsfield: float) -> Volume:
    """A body with a wire in it, air around it."""
    values = np.full(GRID.shape, -1000.0)
    values[:, 1:-1, 1:-1] = 40.0
    values[2:4, 4, 4] = hounsfield
    return Volume(values.astype(np.float32), GRID, Unit.HOUNSFIELD)


@pytest.mark.parametrize(("energy_kev", "bone"), [(140.5, 0.295), (71.0, 0.494)])
@pytest.mark.parametrize("hounsfield", [1300.0, 3071.0, 20000.0])
def test_metal_counts_as_the_densest_bone_and_costs_nobody_the_ct(
    hounsfield: float, energy_kev: float, bone: float
) -> None:
    mu = mu_from_hounsfield(with_metal(hounsfield), energy_kev)
    check_mu_map(mu, energy_kev)
    assert float(mu.values.max()) == pytest.approx(bone, rel=0.01)
    assert share_of_metal(with_metal(hounsfield)) == pytest.approx(2 / (6 * 36))
    assert share_of_metal(with_metal(1200.0)) == 0.0
    assert share_of_metal(volume(np.array(-1000.0), Unit.HOUNSFIELD)) == 0.0


def test_more_metal_than_any_implant_is_a_ct_in_other_numbers() -> None:
    with pytest.raises(UnsuitableAcquisition, match="these are no Hounsfield units"):
        mu_from_hounsfield(volume(np.array(2048.0), Unit.HOUNSFIELD))


@pytest.mark.parametrize("energy_kev", [71.0, 140.5, 364.0])
def test_dense_bone_passes_at_any_energy_and_other_units_at_none(energy_kev: float) -> None:
    check_mu_map(volume(np.array(0.8 if energy_kev < 100 else 0.4)), energy_kev)
    for wrong in (0.05 * 0.15, 1.54, 15.4, 1000.0):
        with pytest.raises(UnsuitableAcquisition, match="the largest should lie in"):
            check_mu_map(volume(np.array(wrong)), energy_kev)


@pytest.mark.parametrize(
    ("window", "energy_kev"),
    [((126.0, 154.0), 140.5), ((0.0, 0.0), 140.5), ((143.0, 175.0), 159.0), ((64.0, 78.0), 71.0)],
)
def test_a_window_tells_the_energy_of_its_photons(window: tuple[float, float], energy_kev: float) -> None:
    assert photon_energy_kev(EnergyWindow(*window)) == energy_kev


@pytest.mark.parametrize(("energy_kev", "water"), [(140.5, WATER_PER_CM), (159.0, 0.1479), (72.0, 0.1909)])
def test_other_photons_are_attenuated_as_tables_say(energy_kev: float, water: float) -> None:
    hounsfield = np.broadcast_to(np.array([-1000.0, 0.0, 800.0]), (*GRID.shape[:2], 3))
    grid = VoxelGrid.axial(hounsfield.shape, (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    mu = mu_from_hounsfield(Volume(hounsfield.astype(np.float32), grid, Unit.HOUNSFIELD), energy_kev).values[0, 0]
    assert mu[0] == 0.0
    assert mu[1] == pytest.approx(water, rel=0.01)
    bone_over_water = {140.5: 1.567, 159.0: 1.53, 72.0: 1.96}[energy_kev]
    assert mu[2] / mu[1] == pytest.approx(bone_over_water, rel=0.02)


def test_photons_that_the_table_does_not_know_are_refused() -> None:
    ct = volume(np.zeros(GRID.shape), Unit.HOUNSFIELD)
    with pytest.raises(ValueError, match="known from 60 to 200 keV"):
        mu_from_hounsfield(ct, 511.0)
