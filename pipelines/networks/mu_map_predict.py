"""Predicts the mu-map of an acquisition from its images that are not corrected, with an ensemble of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipelines.geometry import VoxelGrid
from pipelines.images import Array, Unit, UnsuitableAcquisition, Volume
from pipelines.networks.model_card import ModelCard, check_architecture
from pipelines.networks.mu_map import ARCHITECTURE, LEVELS, MuMapNetwork, leveled
from pipelines.networks.mu_map_grid import VOXEL_MM, finer_grid, working_grid
from pipelines.networks.weights import read_model
from pipelines.resampling import onto


@dataclass(frozen=True)
class MuMapModel:
    """A trained ensemble and the grid that it works on."""

    card: ModelCard
    networks: tuple[MuMapNetwork, ...]
    voxel_mm: float = VOXEL_MM


def load_mu_map_model(name: str = "mu-map", folder: Path | None = None) -> MuMapModel:
    """Return a trained mu-map model, from a site's folder or of those that are shipped.

    Raises WeightsError if there is none of this name, if its files are damaged, or if it is another kind of network.
    """
    model = read_model(name, folder)
    check_architecture(model.card, ARCHITECTURE)
    widths = [int(width) for width in str(model.card.settings["widths"]).split()]
    networks = tuple(MuMapNetwork(widths, int(model.card.settings["finer"])) for _ in model.members)
    for member, network in enumerate(networks):
        model.fill(member, network)
    return MuMapModel(model.card, networks, float(model.card.settings["voxel_mm"]))


@dataclass(frozen=True)
class PredictedMap:
    """A mu-map without the table, on the grid of the reconstructions that it was told from."""

    mu_map: Volume
    spread: Array  # standard deviation over the ensemble in 1/cm `[z, y, x]`; zero for a single network
    members: tuple[Volume, ...]  # each network's own map: what they disagree on can be carried on through a correction


def predict_mu_map(
    reconstructions: Sequence[Volume],
    scatter: Volume | None,
    networks: Sequence[MuMapNetwork],
    device: str = "cpu",
    voxel_mm: float = VOXEL_MM,
) -> PredictedMap:
    """Return the mu-map that fits reconstructions without attenuation correction.

    `reconstructions` are the photopeak's after more and more iterations on one grid, or one from a vendor. Raises
    UnsuitableAcquisition if they hold no activity or lie on different grids, ValueError without a network.
    """
    if not networks:
        raise ValueError("a mu-map needs at least one network")
    grid = reconstructions[0].grid
    if any(volume.grid != grid for volume in (*reconstructions, *([scatter] if scatter else []))):
        raise UnsuitableAcquisition("the reconstructions for a mu-map lie on different grids")
    if min(float(volume.values.max()) for volume in reconstructions) <= 0:
        raise UnsuitableAcquisition("a reconstruction for the mu-map holds no activity")
    fine = finer_grid(working_grid(grid, voxel_mm), networks[0].finer)
    seen = shown(reconstructions, scatter, fine, device)
    flag = torch.tensor([float(scatter is not None)], device=device)
    with torch.inference_mode():
        maps = torch.cat([network.to(device).eval()(seen[None], flag) for network in networks])
        members = onto(maps, fine, grid).cpu()
    return _predicted(members, grid)


def shown(reconstructions: Sequence[Volume], scatter: Volume | None, grid: VoxelGrid, device: str = "cpu") -> Tensor:
    """Return what a network is shown `[level and scatter, z, y, x]` on its grid, as it was in training."""
    volumes = [torch.from_numpy(shares_of_highest(volume)) for volume in every_level(reconstructions)]
    volumes.append(torch.zeros_like(volumes[0]) if scatter is None else torch.from_numpy(shares_of_highest(scatter)))
    return leveled(onto(torch.stack(volumes).to(device), reconstructions[0].grid, grid))


def shares_of_highest(volume: Volume) -> Array:
    """Return an image as shares of its highest voxel: each by itself, in training and later."""
    positive = np.maximum(volume.values, 0.0)
    return np.asarray(positive / max(float(positive.max()), 1e-12), dtype=np.float32)


def every_level(reconstructions: Sequence[Volume]) -> list[Volume]:
    """Return as many levels as the network takes; the last one stands for those that are missing."""
    return [reconstructions[min(level, len(reconstructions) - 1)] for level in range(LEVELS)]


def _predicted(members: Tensor, grid: VoxelGrid) -> PredictedMap:
    maps = [Volume(np.ascontiguousarray(one.numpy()), grid, Unit.PER_CM) for one in members]
    mean = Volume(members.mean(dim=0).numpy(), grid, Unit.PER_CM)
    return PredictedMap(mean, members.std(dim=0, correction=0).numpy(), tuple(maps))
