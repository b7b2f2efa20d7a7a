"""The effective source scatters as much as a cylinder of water does, and where there is matter to scatter in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.geometry import VoxelGrid
from pipelines.images import EnergyWindow, Unit, Volume
from pipelines.physics.effective_source import scatter_from_effective_source
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.reconstruct import natural_grid
from tests.accuracy.analytic import Ellipsoid, voxelize
from tests.accuracy.phantoms import orbit

GEOMETRY = orbit(4, 360.0, 48, 36, 8.0, start_deg=180.0)
GRID = natural_grid(GEOMETRY)
PEAK = EnergyWindow(126.0, 154.0)


def body(radius_mm: float, value: float, unit: Unit) -> Volume:
    cylinder = [Ellipsoid((0.0, 0.0, 0.0), (radius_mm, radius_mm, 1e6), value)]
    per_voxel = voxelize(cylinder, GRID) / np.prod(GRID.voxel_mm)
    return Volume(per_voxel.astype(np.float32), GRID, unit)


def primary(activity: Volume, mu_map: Volume) -> np.ndarray:
    camera = SystemMatrix(GEOMETRY, GRID, mu_per_cm=torch.from_numpy(mu_map.values))
    counts: np.ndarray = camera.forward_project(torch.from_numpy(activity.values)[None])[0].numpy()
    return counts


def test_a_filled_cylinder_scatters_about_a_quarter_of_its_unscattered_counts_once() -> None:
    activity, mu = body(100.0, 1.0, Unit.COUNTS), body(100.0, 0.15, Unit.PER_CM)
    scatter = scatter_from_effective_source(activity, mu, GEOMETRY, PEAK)
    share = scatter[:, 18, 24] / primary(activity, mu)[:, 18, 24]
    np.testing.assert_allclose(share, 0.27, atol=0.06)  # with higher orders 0.3 to 0.4 (Floyd et al. 1984)
    np.testing.assert_allclose(scatter.sum(axis=(1, 2)), scatter[0].sum(), rtol=0.02)


def test_a_line_source_scatters_more_than_a_filled_cylinder_and_widely() -> None:
    line, mu = body(8.0, 1.0, Unit.COUNTS), body(100.0, 0.15, Unit.PER_CM)
    scatter, unscattered = scatter_from_effective_source(line, mu, GEOMETRY, PEAK), primary(line, mu)
    assert 0.35 < scatter[0, 18].sum() / unscattered[0, 18].sum() < 0.6
    column = np.arange(48) - 23.5
    width = [np.sqrt((row * column**2).sum() / row.sum()) for row in (scatter[0, 18], unscattered[0, 18])]
    assert width[0] > 3 * width[1]


def test_a_narrower_window_takes_less_scatter_and_air_none() -> None:
    activity, mu = body(100.0, 1.0, Unit.COUNTS), body(100.0, 0.15, Unit.PER_CM)
    wide = scatter_from_effective_source(activity, mu, GEOMETRY, PEAK).sum()
    assert scatter_from_effective_source(activity, mu, GEOMETRY, EnergyWindow(133.0, 148.0)).sum() < 0.8 * wide
    air = Volume(np.zeros(GRID.shape, np.float32), GRID, Unit.PER_CM)
    assert scatter_from_effective_source(activity, air, GEOMETRY, PEAK).sum() == pytest.approx(0.0)


def test_scatter_comes_from_the_side_where_the_activity_is() -> None:
    left = Volume(np.zeros(GRID.shape, np.float32), GRID, Unit.COUNTS)
    place = GRID.index_of((60.0, 0.0, 40.0)).round().astype(int)
    left.values[tuple(place)] = 1.0
    scatter = scatter_from_effective_source(left, body(100.0, 0.15, Unit.PER_CM), GEOMETRY, PEAK)[0]
    row, column = (
        float((scatter.sum(axis=axis) * np.arange(n)).sum() / scatter.sum()) for axis, n in ((1, 36), (0, 48))
    )
    assert column > 23.5 + 4  # seen from the front, the patient's left is on the right
    assert row < 17.5 - 3


def test_the_estimate_does_not_depend_on_the_grid_of_the_activity() -> None:
    fine = VoxelGrid.axial((72, 96, 96), (4.0, 4.0, 4.0), GEOMETRY.isocenter_mm)
    cylinder = [Ellipsoid((20.0, 10.0, 0.0), (60.0, 60.0, 80.0), 1.0)]
    mu = body(120.0, 0.15, Unit.PER_CM)
    totals = []
    for grid in (GRID, fine):
        activity = Volume(voxelize(cylinder, grid).astype(np.float32), grid, Unit.COUNTS)
        totals.append(scatter_from_effective_source(activity, mu, GEOMETRY, PEAK).sum())
    assert totals[0] == pytest.approx(totals[1], rel=0.02)
