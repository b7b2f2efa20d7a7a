"""The scatter model agrees with a Monte Carlo simulation of a point source in water, and with physics at its edges."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Unit, Volume
from pipelines.simulation.camera import DISCOVERY
from pipelines.simulation.energy import (
    klein_nishina_cm2,
    klein_nishina_per_sr,
    scattered_energy_kev,
    water_mu_per_cm,
    window_share,
)
from pipelines.simulation.projector import Projector
from pipelines.simulation.scatter import ScatterProjector, coarser
from tests.pipelines.simulation.slab_monte_carlo import simulate

PEAK, LOW = EnergyWindow(126.45, 154.55), EnergyWindow(108.0, 129.0)
RESOLUTION = 0.098
STEP_MM = 3.2


def slab(depth_mm: float) -> tuple[Volume, np.ndarray, float]:
    """Water 300 mm deep whose surface faces a detector at angle 0; a ball of activity at about this depth."""
    shape = (128, 104, 160)
    grid = VoxelGrid.axial(shape, (STEP_MM,) * 3, (0.0, 0.0, 0.0))
    y = grid.matrix[1, 3] + STEP_MM * np.arange(shape[1])
    mu = np.zeros(shape, dtype=np.float32)
    mu[:, 2:98] = 0.1536
    surface = y[97] + STEP_MM / 2
    row = int(np.argmin(np.abs(y - (surface - depth_mm)))) // 4 * 4
    activity = np.zeros(shape)
    activity[60:64, row : row + 4, 76:80] = 1.0
    return Volume(mu, grid, Unit.PER_CM), activity, float(surface - y[row : row + 4].mean())


@pytest.mark.parametrize("depth_mm", [50.0, 100.0, 150.0])
def test_scatter_to_primary_of_a_point_in_water_agrees_with_monte_carlo(depth_mm: float) -> None:
    mu_map, activity, depth = slab(depth_mm)
    geometry = AcquisitionGeometry((0.0,), (8.0, 8.0), 64, 64, (260.0,))
    primary = Projector(mu_map, geometry, DISCOVERY.blur).project([activity]).sum() * window_share(PEAK, RESOLUTION)
    scatter = ScatterProjector(mu_map, geometry, DISCOVERY.blur, (PEAK, LOW), RESOLUTION).project(activity)
    truth = simulate(depth, PEAK, LOW, RESOLUTION, seed=5)
    assert scatter[0].sum() / primary == pytest.approx(truth.peak_scatter, rel=0.08)
    total, low = primary + scatter[0].sum(), primary * (1 + truth.peak_scatter)
    assert scatter[1].sum() / total == pytest.approx(truth.low_scatter * primary / low, rel=0.20)


def test_a_body_of_air_scatters_nothing() -> None:
    mu_map, activity, _ = slab(100.0)
    air = Volume(np.zeros_like(mu_map.values), mu_map.grid, Unit.PER_CM)
    geometry = AcquisitionGeometry((0.0,), (8.0, 8.0), 64, 64, (260.0,))
    assert ScatterProjector(air, geometry, DISCOVERY.blur, (PEAK,), RESOLUTION).project(activity).max() == 0.0


def test_compton_and_klein_nishina_keep_to_their_tables() -> None:
    assert float(scattered_energy_kev(np.array(1.0))) == pytest.approx(140.5)
    assert float(scattered_energy_kev(np.array(-1.0))) == pytest.approx(90.6, abs=0.1)
    cosine = np.linspace(-1, 1, 20001)
    whole = 2 * np.pi * np.trapezoid(klein_nishina_per_sr(cosine), cosine)
    assert whole == pytest.approx(1.0, abs=1e-6)
    assert klein_nishina_cm2() == pytest.approx(4.52e-25, rel=0.01)
    assert water_mu_per_cm(140.5) == pytest.approx(0.1536)
    assert water_mu_per_cm(118.0) / 0.1536 == pytest.approx(1.054, abs=0.006)  # NIST XCOM, interpolated


def test_windows_share_out_the_photopeak() -> None:
    below, inside, above = EnergyWindow(0.0, 126.45), EnergyWindow(126.45, 154.55), EnergyWindow(154.55, 400.0)
    shares = [window_share(window, RESOLUTION) for window in (below, inside, above)]
    assert sum(shares) == pytest.approx(1.0)
    assert shares[1] == pytest.approx(0.984, abs=0.003)


def test_a_coarser_volume_keeps_its_sum_and_its_place() -> None:
    rng = np.random.default_rng(3)
    grid = VoxelGrid.axial((8, 12, 16), (3.2,) * 3, (5.0, -3.0, 11.0))
    fine = Volume(rng.random((8, 12, 16)).astype(np.float32), grid, Unit.PER_CM)
    coarse = coarser(fine, 4)
    assert coarse.values.sum() * 64 == pytest.approx(fine.values.sum(), rel=1e-5)
    np.testing.assert_allclose(coarse.grid.position_mm(0, 0, 0), fine.grid.position_mm(1.5, 1.5, 1.5))
    with pytest.raises(ValueError, match="blocks"):
        coarser(fine, 5)
