"""From projections to volumes: each correction mends what it models; what is missing is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.geometry import VoxelGrid
from pipelines.images import EnergyWindow, Projections, Unit, UnsuitableAcquisition, Volume
from pipelines.physics.collimator import LEHR
from pipelines.physics.effective_source import scatter_from_effective_source
from pipelines.reconstruction.reconstruct import Scatter, Settings, natural_grid, reconstruct, reconstruct_gates
from pipelines.resampling import resample
from tests.accuracy.analytic import project_attenuated
from tests.accuracy.phantoms import THORAX, cylinder, orbit

GEOMETRY = orbit(30, 180.0, 36, 20, 11.0)
GRID = natural_grid(GEOMETRY)
MU = THORAX.mu_map_on(GRID)
TRUTH = THORAX.activity_on(GRID)
PEAK, LOWER = EnergyWindow(126.0, 154.0), EnergyWindow(112.0, 126.0)
COLLIMATOR = LEHR["SIEMENS"]


@pytest.fixture(scope="module")
def acquired() -> Projections:
    counts = project_attenuated(THORAX.activity, THORAX.attenuation, GEOMETRY, COLLIMATOR.sigma_mm, 1)
    return Projections(counts[None, None].astype(np.float32), GEOMETRY, (PEAK,))


def error(volume: Volume) -> float:
    inside = slice(3, -3)
    return float(np.linalg.norm((volume.values - TRUTH)[inside]) / np.linalg.norm(TRUTH[inside]))


def test_attenuation_correction_brings_the_image_near_to_the_truth(acquired: Projections) -> None:
    assert error(reconstruct(acquired, Settings())) > 0.6
    assert error(reconstruct(acquired, Settings(), mu_map=MU)) < 0.3


def test_a_mu_map_on_another_grid_does_as_well(acquired: Projections) -> None:
    elsewhere = VoxelGrid.axial((60, 96, 110), (5.0, 4.0, 4.0), (10.0, -5.0, 0.0))
    moved = resample(MU, elsewhere)
    same, other = (reconstruct(acquired, Settings(4), mu_map=mu).values for mu in (MU, moved))
    assert np.linalg.norm(other - same) < 0.05 * np.linalg.norm(same)


def test_gates_are_reconstructed_each_from_its_own_counts(acquired: Projections) -> None:
    shares = np.array([1.0, 3.0], np.float32)[None, :, None, None, None]
    first, second = reconstruct_gates(replace(acquired, counts=acquired.counts * shares), Settings(3))
    np.testing.assert_allclose(second.values, 3 * first.values, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(first.values, reconstruct(acquired, Settings(3)).values, rtol=1e-3, atol=1e-3)


def test_an_observer_sees_every_iteration_and_may_stop(acquired: Projections) -> None:
    seen: list[int] = []

    def stop_after_two(done: int, _: object) -> bool:
        seen.append(done)
        return done == 2

    (stopped,) = reconstruct_gates(acquired, Settings(8), observe=stop_after_two)
    assert seen == [1, 2]
    np.testing.assert_array_equal(stopped.values, reconstruct(acquired, Settings(2)).values)


def test_scatter_known_from_windows_is_taken_off(acquired: Projections) -> None:
    level = 0.25 * float(acquired.counts.mean())
    scatter = np.full_like(acquired.counts, level)
    windows = np.concatenate([acquired.counts + scatter, scatter * (14.0 / 28.0) * 2], axis=0)
    study = Projections(windows, GEOMETRY, (PEAK, LOWER))
    clean = reconstruct(acquired, Settings(), mu_map=MU).values
    corrected = reconstruct(study, Settings(scatter=Scatter.WINDOWS), mu_map=MU).values
    ignored = reconstruct(study, Settings(), mu_map=MU).values
    assert np.linalg.norm(corrected - clean) < 0.3 * np.linalg.norm(ignored - clean)


def test_scatter_from_an_effective_source_flattens_a_cylinder() -> None:
    geometry = orbit(24, 360.0, 36, 16, 11.0)
    grid = natural_grid(geometry)
    water = cylinder(100.0)
    activity = Volume(water.activity_on(grid), grid, Unit.COUNTS)
    mu = water.mu_map_on(grid)
    primary = project_attenuated(water.activity, water.attenuation, geometry, None, 2)
    scatter = scatter_from_effective_source(activity, mu, geometry, PEAK)
    study = Projections((primary + scatter)[None, None].astype(np.float32), geometry, (PEAK,))
    middle = (slice(6, 10), slice(16, 20), slice(16, 20))
    ignored = reconstruct(study, Settings(8, 4), mu_map=mu).values[middle].mean() / activity.values[middle].mean()
    settings = Settings(8, 4, scatter=Scatter.EFFECTIVE_SOURCE)
    corrected = reconstruct(study, settings, mu_map=mu).values[middle].mean() / activity.values[middle].mean()
    assert ignored > 1.2
    assert corrected == pytest.approx(1.0, abs=0.06)


def test_what_the_settings_ask_for_must_be_there(acquired: Projections) -> None:
    no_radius = replace(acquired, geometry=replace(GEOMETRY, radius_mm=None))
    with pytest.raises(UnsuitableAcquisition, match="radius of rotation is not known"):
        reconstruct(no_radius, Settings(collimator=COLLIMATOR))
    with pytest.raises(UnsuitableAcquisition, match="no scatter window"):
        reconstruct(acquired, Settings(scatter=Scatter.WINDOWS))
    with pytest.raises(UnsuitableAcquisition, match="only with a mu-map"):
        reconstruct(acquired, Settings(scatter=Scatter.EFFECTIVE_SOURCE))
    in_per_mm = Volume((MU.values / 10).astype(np.float32), GRID, Unit.PER_CM)
    with pytest.raises(UnsuitableAcquisition, match="mu-map's values"):
        reconstruct(acquired, Settings(), mu_map=in_per_mm)
