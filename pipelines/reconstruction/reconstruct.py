"""From projections to volumes: builds the camera model, estimates scatter, runs OSEM, filters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import Array, Projections, Unit, UnsuitableAcquisition, Volume
from pipelines.physics.attenuation import check_mu_map, photon_energy_kev
from pipelines.physics.collimator import Collimator
from pipelines.physics.effective_source import scatter_from_effective_source
from pipelines.physics.scatter import scatter_from_windows
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.filters import PostFilter, filter_volume
from pipelines.reconstruction.osem import Observer, Subset, ordered_subsets, osem
from pipelines.resampling import resample

_SCATTER_ROUNDS = 2  # of a short reconstruction and an estimate of the scatter that it sends
_SCATTER_ITERATIONS = 2


class Scatter(Enum):
    """Where the scattered counts are known from."""

    NONE = "none"
    WINDOWS = "windows"  # TEW or DEW
    EFFECTIVE_SOURCE = "effective source"  # from activity and mu-map


@dataclass(frozen=True)
class Settings:
    """How to reconstruct; what is None or NONE is not modelled."""

    iterations: int = 8
    subsets: int = 2
    post_filter: PostFilter | None = None
    collimator: Collimator | None = None
    scatter: Scatter = Scatter.NONE


def natural_grid(geometry: AcquisitionGeometry) -> VoxelGrid:
    """Return the axial grid around the isocenter with one slice per row and voxels as large as the pixels."""
    axial_mm, pixel_mm = geometry.pixel_size_mm
    shape = (geometry.rows, geometry.columns, geometry.columns)
    return VoxelGrid.axial(shape, (axial_mm, pixel_mm, pixel_mm), geometry.isocenter_mm)


def reconstruct(
    projections: Projections, settings: Settings, device: str = "cpu", mu_map: Volume | None = None
) -> Volume:
    """Return the activity that explains the photopeak's counts of all gates together.

    A voxel's value is the counts that it would add to each view if nothing attenuated them. With a mu-map (on any
    grid), attenuation is corrected. Raises UnsuitableAcquisition when what the settings ask for is not there: radii,
    scatter windows, a mu-map in 1/cm; ValueError as `osem` does.
    """
    return reconstruct_gates(projections.ungated(), settings, device, mu_map)[0]


def reconstruct_gates(
    projections: Projections,
    settings: Settings,
    device: str = "cpu",
    mu_map: Volume | None = None,
    observe: Observer | None = None,
) -> tuple[Volume, ...]:
    """Return one volume per gate, as `reconstruct` does for all together. `observe` may watch and stop (see `osem`)."""
    if settings.collimator is not None and projections.geometry.radius_mm is None:
        raise UnsuitableAcquisition("the collimator's blur can't be corrected: the radius of rotation is not known")
    if settings.scatter is Scatter.EFFECTIVE_SOURCE and mu_map is None:
        raise UnsuitableAcquisition("scatter can be estimated from an effective source only with a mu-map")
    if mu_map is not None:
        check_mu_map(mu_map, photon_energy_kev(projections.windows[projections.photopeak]))
    return _reconstruct_gates(projections, settings, device, mu_map, observe)


def _reconstruct_gates(
    projections: Projections, settings: Settings, device: str, mu_map: Volume | None, observe: Observer | None
) -> tuple[Volume, ...]:
    geometry = projections.geometry
    grid = natural_grid(geometry)
    mu_map = None if mu_map is None else resample(mu_map, grid)
    matrix = SystemMatrix(
        geometry,
        grid,
        mu_per_cm=None if mu_map is None else torch.from_numpy(mu_map.values),
        collimator=settings.collimator,
        device=device,
    )
    measured = torch.from_numpy(projections.photopeak_counts()).to(matrix.device, matrix.dtype)
    views = ordered_subsets(geometry.angles_deg, settings.subsets)
    subsets = [Subset(matrix.subset(chosen), measured[:, list(chosen)]) for chosen in views]
    start = uniform_start(measured, grid)
    scatter = _scatter(projections, settings, mu_map, lambda known: _activity(known, subsets, views, start, grid))
    subsets = _with_scatter(subsets, views, scatter)
    activity = osem(subsets, start, settings.iterations, observe)
    return tuple(Volume(_finish(gate, grid, settings), grid, Unit.PROPORTIONAL_COUNTS) for gate in activity)


def uniform_start(measured: Tensor, grid: VoxelGrid) -> Tensor:
    """Return an even activity `[gate, z, y, x]` of about the right height, laid out as the system matrix likes it."""
    gates = measured.shape[0]
    slices, rows, columns = grid.shape
    height = max(float(measured.mean()) / rows, 1e-6)
    return measured.new_full((rows, columns, gates, slices), height).permute(2, 3, 0, 1)


def _finish(activity: Tensor, grid: VoxelGrid, settings: Settings) -> Array:
    """Return one gate's values, filtered."""
    values = np.ascontiguousarray(activity.cpu().numpy())
    if settings.post_filter is None:
        return values
    # Filters overshoot below zero next to hot organs; activity can't be negative.
    return np.maximum(filter_volume(values, grid.voxel_mm, settings.post_filter), 0)


def _scatter(
    projections: Projections, settings: Settings, mu_map: Volume | None, activity: Callable[[Array | None], Volume]
) -> Array | None:
    """Return the scattered counts `[gate, view, row, column]`; `activity` reconstructs shortly, given what is known."""
    if settings.scatter is Scatter.NONE:
        return None
    if settings.scatter is Scatter.WINDOWS or mu_map is None:
        return scatter_from_windows(projections)
    window = projections.windows[projections.photopeak]
    counts = projections.photopeak_counts()
    share = counts.sum(axis=(1, 2, 3), dtype=np.float64) / max(float(counts.sum(dtype=np.float64)), 1e-12)
    estimate = None
    for _ in range(_SCATTER_ROUNDS):
        together = scatter_from_effective_source(activity(estimate), mu_map, projections.geometry, window)
        estimate = (share[:, None, None, None] * together).astype(np.float32)
    return estimate


def _activity(
    scatter: Array | None, subsets: list[Subset], views: tuple[tuple[int, ...], ...], start: Tensor, grid: VoxelGrid
) -> Volume:
    """Return the activity of all gates together after a few iterations."""
    found = osem(_with_scatter(subsets, views, scatter), start, _SCATTER_ITERATIONS).sum(0)
    return Volume(np.ascontiguousarray(found.cpu().numpy()), grid, Unit.PROPORTIONAL_COUNTS)


def _with_scatter(subsets: list[Subset], views: tuple[tuple[int, ...], ...], scatter: Array | None) -> list[Subset]:
    if scatter is None:
        return subsets
    parts = [torch.from_numpy(scatter[:, list(chosen)]) for chosen in views]
    return [replace(subset, additive=part.to(subset.measured)) for subset, part in zip(subsets, parts, strict=True)]
