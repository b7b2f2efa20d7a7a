"""Samples that a mu-map network learns from: a pair laid on the working grid, each time a little otherwise.

Only what a patient could be: shifted, slightly turned, with more or fewer counts, with and without a scatter window,
seen in several reconstructions or in one, by a large camera or by one for hearts alone. Never mirrored: hearts are on
the left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.networks.mu_map import LEVELS, leveled
from pipelines.networks.mu_map_grid import finer_grid, posed, working_grid
from pipelines.physics.table import without_table
from pipelines.resampling import onto
from pipelines.training.mu_map_data import MapPair, known_slices

TURN_DEG = (2.0, 2.0, 5.0)  # standard deviation about x, y, z: a patient lies turned about the long axis rather
SHIFT_MM = (15.0, 10.0, 15.0)
LEAST_WALL = 0.3  # share of a voxel that is wall, from which on photons are followed
BODY_PER_CM = 0.1
ONE_LEVEL = 0.15  # of the samples show a single reconstruction, as a vendor sends it
SMALL_FIELD = 0.15  # of the samples show one reconstruction of what a camera for hearts alone sees
FILTER_MM = 7.0  # a vendor's filter blurs by a Gaussian of up to this standard deviation
SMALL_FIELD_MM = ((170.0, 240.0), (200.0, 300.0), (200.0, 300.0))  # of its axes z, y, x, about the heart
ASIDE_MM = 15.0  # standard deviation of the heart's distance from the middle of such a field, along each axis

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Grids:
    """The size of a voxel that the network works on, and into how many parts images and maps cut it along each side."""

    voxel_mm: float
    finer: int

    def of(self, grid: VoxelGrid) -> VoxelGrid:
        """Return the grid for images and map of a reconstruction on this grid."""
        return finer_grid(working_grid(grid, self.voxel_mm), self.finer)


@dataclass(frozen=True)
class MapSample:
    """One pair on the working grid."""

    images: Tensor  # [level (3) and scatter window, z, y, x], leveled
    has_scatter: bool
    mu_per_cm: Tensor  # [z, y, x] without the table; 0 where the images show nothing of the patient
    field: Tensor  # bool [z, y, x]: what the images show; elsewhere no map is asked for
    known: Tensor  # bool [z]: slices in which the map is known
    wall: Tensor  # [place, 3]: voxel indices (z, y, x) of the left ventricle's wall
    body: Tensor  # [place, 3]: of the body
    angles_deg: tuple[float, ...]
    voxel_mm: float


class LoadedPair:
    """A pair as tensors, its table taken out."""

    def __init__(self, pair: MapPair) -> None:
        self.pair = pair
        self.levels = torch.from_numpy(pair.levels)
        self.scatter = None if pair.scatter is None else torch.from_numpy(pair.scatter)
        measured = Volume(pair.mu_per_cm.astype(np.float32), pair.map_grid, Unit.PER_CM)
        self.target = torch.from_numpy(np.stack([without_table(measured).values.astype(np.float16), pair.wall]))
        wall = np.argwhere(pair.wall > LEAST_WALL)
        # the middle of the ventricle's wall (x, y, z); None where it isn't known
        self.heart_mm = pair.map_grid.position_mm(*wall.mean(axis=0).tolist()) if len(wall) else None

    @property
    def copies(self) -> int:
        """How many acquisitions of different noise there are."""
        return len(self.levels)

    def on(
        self,
        grid: VoxelGrid,
        *,
        copy: int = 0,
        only: int | None = None,
        scatter: bool = True,
        box: Box | None = None,
        filter_mm: float = 0.0,
    ) -> MapSample:
        """Return the pair on a grid of cubic voxels.

        `only` one level is shown, in place of all, and `scatter` only if it is there; images are blurred by a Gaussian
        of `filter_mm` and, with a `box`, cut to the ellipsoid that fills these voxels of their own grid.
        """
        source = self.pair.grid if box is None else self.pair.grid.part(box)
        box = box or (slice(None),) * 3
        there = self.levels[copy][:, *box].float()
        levels = range(LEVELS) if only is None else [only]
        volumes = [there[min(level, len(there) - 1)] for level in levels]
        shown = scatter and self.scatter is not None
        if shown and self.scatter is not None:
            volumes.append(self.scatter[copy][box].float())
        seen = onto(torch.stack(volumes), source, grid)
        if filter_mm > 0:
            seen = blurred(seen, filter_mm / grid.voxel_mm[1])
        peak = seen[: len(levels)].expand(LEVELS, *grid.shape)
        images = torch.cat([peak, seen[-1:] if shown else torch.zeros(1, *grid.shape)])
        mu, wall = onto(self.target.float(), self.pair.map_grid, grid)
        field = torch.ones_like(mu, dtype=torch.bool)
        if source != self.pair.grid:
            field = onto(_ball(source.shape)[None], source, grid)[0] > 0.5
            images *= field
        known = torch.from_numpy(known_slices(grid, self.pair.known_mm))
        asked = field & known[:, None, None]
        return MapSample(
            images=leveled(images),
            has_scatter=shown,
            mu_per_cm=mu * field,
            field=field,
            known=known,
            wall=torch.nonzero((wall > LEAST_WALL) & asked),
            body=torch.nonzero((mu > BODY_PER_CM) & asked),
            angles_deg=self.pair.angles_deg,
            voxel_mm=grid.voxel_mm[1],
        )

    def whole(self, grids: Grids, *, scatter: bool = True) -> MapSample:
        """Return the pair as it is, in its whole field of view."""
        return self.on(grids.of(self.pair.grid), scatter=scatter)


def draw_sample(
    pairs: Sequence[LoadedPair], rng: np.random.Generator, grids: Grids, slices: int, scatter_share: float
) -> MapSample:
    """Return a random pair, posed at random, cut to so many neighboring slices of working voxels."""
    pair = pairs[int(rng.integers(len(pairs)))]
    turn, shift = rng.normal(0.0, TURN_DEG).tolist(), rng.normal(0.0, SHIFT_MM).tolist()
    copy = int(rng.integers(pair.copies))
    kind = rng.random()
    box = small_field(pair, rng) if kind < SMALL_FIELD else None
    only = int(rng.integers(LEVELS)) if kind < SMALL_FIELD + ONE_LEVEL else None
    filter_mm = 0.0 if only is None else float(rng.uniform(0.0, FILTER_MM))
    scatter = bool(rng.random() < scatter_share) and box is None
    grid = grids.of(pair.pair.grid if box is None else pair.pair.grid.part(box))
    sample = pair.on(posed(grid, turn, shift), copy=copy, only=only, scatter=scatter, box=box, filter_mm=filter_mm)
    slices *= grids.finer
    first = grids.finer * int(rng.integers(max(grid.shape[0] - slices, 0) // grids.finer + 1))
    return _cut(sample, first, slices)


def small_field(pair: LoadedPair, rng: np.random.Generator) -> Box | None:
    """Return the voxels of a pair's images that a camera for hearts alone would show; None if no heart is known."""
    if pair.heart_mm is None:
        return None
    grid = pair.pair.grid
    x, y, z = (pair.heart_mm + rng.normal(0.0, ASIDE_MM, 3)).tolist()
    index = grid.index_of((x, y, z)).tolist()
    cuts = []
    for middle, (least, most), voxel_mm, size in zip(index, SMALL_FIELD_MM, grid.voxel_mm, grid.shape, strict=True):
        half = rng.uniform(least, most) / voxel_mm / 2
        cuts.append(slice(max(round(middle - half), 0), min(round(middle + half), size)))
    return cuts[0], cuts[1], cuts[2]


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Return images `[image, z, y, x]` blurred by a Gaussian whose standard deviation is `sigma` voxels."""
    reach = math.ceil(2.5 * sigma)
    steps = torch.arange(-reach, reach + 1, dtype=images.dtype)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    weights /= weights.sum()
    found = images[:, None]
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = len(weights)
        padding = [reach if axis == one else 0 for one in range(3)]
        found = functional.conv3d(found, weights.reshape(shape), padding=padding)
    return found[:, 0]


def _ball(shape: tuple[int, int, int]) -> Tensor:
    """Return the ellipsoid that fills a volume `[z, y, x]`: 1 inside, 0 outside."""
    z, y, x = (torch.linspace(-1.0, 1.0, size) ** 2 for size in shape)
    return (z[:, None, None] + y[:, None] + x <= 1.0).float()


def _cut(sample: MapSample, first: int, slices: int) -> MapSample:
    stop = first + slices

    def within(places: Tensor) -> Tensor:
        inside = (places[:, 0] >= first) & (places[:, 0] < stop)
        return places[inside] - torch.tensor([first, 0, 0])

    return MapSample(
        images=sample.images[:, first:stop],
        has_scatter=sample.has_scatter,
        mu_per_cm=sample.mu_per_cm[first:stop],
        field=sample.field[first:stop],
        known=sample.known[first:stop],
        wall=within(sample.wall),
        body=within(sample.body),
        angles_deg=sample.angles_deg,
        voxel_mm=sample.voxel_mm,
    )
