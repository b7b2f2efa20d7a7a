"""A virtual CT shows the patient's tissues, and lies as far off the emission as was asked."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.images import Unit, Volume
from pipelines.simulation.energy import hounsfield_from_mu, mu_from_hounsfield
from pipelines.simulation.registration import (
    Misregistration,
    attenuation_map,
    computed_tomography,
)
from pipelines.simulation.virtual_patient import VirtualPatient


def center_of(volume: Volume) -> np.ndarray:
    index = [float((volume.values * axis).sum() / volume.values.sum()) for axis in np.indices(volume.grid.shape)]
    return volume.grid.position_mm(*index)


def test_hounsfield_units_and_mu_turn_into_each_other() -> None:
    mu = np.array([0.0, 0.045, 0.1536, 0.16, 0.22])
    units = hounsfield_from_mu(mu)
    assert units[0] == -1000
    assert units[2] == 0
    np.testing.assert_allclose(mu_from_hounsfield(units), mu, atol=1e-12)


def test_the_ct_holds_air_lung_soft_tissue_and_bone(man: VirtualPatient) -> None:
    ct = computed_tomography(man, np.random.default_rng(1), slice_mm=20.0, pixel_mm=3.90625)
    assert ct.unit is Unit.HOUNSFIELD
    assert np.array_equal(ct.values, np.rint(ct.values))
    for low, high, least in ((-1024, -900, 0.3), (-850, -600, 0.02), (-120, 160, 0.1), (200, 700, 0.003)):
        assert ((ct.values >= low) & (ct.values <= high)).mean() > least


def test_a_ct_in_register_is_the_map_of_the_emission(man: VirtualPatient) -> None:
    held = man.body.mu_per_cm(man.mu_map.grid)
    assert float(np.abs(held - man.mu_map.values).mean()) < 0.002
    difference = held[:, :, ::4] - man.mu_map.values[:, :, ::4]
    assert float(np.percentile(np.abs(difference), 95)) < 0.01


def test_a_shifted_patient_is_shifted_in_the_map(man: VirtualPatient) -> None:
    moved = attenuation_map(man, Misregistration(translation_mm=(8.0, -5.0, 0.0)))
    still = attenuation_map(man, Misregistration())
    assert (center_of(moved) - center_of(still))[:2] == pytest.approx([8.0, -5.0], abs=0.6)
    assert still.values.shape == (68, 52, 80)


def test_a_deeper_breath_lowers_the_diaphragm(man: VirtualPatient) -> None:
    deep, mean = (attenuation_map(man, Misregistration(breath_mm=breath)) for breath in (-15.0, 0.0))
    assert deep.values.sum() < mean.values.sum()  # more lung in the field of view


def test_errors_are_as_large_as_in_clinical_practice() -> None:
    drawn = [Misregistration.draw(np.random.default_rng(seed)) for seed in range(2000)]
    shifts = np.array([error.translation_mm for error in drawn])
    assert shifts[np.linalg.norm(shifts, axis=1) < 12].std() == pytest.approx(3.8, abs=0.4)
    assert 0.01 < (np.linalg.norm(shifts, axis=1) > 12).mean() < 0.10
    breaths = np.array([error.breath_mm for error in drawn])
    assert breaths.min() >= -15.0
    assert breaths.mean() < 0.0
