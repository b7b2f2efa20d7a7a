"""From projections to volumes: builds the camera model, runs OSEM, filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import Projections, Unit, Volume
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.filters import PostFilter, filter_volume
from pipelines.reconstruction.osem import Subset, ordered_subsets, osem


@dataclass(frozen=True)
class Settings:
    """How to reconstruct."""

    iterations: int = 8
    subsets: int = 2
    post_filter: PostFilter | None = None


def natural_grid(geometry: AcquisitionGeometry) -> VoxelGrid:
    """Return the axial grid around the isocenter with one slice per row and voxels as large as the pixels."""
    axial_mm, pixel_mm = geometry.pixel_size_mm
    shape = (geometry.rows, geometry.columns, geometry.columns)
    return VoxelGrid.axial(shape, (axial_mm, pixel_mm, pixel_mm), geometry.isocenter_mm)


def reconstruct(projections: Projections, settings: Settings, device: str = "cpu") -> Volume:
    """Return the activity that explains the photopeak's counts of all gates together.

    A voxel's value is the counts that it adds to each view. Raises ValueError as `osem` does.
    """
    return reconstruct_gates(projections.ungated(), settings, device)[0]


def reconstruct_gates(projections: Projections, settings: Settings, device: str = "cpu") -> tuple[Volume, ...]:
    """Return one volume per gate, as `reconstruct` does for all together."""
    geometry = projections.geometry
    grid = natural_grid(geometry)
    matrix = SystemMatrix(geometry, grid, device=device)
    measured = torch.from_numpy(projections.photopeak_counts()).to(matrix.device, matrix.dtype)
    subsets = [
        Subset(matrix.subset(views), measured[:, list(views)])
        for views in ordered_subsets(geometry.angles_deg, settings.subsets)
    ]
    activity = osem(subsets, _uniform_start(measured, grid, matrix.device), settings.iterations)
    values = [np.ascontiguousarray(gate) for gate in activity.cpu().numpy()]
    if settings.post_filter is not None:
        # Filters overshoot below zero next to hot organs; activity can't be negative.
        values = [np.maximum(filter_volume(gate, grid.voxel_mm, settings.post_filter), 0) for gate in values]
    return tuple(Volume(gate, grid, Unit.PROPORTIONAL_COUNTS) for gate in values)


def _uniform_start(measured: Tensor, grid: VoxelGrid, device: torch.device) -> Tensor:
    """Return an even activity `[gate, z, y, x]` of about the right height, laid out as the system matrix likes it."""
    gates, views = measured.shape[:2]
    slices, rows, columns = grid.shape
    height = max(float(measured.mean()) * views / rows, 1e-6)
    return torch.full((rows, columns, gates, slices), height, device=device).permute(2, 3, 0, 1)
