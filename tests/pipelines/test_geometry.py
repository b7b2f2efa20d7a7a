"""AcquisitionGeometry refuses what is no camera; VoxelGrid places voxels in the patient."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pipelines.geometry import AcquisitionGeometry, VoxelGrid


def test_an_acquisition_counts_its_views() -> None:
    assert AcquisitionGeometry((0.0, 3.0, 6.0), (6.4, 6.4), 64, 64).views == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"angles_deg": ()}, "at least one view"),
        ({"radius_mm": (250.0,)}, "1 radii for 2 views"),
        ({"pixel_size_mm": (6.4, 0.0)}, "no detector"),
        ({"rows": 0}, "no detector"),
        ({"angles_deg": (0.0, float("nan"))}, "finite"),
        ({"isocenter_mm": (0.0, float("inf"), 0.0)}, "finite"),
    ],
)
def test_an_impossible_acquisition_is_refused(change: dict[str, object], message: str) -> None:
    right = {"angles_deg": (0.0, 6.0), "pixel_size_mm": (6.4, 6.4), "rows": 64, "columns": 64}
    with pytest.raises(ValueError, match=message):
        AcquisitionGeometry(**{**right, **change})  # type: ignore[arg-type]


def test_an_axial_grid_lies_along_the_patients_axes_around_its_middle() -> None:
    grid = VoxelGrid.axial((10, 20, 30), (3.0, 4.0, 5.0), (1.0, 2.0, 3.0))
    assert grid.voxel_mm == (3.0, 4.0, 5.0)
    np.testing.assert_allclose(grid.position_mm(4.5, 9.5, 14.5), (1.0, 2.0, 3.0))
    left_of_it = grid.position_mm(4.5, 9.5, 15.5) - grid.position_mm(4.5, 9.5, 14.5)
    np.testing.assert_allclose(left_of_it, (5.0, 0.0, 0.0))


def test_index_and_position_undo_each_other_on_an_oblique_grid() -> None:
    tilt = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]) * 4.0
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = tilt, (10.0, -20.0, 30.0)
    grid = VoxelGrid((5, 6, 7), tuple((a, b, c, d) for a, b, c, d in affine.tolist()))
    np.testing.assert_allclose(grid.index_of(tuple(grid.position_mm(1.5, 2.25, 3.0))), (1.5, 2.25, 3.0))


def test_a_grid_keys_a_cache_and_survives_pickling() -> None:
    grid = VoxelGrid.axial((4, 4, 4), (6.4, 6.4, 6.4), (0.0, 0.0, 0.0))
    assert {grid: 1}[pickle.loads(pickle.dumps(grid))] == 1  # noqa: S301


@pytest.mark.parametrize(
    ("shape", "diagonal", "message"),
    [
        ((0, 4, 4), (1.0, 1.0, 1.0), "holds nothing"),
        ((4, 4, 4), (1.0, 0.0, 1.0), "singular"),
        ((4, 4, 4), (1.0, float("nan"), 1.0), "finite"),
    ],
)
def test_an_impossible_grid_is_refused(shape: tuple[int, int, int], diagonal: tuple[float, ...], message: str) -> None:
    affine = np.diag([*diagonal, 1.0])
    with pytest.raises(ValueError, match=message):
        VoxelGrid(shape, tuple((a, b, c, d) for a, b, c, d in affine.tolist()))


def test_a_part_of_a_grid_keeps_its_place() -> None:
    whole = VoxelGrid.axial((14, 18, 20), (6.0, 6.4, 6.4), (5.0, -3.0, 11.0))
    part = whole.part((slice(3, 8), slice(None), slice(None)))
    assert part.shape == (5, 18, 20)
    assert np.allclose(part.position_mm(0, 2, 1), whole.position_mm(3, 2, 1))
