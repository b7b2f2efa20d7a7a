"""Mu-map networks that go wrong on purpose: while a fault lasts, what each of them tells is changed.

As for the denoiser (`faults`), the fault is put behind the networks by PyTorch's hook on all modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook

from pipelines.geometry import VoxelGrid
from pipelines.networks.mu_map import MuMapNetwork
from pipelines.networks.mu_map_grid import finer_grid, working_grid

MapFault = Callable[[Tensor, VoxelGrid], Tensor]  # a map `[z, y, x]` in 1/cm and its axial grid -> changed
Point = tuple[float, float, float]

SOFT_PER_CM, LUNG_PER_CM = 0.155, 0.045
_LUNG_RANGE_PER_CM = (0.02, 0.10)


def flipped(axis: int) -> MapFault:
    """Return the fault that turns a map round along an axis (0: head and feet, 1: front and back, 2: sides)."""
    return lambda mu, grid: mu.flip(axis)


def scaled(factor: float) -> MapFault:
    """Return the fault that makes everything denser or thinner."""
    return lambda mu, grid: mu * factor


def shifted(shift_mm: Point) -> MapFault:
    """Return the fault that puts the patient elsewhere (LPS mm, to the voxel)."""

    def shift(mu: Tensor, grid: VoxelGrid) -> Tensor:
        steps = [round(mm / size) for mm, size in zip(shift_mm[::-1], grid.voxel_mm, strict=True)]
        return mu.roll(steps, dims=(0, 1, 2))

    return shift


def filled_lungs(mu: Tensor, grid: VoxelGrid) -> Tensor:
    """Return a map whose lungs are soft tissue."""
    low, high = _LUNG_RANGE_PER_CM
    return torch.where((mu > low) & (mu < high), SOFT_PER_CM, mu)


def ball(center_mm: Point, radius_mm: float, mu_per_cm: float) -> MapFault:
    """Return the fault that paints a ball (LPS mm) of one coefficient."""

    def paint(mu: Tensor, grid: VoxelGrid) -> Tensor:
        z, y, x = np.indices(grid.shape, dtype=np.float64)
        places = np.stack([x, y, z, np.ones_like(x)], axis=-1) @ grid.matrix[:3].T
        inside = np.linalg.norm(places - np.asarray(center_mm), axis=-1) < radius_mm
        return torch.where(torch.from_numpy(inside).to(mu.device), mu_per_cm, mu)

    return paint


def smoothed(voxels: int) -> MapFault:
    """Return the fault that averages over cubes of so many voxels (odd)."""
    return lambda mu, grid: functional.avg_pool3d(mu[None], voxels, 1, voxels // 2)[0]


def replaced(map_on: Callable[[VoxelGrid], np.ndarray]) -> MapFault:
    """Return the fault that tells another map, given as a function of the grid."""
    return lambda mu, grid: torch.from_numpy(map_on(grid).astype(np.float32)).to(mu)


@contextmanager
def faulty_map_networks(
    fault: MapFault | None, images: VoxelGrid, voxel_mm: float, only_first: bool = False
) -> Iterator[None]:
    """Let every mu-map network, or the first that is asked, have this fault.

    `images` is the grid of the reconstructions, `voxel_mm` the model's working voxel.
    """
    if fault is None:
        yield
        return
    asked: list[int] = []

    def change(module: nn.Module, inputs: Any, output: Any) -> Any:
        if not isinstance(module, MuMapNetwork):
            return None
        asked.append(id(module))
        if only_first and id(module) != asked[0]:
            return None
        grid = finer_grid(working_grid(images, voxel_mm), module.finer)
        return torch.stack([fault(one, grid) for one in output])

    hook = register_module_forward_hook(change)
    try:
        yield
    finally:
        hook.remove()
