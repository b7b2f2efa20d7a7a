"""Volumes on another grid hold what SciPy's interpolation finds there, whole or slab by slab."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from pipelines import resampling
from pipelines.geometry import VoxelGrid
from pipelines.images import Array, Unit, Volume
from pipelines.networks.mu_map_grid import finer_grid, posed, working_grid
from pipelines.resampling import resample

SOURCE = VoxelGrid.axial((14, 18, 20), (6.0, 6.4, 6.4), (5.0, -3.0, 11.0))
TARGETS = {
    "working": working_grid(SOURCE),
    "another": VoxelGrid.axial((9, 12, 13), (7.0, 5.0, 9.0), (0.0, 4.0, -2.0)),  # off the middle, finer along one axis
    "oblique": posed(working_grid(SOURCE), (10.0, -20.0, 30.0), (4.0, 5.0, 6.0)),
    "thin": VoxelGrid.axial((4, 1, 5), (12.8, 30.0, 12.8), (0.0, 0.0, 0.0)),
}


def noise(grid: VoxelGrid) -> Volume:
    values = np.random.default_rng(0).uniform(0, 1, grid.shape).astype(np.float32)
    return Volume(values, grid, Unit.PER_CM)


def from_back_to_front(grid: VoxelGrid) -> VoxelGrid:
    matrix = grid.matrix
    matrix[1, 1] *= -1
    return VoxelGrid.of_matrix(grid.shape, matrix)


def by_scipy(volume: Volume, target: VoxelGrid) -> Array:
    """Look up the middles of a target's voxels, each cut into as many points as voxels of the source fit along it."""
    cut = [max(1, round(new / old)) for new, old in zip(target.voxel_mm, volume.grid.voxel_mm, strict=True)]
    points = [(np.arange(size * times) + 0.5) / times - 0.5 for size, times in zip(target.shape, cut, strict=True)]
    z, y, x = np.meshgrid(*points, indexing="ij")
    places = np.linalg.solve(volume.grid.matrix, target.matrix @ np.stack([x, y, z, np.ones_like(x)]).reshape(4, -1))
    found = map_coordinates(volume.values, places[2::-1], order=1, mode="grid-constant").reshape(x.shape)
    blocks = [side for size, times in zip(target.shape, cut, strict=True) for side in (size, times)]
    return np.asarray(found.reshape(blocks).mean(axis=(1, 3, 5)), dtype=np.float32)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize(
    "source",
    [SOURCE, from_back_to_front(SOURCE), VoxelGrid.axial((1, 18, 20), (6.0, 6.4, 6.4), (5.0, -3.0, 11.0))],
    ids=["straight", "flipped", "one slice"],
)
def test_it_finds_what_scipy_finds(source: VoxelGrid, target: VoxelGrid) -> None:
    found = resample(noise(source), target)
    assert found.grid == target
    np.testing.assert_allclose(found.values, by_scipy(noise(source), target), atol=1e-5)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_slabs_are_parts_of_the_whole(target: VoxelGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resample(noise(SOURCE), target)
    monkeypatch.setattr(resampling, "_POINTS_AT_ONCE", 300)
    np.testing.assert_allclose(resample(noise(SOURCE), target).values, whole.values, atol=1e-5)


def test_a_linear_field_stays_linear() -> None:
    def linear(grid: VoxelGrid) -> Array:
        z, y, x = np.indices(grid.shape)
        place = np.moveaxis(np.stack([x, y, z, np.ones_like(x)]), 0, -1) @ grid.matrix[:3].T
        return np.asarray(place @ [0.01, -0.02, 0.03] + 1.0, dtype=np.float32)

    inside = VoxelGrid.axial((6, 8, 8), (6.4, 6.4, 6.4), (0.0, 0.0, 10.0))
    found = resample(Volume(linear(SOURCE), SOURCE, Unit.PER_CM), inside)
    np.testing.assert_allclose(found.values, linear(inside), rtol=1e-5)


def test_larger_voxels_hold_the_mean_of_those_inside_them() -> None:
    fine = finer_grid(SOURCE, 2)
    inside = (slice(1, -1),) * 3  # at its ends a voxel lies partly beyond the middles of the finer ones
    blocks = noise(fine).values.reshape(14, 2, 18, 2, 20, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(resample(noise(fine), SOURCE).values[inside], blocks[inside], atol=1e-5)


def test_outside_its_field_a_volume_holds_nothing_and_on_its_own_grid_it_is_itself() -> None:
    far = VoxelGrid.axial((6, 8, 8), (6.4, 6.4, 6.4), (1000.0, 0.0, 0.0))
    assert not resample(noise(SOURCE), far).values.any()
    source = noise(SOURCE)
    assert resample(source, SOURCE) is source
