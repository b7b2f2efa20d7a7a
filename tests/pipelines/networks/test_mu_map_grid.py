"""The grids of the networks hold all of a reconstruction, finer or turned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.geometry import VoxelGrid
from pipelines.networks.mu_map_grid import bounds_mm, finer_grid, posed, working_grid
from pipelines.resampling import onto

FINE = VoxelGrid.axial((14, 18, 20), (6.0, 6.4, 6.4), (5.0, -3.0, 11.0))


def test_the_working_grid_holds_the_whole_reconstruction_in_multiples_of_eight() -> None:
    grid = working_grid(FINE)
    assert grid.voxel_mm == pytest.approx((9.6, 9.6, 9.6))
    assert all(side % 8 == 0 for side in grid.shape)
    assert (bounds_mm(grid)[0] <= bounds_mm(FINE)[0] + 1e-9).all()
    assert (bounds_mm(grid)[1] >= bounds_mm(FINE)[1] - 1e-9).all()


def test_a_finer_grid_fills_the_same_space_and_averages_to_the_coarse_one() -> None:
    coarse = working_grid(FINE)
    fine = finer_grid(coarse, 2)
    assert fine.shape == tuple(2 * side for side in coarse.shape)
    assert np.allclose(bounds_mm(fine), bounds_mm(coarse))
    ramp = torch.from_numpy(np.indices(fine.shape, dtype=np.float32)[2])[None]
    back = onto(ramp, fine, coarse)[0, 0, 0].numpy()
    assert np.allclose(back, 2 * np.arange(coarse.shape[2]) + 0.5, atol=1e-4)


def test_a_pose_turns_about_the_middle_and_shifts() -> None:
    middle = tuple((side - 1) / 2 for side in FINE.shape)
    moved = posed(FINE, (0.0, 0.0, 90.0), (10.0, 0.0, 0.0))
    assert np.allclose(moved.position_mm(*middle), np.add(FINE.position_mm(*middle), [10.0, 0.0, 0.0]))
    step = np.subtract(moved.position_mm(0, 0, 1), moved.position_mm(0, 0, 0))
    assert np.allclose(step, [0.0, 6.4, 0.0])  # what ran to the left runs to the back
    assert posed(FINE, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)) == FINE
