"""What the checks share: error norm, acquisitions from counts, the thorax's camera."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Projections
from pipelines.physics.collimator import LEHR
from pipelines.physics.system_matrix import SystemMatrix
from tests.accuracy.phantoms import THORAX

SIEMENS = LEHR["SIEMENS"]
TC99M = (EnergyWindow(126.0, 154.0, "Tc-99m"),)
SUM = torch.float64


def nrmse(found: Tensor, expected: Tensor) -> float:
    """Return |found - expected| / |expected|."""
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def acquired(counts: np.ndarray, geometry: AcquisitionGeometry) -> Projections:
    """Return counts `[view, row, column]` as an acquisition."""
    return Projections(counts[None, None].astype(np.float32), geometry, TC99M)


def thorax_camera(geometry: AcquisitionGeometry, grid: VoxelGrid, device: str) -> SystemMatrix:
    mu = torch.from_numpy(THORAX.mu_map_on(grid).values)
    return SystemMatrix(geometry, grid, mu_per_cm=mu, collimator=SIEMENS, device=device)
