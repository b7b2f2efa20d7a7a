"""Whole images and random patches as the attenuation paper's network sees them, and the map that it makes of an image.

Source: Huxohl et al., EJNMMI Physics 10 (2023) 49, "Image pre-processing". Its images come of 10 iterations with 3
subsets; here they are the pairs' last level, which has about as many updates (`reconstruction/emission_images`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipelines.geometry import VoxelGrid
from pipelines.images import Array, UnsuitableAcquisition
from pipelines.networks.mu_map_grid import working_grid
from pipelines.networks.paper_mu_map import MapGenerator
from pipelines.resampling import onto
from pipelines.training.mu_map_batches import LoadedPair
from pipelines.training.mu_map_data import known_slices
from pipelines.training.paper_mu_map_settings import Normalization, PaperMapSettings

LEAST_SLICES = 32  # images with fewer are padded with zeros


@dataclass(frozen=True)
class PaperImage:
    """A reconstruction, normalized, and the mu-map without its table, both `[z, y, x]` on one grid."""

    reconstruction: Tensor
    mu_per_cm: Tensor
    grid: VoxelGrid  # of the slices that the map has; padding comes after them


def paper_image(loaded: LoadedPair, settings: PaperMapSettings) -> PaperImage:
    """Return a pair cut to the slices of its map and padded. Raises UnsuitableAcquisition without scatter correction
    where the settings ask for it."""
    pair = loaded.pair
    if settings.scatter_corrected and pair.corrected is None:
        raise UnsuitableAcquisition("a study has no scatter window, and the settings ask for scatter correction")
    image = pair.corrected[0] if settings.scatter_corrected and pair.corrected is not None else pair.levels[0, -1]
    grid = _cut(working_grid(pair.grid, settings.voxel_mm, settings.multiple), pair.known_mm)
    seen = onto(torch.from_numpy(image)[None].float(), pair.grid, grid)
    mu = onto(loaded.target[:1].float(), pair.map_grid, grid)
    least = max(LEAST_SLICES, settings.patch[0])
    missing = max(-grid.shape[0] % settings.multiple, least - grid.shape[0])
    padded = functional.pad(torch.cat([seen, mu]), (0, 0, 0, 0, 0, missing))
    return PaperImage(_normalized(padded[0], settings.normalization), padded[1], grid)


def _cut(grid: VoxelGrid, known_mm: tuple[float, float]) -> VoxelGrid:
    known = np.flatnonzero(known_slices(grid, known_mm))
    if not len(known):
        raise UnsuitableAcquisition("a mu-map is thinner than one slice of the images")
    return grid.part((slice(int(known[0]), int(known[0]) + len(known)), slice(None), slice(None)))


def _normalized(image: Tensor, how: Normalization) -> Tensor:
    if how is Normalization.MEAN:
        return image / image.mean().clamp_min(1e-12)
    if how is Normalization.GAUSSIAN:
        return (image - image.mean()) / image.std().clamp_min(1e-12)
    return image


def draw_patches(
    images: Sequence[PaperImage], rng: np.random.Generator, number: int, patch: tuple[int, int, int]
) -> tuple[Tensor, Tensor]:
    """Return reconstructions and maps `[patch, 1, z, y, x]` at random places of random images."""
    drawn = []
    for _ in range(number):
        image = images[int(rng.integers(len(images)))]
        first = [int(rng.integers(max(size - side, 0) + 1)) for size, side in zip(_shape(image), patch, strict=True)]
        place = tuple(slice(start, start + side) for start, side in zip(first, patch, strict=True))
        drawn.append(torch.stack([image.reconstruction[place], image.mu_per_cm[place]]))
    both = torch.stack(drawn)
    return both[:, :1], both[:, 1:]


def _shape(image: PaperImage) -> tuple[int, ...]:
    return tuple(image.reconstruction.shape)


@torch.inference_mode()
def predicted_map(generator: MapGenerator, image: PaperImage, device: str = "cpu") -> Tensor:
    """Return the map `[z, y, x]` of a whole image, its padding taken off."""
    generator.to(device).eval()
    mu: Tensor = generator(image.reconstruction[None, None].to(device))[0, 0, : image.grid.shape[0]]
    return mu.cpu()


def on_own_grid(predicted: Tensor, image: PaperImage, loaded: LoadedPair) -> Array:
    """Return a predicted map on the grid of the pair's images; 0 above and below the slices that it has."""
    back: Array = onto(predicted[None], image.grid, loaded.pair.grid)[0].numpy()
    return back
