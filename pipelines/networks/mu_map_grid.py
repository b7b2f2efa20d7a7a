"""Brings volumes onto the even grid that the mu-map networks work on, and back, through the patient's coordinates.

The same numbers as `pipelines.physics.attenuation.resample`, for many volumes at once, on any device, and cheap enough
to lay each training patient a little otherwise at every step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

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
    return replace(grid, affine=_rows(move @ grid.matrix))


def part_of(grid: VoxelGrid, box: tuple[slice, slice, slice]) -> VoxelGrid:
    """Return the grid of the voxels that a box (z, y, x) cuts out of an array on the grid."""
    bounds = [cut.indices(size)[:2] for cut, size in zip(box, grid.shape, strict=True)]
    matrix = grid.matrix
    matrix[:3, 3] = grid.position_mm(*(float(start) for start, _ in bounds))
    z, y, x = (stop - start for start, stop in bounds)
    return VoxelGrid((z, y, x), _rows(matrix))


def finer_grid(grid: VoxelGrid, times: int) -> VoxelGrid:
    """Return the grid with each voxel cut into `times`^3."""
    matrix = grid.matrix
    matrix[:3, 3] = grid.position_mm(*[0.5 / times - 0.5] * 3)
    matrix[:3, :3] /= times
    z, y, x = (side * times for side in grid.shape)
    return VoxelGrid((z, y, x), _rows(matrix))


def onto(volumes: Tensor, source: VoxelGrid, target: VoxelGrid) -> Tensor:
    """Return volumes `[volume, z, y, x]` of one grid on another: trilinear, averaged over larger target voxels.

    Outside the source's field the values are 0.
    """
    finer = [max(1, round(new / old)) for new, old in zip(target.voxel_mm, source.voxel_mm, strict=True)]
    z, y, x = (size * times for size, times in zip(target.shape, finer, strict=True))
    grid = functional.affine_grid(
        _mapping(source, target, finer).to(volumes)[None], [1, 1, z, y, x], align_corners=True
    )
    found = functional.grid_sample(volumes[None], grid, padding_mode="zeros", align_corners=True)
    return functional.avg_pool3d(found, finer)[0] if max(finer) > 1 else found[0]


def _mapping(source: VoxelGrid, target: VoxelGrid, finer: Sequence[int]) -> Tensor:
    """Return `[3, 4]`: from a place among the target's fine points, -1 to 1 along each axis, to one in the source."""
    points = np.array(target.shape[::-1]) * np.array(finer[::-1])
    to_index = np.eye(4)  # from -1..1 to the fractional index of a target voxel
    for axis, (count, times) in enumerate(zip(points, finer[::-1], strict=True)):
        to_index[axis, axis] = (count - 1) / 2 / times
        to_index[axis, 3] = ((count - 1) / 2 + 0.5) / times - 0.5
    from_index = np.eye(4)
    for axis, count in enumerate(source.shape[::-1]):
        half = max(count - 1, 1) / 2
        from_index[axis, axis], from_index[axis, 3] = 1 / half, -(count - 1) / 2 / half
    mapping = from_index @ np.linalg.solve(source.matrix, target.matrix) @ to_index
    return torch.from_numpy(mapping[:3])


def _rows(matrix: Float) -> tuple[tuple[float, float, float, float], ...]:
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in matrix)
