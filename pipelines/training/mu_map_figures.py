"""How near a mu-map comes to the measured one: error, attenuation on the way out of the heart, tissues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.images import Array
from pipelines.networks.mu_map import MuMapNetwork
from pipelines.physics.escape import escape
from pipelines.resampling import onto
from pipelines.training.mu_map_batches import Grids, LoadedPair
from pipelines.training.mu_map_data import MapCohort, known_slices

# where a voxel's mu says what it is, in 1/cm; edges of the body are lung by this reckoning
CLASSES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"air": (-1.0, 0.02), "lung": (0.02, 0.10), "soft tissue": (0.10, 0.172), "bone": (0.172, 1.0)}
)

_TABLE_PER_CM = 0.005  # where the measured map has more than this of table, it is put in


@dataclass(frozen=True)
class MapErrors:
    """The errors of one map."""

    nmae: float  # Shi et al. 2020: mean absolute error over the range of the measured map, air included
    heart_factor: float  # mean absolute error of the attenuation factor from the heart's wall to the views, in %
    heart_bias: float  # the same with its sign
    dice: Mapping[str, float]  # per tissue; 1 is perfect, NaN where the measured map has none of it


def nmae(predicted: Array, measured: Array) -> float:
    """Return the normalized mean absolute error (Shi et al. 2020) of a map in 1/cm over all voxels."""
    reach = float(measured.max()) - float(measured.min())
    return float(np.abs(predicted.astype(np.float64) - measured).mean()) / max(reach, 1e-12)


def dice(predicted: Array, measured: Array) -> dict[str, float]:
    """Return for each tissue how well the voxels of both maps coincide."""
    found = {}
    for name, (low, high) in CLASSES.items():
        ours, theirs = (_between(mu, low, high) for mu in (predicted, measured))
        total = int(ours.sum()) + int(theirs.sum())
        found[name] = 2.0 * int((ours & theirs).sum()) / total if theirs.any() else float("nan")
    return found


def _between(mu: Array, low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((mu >= low) & (mu < high))


def factor_errors(
    predicted: Tensor, measured: Tensor, voxel_mm: float, places: Tensor, angles_deg: Sequence[float]
) -> tuple[float, float]:
    """Return mean absolute and mean error, in %, of the attenuation factors from places to the views.

    Maps are `[z, y, x]` in 1/cm on an axial grid of cubic voxels, places `[place, 3]` voxel indices in it.
    """
    if not len(places):
        return float("nan"), float("nan")
    ours, theirs = (escape(mu, voxel_mm, places.to(mu), angles_deg) for mu in (predicted, measured))
    relative = 100.0 * (ours / theirs - 1.0)
    return float(relative.abs().mean()), float(relative.mean())


@torch.inference_mode()
def errors_of(
    networks: Sequence[MuMapNetwork], loaded: LoadedPair, grids: Grids, scatter: bool = True, device: str = "cpu"
) -> MapErrors:
    """Return the errors of an ensemble's map of one study, on the grid of its images, where the map is known."""
    sample = loaded.whole(grids, scatter=scatter)
    flag = torch.tensor([float(sample.has_scatter)], device=device)
    maps = [network.to(device).eval()(sample.images[None].to(device), flag)[0] for network in networks]
    mu = torch.stack(maps).mean(dim=0).cpu()
    pair = loaded.pair
    factors = factor_errors(mu, sample.mu_per_cm, sample.voxel_mm, sample.wall, pair.angles_deg)
    return map_errors(onto(mu[None], grids.of(pair.grid), pair.grid)[0].numpy(), loaded, factors)


def map_errors(predicted: Array, loaded: LoadedPair, factors: tuple[float, float]) -> MapErrors:
    """Return the errors of a map `[z, y, x]` on the grid of a pair's images, where the measured map is known.

    The measured table is put into both maps, as Huxohl et al. 2023 did.
    """
    pair = loaded.pair
    whole = torch.from_numpy(pair.mu_per_cm.astype(np.float32))
    table = whole - loaded.target[0].float()
    measured, table = (one.numpy() for one in onto(torch.stack([whole, table]), pair.map_grid, pair.grid))
    known = known_slices(pair.grid, pair.known_mm)
    ours, theirs = predicted[known], measured[known]
    with_table = np.where(table[known] > _TABLE_PER_CM, theirs, ours)
    return MapErrors(nmae(with_table, theirs), *factors, dice(ours, theirs - table[known]))


def domain_of_pairs(cohort: MapCohort) -> dict[str, object]:
    """Return what a network was trained on, for its model card."""
    train = cohort.train
    return {
        "studies": len(train),
        "patients": len({pair.patient for pair in train}),
        "validation and test patients": len({pair.patient for pair in (*cohort.validation, *cohort.test)}),
        "views": sorted({len(pair.angles_deg) for pair in train}),
        "matrix": sorted({" x ".join(map(str, pair.grid.shape[1:])) for pair in train}),
        "voxel_mm": sorted({round(pair.grid.voxel_mm[2], 2) for pair in train}),
        "with a scatter window": sum(pair.scatter is not None for pair in train),
        "with a single reconstruction": sum(pair.levels.shape[1] == 1 for pair in train),
    }


def mean_figures(errors: Sequence[MapErrors], suffix: str = "") -> dict[str, float]:
    """Return means over patients, with the spread of the NMAE, named for a model card."""
    values = np.array([one.nmae for one in errors])
    figures = {
        f"NMAE{suffix}": float(values.mean()),
        f"NMAE{suffix}, standard deviation over studies": float(values.std()),
        f"attenuation factor of the heart{suffix}, mean absolute error in %": _mean([e.heart_factor for e in errors]),
        f"attenuation factor of the heart{suffix}, mean error in %": _mean([e.heart_bias for e in errors]),
    }
    for name in CLASSES:
        figures[f"Dice of {name}{suffix}"] = _mean([one.dice[name] for one in errors])
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
