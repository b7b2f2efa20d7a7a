"""Volumes from one grid onto another, through the patient's coordinates: trilinear, averaged over larger voxels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipelines.geometry import Float, VoxelGrid
from pipelines.images import Volume

_POINTS_AT_ONCE = 2_000_000  # that are looked up: a CT has many in each voxel of a reconstruction, 20 bytes each


def resample(volume: Volume, grid: VoxelGrid) -> Volume:
    """Return the volume on another grid, 0 outside its own field; itself where the grid is its own."""
    if volume.grid == grid:
        return volume
    source = torch.from_numpy(np.ascontiguousarray(volume.values, dtype=np.float32))[None]
    parts = [onto(source, volume.grid, part)[0] for part in _slabs(volume.grid, grid)]
    return Volume(torch.cat(parts).numpy(), grid, volume.unit)


def onto(volumes: Tensor, source: VoxelGrid, target: VoxelGrid) -> Tensor:
    """Return volumes `[volume, z, y, x]` of one grid on another, on any device, 0 outside their own field.

    Cheap enough to lay each training patient a little otherwise at every step.
    """
    finer = _points_in_voxel(source, target)
    rows, along = (torch.from_numpy(part).to(volumes) for part in _places(source, target, finer))
    places = rows[:, :, None] + along
    found = functional.grid_sample(volumes[None], places[None], padding_mode="zeros", align_corners=False)
    return functional.avg_pool3d(found, finer)[0] if max(finer) > 1 else found[0]


def _slabs(source: VoxelGrid, target: VoxelGrid) -> Iterator[VoxelGrid]:
    """Yield the target in parts along z, each of so few points that memory stays small."""
    slices, rows, columns = target.shape
    points = rows * columns * int(np.prod(_points_in_voxel(source, target)))
    step = max(1, _POINTS_AT_ONCE // points)
    for first in range(0, slices, step):
        yield target.part((slice(first, first + step), slice(None), slice(None)))


def _points_in_voxel(source: VoxelGrid, target: VoxelGrid) -> list[int]:
    """Return into how many points each voxel of the target is cut along z, y, x, to be averaged."""
    return [max(1, round(new / old)) for new, old in zip(target.voxel_mm, source.voxel_mm, strict=True)]


def _places(source: VoxelGrid, target: VoxelGrid, finer: Sequence[int]) -> tuple[Float, Float]:
    """Return where the target's fine points lie in the source, x, y, z, its edges at -1 and 1.

    First the beginning of each row `[z, y, 3]`, then what is added to it along the row `[x, 3]`.
    """
    to_index = np.eye(4)  # of a voxel of the target, from that of a fine point
    to_place = np.eye(4)  # from the index of a voxel of the source
    for axis, (times, count) in enumerate(zip(finer[::-1], source.shape[::-1], strict=True)):
        to_index[axis, axis], to_index[axis, 3] = 1 / times, 0.5 / times - 0.5
        to_place[axis, axis], to_place[axis, 3] = 2 / count, 1 / count - 1
    x_step, y_step, z_step, first = (to_place @ np.linalg.solve(source.matrix, target.matrix) @ to_index)[:3].T
    z, y, x = (np.arange(size * times)[:, None] for size, times in zip(target.shape, finer, strict=True))
    return (z * z_step + first)[:, None] + y * y_step, x * x_step
