"""Samples that a mu-map network learns from: a pair laid on the working grid, each time a little otherwise.

Only what a patient could be: shifted, slightly turned, with more or fewer counts, with and without a scatter window,
seen in several reconstructions or in one. Never mirrored: hearts are on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.networks.mu_map import LEVELS, leveled
from pipelines.networks.mu_map_grid import finer_grid, onto, posed, working_grid
from pipelines.physics.table import without_table
from pipelines.training.mu_map_data import MapPair, known_slices

TURN_DEG = (2.0, 2.0, 5.0)  # standard deviation about x, y, z: a patient lies turned about the long axis rather
SHIFT_MM = (15.0, 10.0, 15.0)
LEAST_WALL = 0.3  # share of a voxel that is wall, from which on photons are followed
BODY_PER_CM = 0.1
ONE_LEVEL = 0.15  # of the samples show a single reconstruction, as a vendor sends it


@dataclass(frozen=True)
class Grids:
    """The size of a working voxel, and into how many parts along each side the map's voxels cut it."""

    voxel_mm: float
    finer: int


@dataclass(frozen=True)
class MapSample:
    """One pair on the working grid."""

    images: Tensor  # [level (3) and scatter window, z, y, x], leveled
    has_scatter: bool
    mu_per_cm: Tensor  # [z, y, x] on the finer grid, without the table
    known: Tensor  # bool [z]: slices of the finer grid in which the map is known
    wall: Tensor  # [place, 3]: finer voxel indices (z, y, x) of the left ventricle's wall
    body: Tensor  # [place, 3]: of the body
    angles_deg: tuple[float, ...]
    voxel_mm: float  # of the finer grid


class LoadedPair:
    """A pair as tensors, its table taken out."""

    def __init__(self, pair: MapPair) -> None:
        self.pair = pair
        self.levels = torch.from_numpy(pair.levels)
        self.scatter = None if pair.scatter is None else torch.from_numpy(pair.scatter)
        measured = Volume(pair.mu_per_cm.astype(np.float32), pair.map_grid, Unit.PER_CM)
        self.target = torch.from_numpy(np.stack([without_table(measured).values.astype(np.float16), pair.wall]))

    @property
    def copies(self) -> int:
        """How many acquisitions of different noise there are."""
        return len(self.levels)

    def on(
        self, grid: VoxelGrid, finer: int, *, copy: int = 0, only: int | None = None, scatter: bool = True
    ) -> MapSample:
        """Return the pair on a grid; `only` one level is shown, in place of all, and `scatter` only if it is there."""
        there = self.levels[copy].float()
        wanted = range(LEVELS) if only is None else [only] * LEVELS
        levels = [there[min(level, len(there) - 1)] for level in wanted]
        shown = scatter and self.scatter is not None
        window = self.scatter[copy].float() if shown and self.scatter is not None else torch.zeros_like(levels[0])
        images = leveled(onto(torch.stack([*levels, window]), self.pair.grid, grid))
        fine = finer_grid(grid, finer)
        mu, wall = onto(self.target.float(), self.pair.map_grid, fine)
        known = torch.from_numpy(known_slices(fine, self.pair.known_mm))
        return MapSample(
            images=images,
            has_scatter=shown,
            mu_per_cm=mu,
            known=known,
            wall=torch.nonzero((wall > LEAST_WALL) & known[:, None, None]),
            body=torch.nonzero((mu > BODY_PER_CM) & known[:, None, None]),
            angles_deg=self.pair.angles_deg,
            voxel_mm=fine.voxel_mm[1],
        )

    def whole(self, grids: Grids, *, scatter: bool = True) -> MapSample:
        """Return the pair as it is, in its whole field of view."""
        return self.on(working_grid(self.pair.grid, grids.voxel_mm), grids.finer, scatter=scatter)


def draw_sample(
    pairs: Sequence[LoadedPair], rng: np.random.Generator, grids: Grids, slices: int, scatter_share: float
) -> MapSample:
    """Return a random pair, posed at random, cut to so many neighboring slices of the working grid."""
    pair = pairs[int(rng.integers(len(pairs)))]
    grid = working_grid(pair.pair.grid, grids.voxel_mm)
    turn, shift = rng.normal(0.0, TURN_DEG).tolist(), rng.normal(0.0, SHIFT_MM).tolist()
    copy = int(rng.integers(pair.copies))
    only = int(rng.integers(LEVELS)) if rng.random() < ONE_LEVEL else None
    scatter = bool(rng.random() < scatter_share)
    sample = pair.on(posed(grid, turn, shift), grids.finer, copy=copy, only=only, scatter=scatter)
    first = int(rng.integers(max(grid.shape[0] - slices, 0) + 1))
    return _cut(sample, first, slices, grids.finer)


def _cut(sample: MapSample, first: int, slices: int, finer: int) -> MapSample:
    start, stop = first * finer, (first + slices) * finer

    def within(places: Tensor) -> Tensor:
        inside = (places[:, 0] >= start) & (places[:, 0] < stop)
        return places[inside] - torch.tensor([start, 0, 0])

    return MapSample(
        images=sample.images[:, first : first + slices],
        has_scatter=sample.has_scatter,
        mu_per_cm=sample.mu_per_cm[start:stop],
        known=sample.known[start:stop],
        wall=within(sample.wall),
        body=within(sample.body),
        angles_deg=sample.angles_deg,
        voxel_mm=sample.voxel_mm,
    )
