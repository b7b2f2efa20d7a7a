"""The system matrix is linear, exactly adjoint, keeps counts, and refuses what does not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.physics import system_matrix
from pipelines.physics.collimator import LEHR, FocalSensitivity
from pipelines.physics.rotation import Support
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.reconstruct import natural_grid
from tests.properties import assert_adjoint, assert_counts_kept, assert_linear

GEOMETRY = AcquisitionGeometry(
    tuple(40.0 - 22.5 * view for view in range(8)),
    (6.0, 8.0),
    9,
    18,
    radius_mm=tuple(190.0 + 10 * (view % 3) for view in range(8)),
    isocenter_mm=(5.0, -100.0, 60.0),
    center_of_rotation_offset_mm=3.0,
)
GRID = natural_grid(GEOMETRY)
MU = 0.15 * torch.rand(GRID.shape, generator=torch.Generator().manual_seed(0))

CAMERAS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "attenuation": {"mu_per_cm": MU},
    "blur": {"collimator": LEHR["GE"]},
    "attenuation and blur": {"mu_per_cm": MU, "collimator": LEHR["GE"]},
    "attenuation and blur, whole grid": {"mu_per_cm": MU, "collimator": LEHR["GE"], "support": Support.GRID},
    "multifocal": {"sensitivity": FocalSensitivity()},
}


def random(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("options", CAMERAS.values(), ids=CAMERAS.keys())
@pytest.mark.parametrize("gates", [1, 3])
def test_every_camera_is_linear_and_exactly_adjoint(options: dict[str, Any], gates: int) -> None:
    camera = SystemMatrix(GEOMETRY, GRID, **options)
    x, other = random(1, gates, *GRID.shape), random(2, gates, *GRID.shape)
    assert_linear(camera, x, other)
    assert_adjoint(camera, x, random(3, gates, 8, 9, 18))


@pytest.mark.parametrize("options", [CAMERAS["attenuation and blur"], CAMERAS["nothing"]], ids=["full", "nothing"])
def test_views_in_small_groups_give_what_all_together_give(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = random(1, 2, *GRID.shape), random(2, 2, 8, 9, 18)
    whole = SystemMatrix(GEOMETRY, GRID, **options)
    forward, back = whole.forward_project(x), whole.back_project(y)
    monkeypatch.setattr(system_matrix, "_CPU_GROUP_BYTES", 1)
    monkeypatch.setattr(system_matrix, "_CPU_GROUP_VIEWS", 3)
    monkeypatch.setattr(system_matrix, "_CPU_BLOCK_BYTES", 2 * 18 * 18 * 9 * 4)
    parts = SystemMatrix(GEOMETRY, GRID, **options)
    assert parts._views_of_groups == [3, 3, 2]
    torch.testing.assert_close(parts.forward_project(x), forward)
    torch.testing.assert_close(parts.back_project(y), back)


@pytest.mark.parametrize("options", CAMERAS.values(), ids=CAMERAS.keys())
def test_a_subset_projects_its_views_as_the_whole_does(options: dict[str, Any]) -> None:
    camera = SystemMatrix(GEOMETRY, GRID, **options)
    x = random(1, 1, *GRID.shape)
    some = [5, 0, 6]
    # nodes of the blur are placed for the radii of the subset, so the blurs differ by their interpolation
    torch.testing.assert_close(
        camera.subset(some).forward_project(x), camera.forward_project(x)[:, some], rtol=5e-3, atol=1e-3
    )


def test_every_view_counts_the_whole_activity() -> None:
    wide = replace(GEOMETRY, columns=40, rows=31)
    block = torch.zeros(1, 31, 40, 40)
    block[:, 11:20, 12:28, 12:28] = 1.0
    assert_counts_kept(SystemMatrix(wide, natural_grid(wide), collimator=LEHR["GE"]), block)


def test_at_a_right_angle_the_projection_is_the_sum_along_the_axis_of_the_patient() -> None:
    geometry = AcquisitionGeometry((180.0, 90.0), (6.0, 6.0), 5, 16)
    volume = torch.zeros(1, 5, 16, 16)
    volume[:, :, 4:12, 4:12] = random(1, 1, 5, 8, 8)
    front, left = SystemMatrix(geometry, natural_grid(geometry)).forward_project(volume)[0]
    torch.testing.assert_close(front, volume[0].sum(1).flip(0))  # anterior: the patient's left on the right
    torch.testing.assert_close(left, volume[0].sum(2).flip(0))  # left lateral: the front on the left


def test_photons_are_attenuated_half_way_through_their_own_voxel() -> None:
    geometry = AcquisitionGeometry((180.0,), (10.0, 10.0), 1, 15)
    mu = torch.full((1, 15, 15), 0.15)
    x = torch.zeros(1, 1, 15, 15)
    x[0, 0, 5, 7] = 1.0  # five voxels of 1 cm between it and the front
    counted = SystemMatrix(geometry, natural_grid(geometry), mu_per_cm=mu).forward_project(x)
    assert float(counted.sum()) == pytest.approx(np.exp(-0.15 * 5.5), rel=1e-6)


def test_its_derivative_is_that_of_finite_differences() -> None:
    small = AcquisitionGeometry((10.0, 100.0, 200.0), (10.0, 10.0), 3, 6, radius_mm=(60.0, 70.0, 65.0))
    mu = 0.1 * random(0, 3, 6, 6).double()
    camera = SystemMatrix(small, natural_grid(small), mu_per_cm=mu, collimator=LEHR["GE"], dtype=torch.float64)
    x = random(1, 1, 3, 6, 6).double().requires_grad_()
    y = random(2, 1, 3, 3, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(camera.forward_project, (x,))
    assert torch.autograd.gradcheck(camera.back_project, (y,))
    assert torch.autograd.gradgradcheck(lambda value: camera.forward_project(value).square(), (x,))


def test_the_layout_that_comes_back_needs_no_copy_next_time() -> None:
    back = SystemMatrix(GEOMETRY, GRID).back_project(random(1, 2, 8, 9, 18))
    assert back.permute(2, 3, 0, 1).is_contiguous()


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (VoxelGrid.axial((9, 18, 18), (6.0, 4.0, 4.0), GEOMETRY.isocenter_mm), "detector's pixel size"),
        (VoxelGrid.axial((8, 18, 18), (6.0, 8.0, 8.0), GEOMETRY.isocenter_mm), "8 slices do not lie at"),
        (VoxelGrid.axial((9, 18, 18), (6.0, 8.0, 8.0), (5.0, -100.0, 63.0)), "do not lie at the detector's 9 rows"),
    ],
)
def test_a_grid_that_does_not_fit_is_refused(grid: VoxelGrid, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SystemMatrix(GEOMETRY, grid)


def test_a_grid_beside_the_axis_is_projected_where_it_lies() -> None:
    beside = VoxelGrid.axial((9, 10, 12), (6.0, 8.0, 8.0), (5.0 + 8.0 * 2, -100.0 - 8.0, 60.0))
    volume = random(1, 1, 9, 10, 12)
    whole = torch.zeros(1, *GRID.shape)
    whole[:, :, 3:13, 5:17] = volume
    near = SystemMatrix(GEOMETRY, beside).forward_project(volume)
    torch.testing.assert_close(near, SystemMatrix(GEOMETRY, GRID).forward_project(whole))


def test_wrong_shapes_and_missing_radii_are_refused() -> None:
    camera = SystemMatrix(GEOMETRY, GRID)
    with pytest.raises(ValueError, match="activity of shape"):
        camera.forward_project(torch.zeros(9, 18, 18))
    with pytest.raises(ValueError, match="projections of shape"):
        camera.back_project(torch.zeros(1, 7, 9, 18))
    with pytest.raises(ValueError, match="a mu-map of shape"):
        SystemMatrix(GEOMETRY, GRID, mu_per_cm=torch.zeros(9, 18, 17))
    with pytest.raises(ValueError, match="radius of rotation"):
        SystemMatrix(replace(GEOMETRY, radius_mm=None), GRID, collimator=LEHR["GE"])
