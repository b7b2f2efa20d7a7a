"""The maps that the attenuation evaluation compares: each `Method` as a mu-map on the grid of the emission image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.agreement.image_quality import nmae
from pipelines.evaluation.attenuation.models import Models, PaperModel
from pipelines.evaluation.attenuation.record import MapFigures, Method
from pipelines.evaluation.attenuation.uniform import uniform_map
from pipelines.images import Array, Unit, UnsuitableAcquisition, Volume
from pipelines.networks.mu_map_predict import predict_mu_map
from pipelines.physics.table import find_table, with_table
from pipelines.reconstruction.emission_images import EmissionImages
from pipelines.registration.rigid import Registration, register
from pipelines.resampling import onto, resample
from pipelines.training.mu_map_batches import LEAST_WALL, LoadedPair
from pipelines.training.mu_map_data import MapPair, known_slices
from pipelines.training.mu_map_figures import factor_errors, map_errors
from pipelines.training.paper_mu_map_patches import on_own_grid, paper_image, predicted_map

LARGEST_PER_CM = 0.4  # no tissue has more; the paper's network knows no bounds, and reconstruction refuses such maps
TABLE_PER_CM = 0.005  # where the measured map has more than this of table, it is the table
_BODY_PER_CM = 0.02  # more is body, where its box is looked for

Maps = Mapping[Method, Volume]


@dataclass(frozen=True)
class MapSources:
    """What maps are made from: images that are not corrected, and measured maps as they lie."""

    images: EmissionImages
    uncorrected: Volume  # the image that a department looks at
    pair: MapPair  # the same acquisition as the paper's network sees it, with the reference
    reference: Volume  # 1/cm, in register, with the table
    by_hand: Volume | None = None  # as a CT usually lies


def network_maps(sources: MapSources, models: Models) -> dict[Method, Volume]:
    """Return the maps that are made from emission images alone, the reference's table put in.

    With the table, as in the paper, which put it back by hand; `OURS_BARE` shows what it is worth.
    """
    images, networks = sources.images, models.ours.networks
    grid, voxel_mm = images.levels[0].grid, models.ours.voxel_mm
    alone = predict_mu_map(images.levels, None, networks, voxel_mm=voxel_mm).mu_map
    bare = {Method.UNIFORM: uniform_map(sources.uncorrected), Method.OURS_PEAK: alone}
    if images.scatter is not None:
        bare[Method.OURS] = predict_mu_map(images.levels, images.scatter, networks, voxel_mm=voxel_mm).mu_map
    if models.paper is not None and (paper := _papers(models.paper, sources.pair)) is not None:
        bare[Method.PAPER] = paper
    table = find_table(sources.reference)
    made = {method: with_table(resample(one, grid), table) for method, one in bare.items()}
    return {**made, Method.OURS_BARE: alone}


def _papers(model: PaperModel, pair: MapPair) -> Volume | None:
    """Return the paper's map; None where its network wants scatter correction and the camera has no window for it."""
    loaded = LoadedPair(pair)
    try:
        image = paper_image(loaded, model.settings)
    except UnsuitableAcquisition:
        return None
    values = on_own_grid(predicted_map(model.generator, image), image, loaded)
    return Volume(np.clip(values, 0.0, LARGEST_PER_CM).astype(np.float32), pair.grid, Unit.PER_CM)


def measured_maps(sources: MapSources) -> tuple[dict[Method, Volume], dict[Method, Registration]]:
    """Return the reference and, where there is one, the map as it usually lies: as it is, and after registration."""
    grid, emission = sources.images.levels[-1].grid, sources.images.levels[-1]
    maps = {Method.CTAC: resample(sources.reference, grid)}
    found: dict[Method, Registration] = {}
    if sources.by_hand is not None:
        maps[Method.CT_BY_HAND] = resample(sources.by_hand, grid)
        for method, mu_map in (
            (Method.CT_REGISTERED, sources.by_hand),
            (Method.CTAC_REGISTERED, sources.reference),
        ):
            found[method] = register(mu_map, emission)
            maps[method] = resample(found[method].apply(mu_map), grid)
    return maps, found


def moved(mu_map: Volume, shift_mm: tuple[float, float, float]) -> Volume:
    """Return a map that lies elsewhere (LPS mm)."""
    matrix = mu_map.grid.matrix
    matrix[:3, 3] += shift_mm
    rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in matrix)
    return replace(mu_map, grid=replace(mu_map.grid, affine=rows))


def map_figures(mu_map: Volume, pair: MapPair) -> MapFigures:
    """Return how near a map on the grid of a pair's images comes to the pair's own map, where that is known.

    Where the table of the pair's map lies, both have it in the NMAE and neither in tissues and box; photons on their
    way out of the heart meet the table that each map has.
    """
    loaded = LoadedPair(pair)
    reference, wall = onto(loaded.target.float(), pair.map_grid, pair.grid)
    whole = onto(torch.from_numpy(pair.mu_per_cm.astype(np.float32))[None], pair.map_grid, pair.grid)[0]
    there = (whole - reference).numpy() > TABLE_PER_CM
    bare = np.where(there, reference.numpy(), mu_map.values)
    places = torch.nonzero(wall > LEAST_WALL)
    factors = factor_errors(torch.from_numpy(mu_map.values), whole, pair.grid.voxel_mm[1], places, pair.angles_deg)
    found = map_errors(bare, loaded, factors)
    return MapFigures(
        nmae=found.nmae,
        nmae_box=_nmae_in_box(bare, reference.numpy(), known_slices(pair.grid, pair.known_mm)),
        heart_factor=found.heart_factor,
        heart_bias=found.heart_bias,
        dice={tissue: value if np.isfinite(value) else None for tissue, value in found.dice.items()},
    )


def _nmae_in_box(mu: Array, reference: Array, known: NDArray[np.bool_]) -> float:
    """Return the NMAE over the smallest box of known slices that holds the body."""
    body = reference[known] > _BODY_PER_CM
    rows, columns = (np.flatnonzero(body.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    box = (slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return nmae(mu[known][box], reference[known][box])
