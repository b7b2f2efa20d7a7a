"""The even grids that the mu-map networks work on, laid about a reconstruction or as another patient would lie."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipelines.geometry import Float, VoxelGrid

VOXEL_MM = 9.6  # of the working grid; images and maps are on voxels cut into smaller ones
MULTIPLE = 8  # of voxels along each side, so that three halvings leave whole numbers


def working_grid(grid: VoxelGrid, voxel_mm: float = VOXEL_MM, multiple: int = MULTIPLE) -> VoxelGrid:
    """Return the axial grid of cubic voxels about the middle of a reconstruction that holds all of it."""
    low, high = bounds_mm(grid)
    sides = [math.ceil((top - bottom) / voxel_mm - 1e-6) for bottom, top in zip(low, high, strict=True)]
    x, y, z = (-(-max(side, 1) // multiple) * multiple for side in sides)
    middle = (low + high) / 2
    return VoxelGrid.axial((z, y, x), (voxel_mm,) * 3, (float(middle[0]), float(middle[1]), float(middle[2])))


def bounds_mm(grid: VoxelGrid) -> tuple[Float, Float]:
    """Return the lowest and the highest LPS coordinates (x, y, z) of a grid's voxels, their edges included."""
    corners = np.array(
        [
            grid.position_mm(*((np.array(corner) * np.array(grid.shape)) - 0.5).tolist())
            for corner in np.ndindex(2, 2, 2)
        ]
    )
    return corners.min(axis=0), corners.max(axis=0)


def posed(grid: VoxelGrid, turn_deg: Sequence[float], shift_mm: Sequence[float]) -> VoxelGrid:
    """Return the grid turned about its middle (x, then y, then z axis) and shifted: a patient who lies otherwise."""
    middle = np.append(grid.position_mm(*((np.array(grid.shape) - 1) / 2).tolist()), 1.0)
    move = np.eye(4)
    for axis, angle in enumerate(np.radians(turn_deg)):
        first, second = (one for one in range(3) if one != axis)
        turn = np.eye(4)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[second, first] = math.sin(angle)
        turn[first, second] = -turn[second, first]
        move = turn @ move
    move[:3, 3] = middle[:3] - move[:3, :3] @ middle[:3] + np.asarray(shift_mm)
    return VoxelGrid.of_matrix(grid.shape, move @ grid.matrix)


def finer_grid(grid: VoxelGrid, times: int) -> VoxelGrid:
    """Return the grid with each voxel cut into `times`^3."""
    matrix = grid.matrix
    matrix[:3, 3] = grid.position_mm(*[0.5 / times - 0.5] * 3)
    matrix[:3, :3] /= times
    z, y, x = (side * times for side in grid.shape)
    return VoxelGrid.of_matrix((z, y, x), matrix)
