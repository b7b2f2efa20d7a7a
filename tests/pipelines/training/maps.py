"""Small patients with lungs, a heart and a table for the tests of mu-map trainings, and what a camera counts."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Projections, Unit, Volume
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.reconstruct import natural_grid
from pipelines.training.mu_map_data import MapCohort, MapPair, PairMaker, split_pairs

VOXEL_MM = 16.0
ROWS, COLUMNS, VIEWS = 16, 24, 12
WINDOWS = (EnergyWindow(129.5, 150.5, "Tc99m"), EnergyWindow(108.5, 129.5, "scatter"))


def geometry() -> AcquisitionGeometry:
    return AcquisitionGeometry(
        angles_deg=tuple(225.0 - 180.0 / VIEWS * view for view in range(VIEWS)),
        pixel_size_mm=(VOXEL_MM, VOXEL_MM),
        rows=ROWS,
        columns=COLUMNS,
        radius_mm=(220.0,) * VIEWS,
    )


def map_grid() -> VoxelGrid:
    """A grid of its own: finer and not about the middle, as a transmission map's is."""
    return VoxelGrid.axial((32, 44, 48), (8.0, 8.0, 8.0), (4.0, 8.0, 0.0))


def tissues(grid: VoxelGrid, seed: int, *, table: bool = True) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mu in 1/cm and activity `[z, y, x]` of patient `seed`."""
    rng = np.random.default_rng(seed)
    half_x, half_y = rng.uniform(120, 160), rng.uniform(90, 115)
    z, y, x = np.indices(grid.shape, dtype=np.float64)
    first = grid.position_mm(0, 0, 0)
    depth, height, width = grid.voxel_mm
    x, y, z = first[0] + width * x, first[1] + height * y, first[2] + depth * z
    body = (x / half_x) ** 2 + (y / half_y) ** 2 < 1
    lungs = ((np.abs(x) - 0.5 * half_x) / (0.35 * half_x)) ** 2 + (y / (0.7 * half_y)) ** 2 < 1
    heart = np.sqrt((x - 40) ** 2 + (y + 30) ** 2 + z**2)
    wall, cavity = (heart < 45) & (heart > 20), heart <= 20
    mu = np.where(body, 0.155, 0.0)
    mu[lungs & body & (z > -60) & (heart > 45)] = 0.045
    if table:
        mu[(y > half_y + 12) & (y < half_y + 36) & (np.abs(x) < 150)] = 0.05
    activity = np.where(body, 5.0, 0.0)
    activity[lungs & body] = 3.0
    activity[wall], activity[cavity] = 60.0, 5.0
    return mu, activity


@cache
def a_scan(seed: int) -> tuple[Projections, Volume]:
    """Return projections with a scatter window and the mu-map of patient `seed`."""
    grid = natural_grid(geometry())
    mu, activity = tissues(grid, seed)
    camera = SystemMatrix(geometry(), grid, mu_per_cm=torch.from_numpy(mu).float())
    primary = camera.forward_project(torch.from_numpy(activity)[None].float())[0].numpy()
    scattered = 0.5 * primary.mean(axis=2, keepdims=True)
    counts = np.random.default_rng([seed, 1]).poisson(np.stack([primary, np.broadcast_to(scattered, primary.shape)]))
    projections = Projections(counts[:, None].astype(np.float32), geometry(), WINDOWS)
    return projections, Volume(tissues(map_grid(), seed)[0].astype(np.float32), map_grid(), Unit.PER_CM)


@cache
def a_pair(seed: int = 0, split: str = "") -> MapPair:
    """Return the pair of patient `seed`."""
    projections, mu_map = a_scan(seed)
    _, activity = tissues(map_grid(), seed)
    wall = Volume((activity == 60.0).astype(np.float32), map_grid(), Unit.PROPORTIONAL_COUNTS)
    return PairMaker().of_projections(projections, mu_map, f"patient {seed}", wall=wall, split=split)


def a_map_cohort() -> MapCohort:
    """Return four patients for training, one for validation, one for the test."""
    parts = ("train", "train", "train", "train", "validation", "test")
    return split_pairs([a_pair(seed, part) for seed, part in enumerate(parts)])
