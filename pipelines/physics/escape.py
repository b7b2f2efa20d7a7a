"""How many photons leave the patient from given places toward given views, differentiable in the mu-map.

The smallest part of the camera's model that a network can be taught by: half of the own voxel and all from it to the
detector, as in `system_matrix`, along one ray per place and view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipelines.geometry import Float, VoxelGrid
from pipelines.images import Volume
from pipelines.resampling import resample


def escape(mu_per_cm: Tensor, voxel_mm: float, places: Tensor, angles_deg: Sequence[float]) -> Tensor:
    """Return exp(-integral of mu) `[place, view]` from places in a volume to the detector at each angle.

    `mu_per_cm` is `[z, y, x]` on an axial grid of cubic voxels, `places` are fractional voxel indices `[place, 3]`
    (z, y, x). Angles are those of `AcquisitionGeometry`; rays run within a slice, as parallel holes see them, and end
    where the volume ends.
    """
    slices, rows, columns = mu_per_cm.shape
    steps = math.ceil(math.hypot(rows, columns))
    angle = torch.tensor(angles_deg, dtype=mu_per_cm.dtype, device=mu_per_cm.device).deg2rad()
    along = torch.arange(steps, dtype=mu_per_cm.dtype, device=mu_per_cm.device)
    y = places[:, 1, None, None] + angle.cos()[None, :, None] * along  # [place, view, step]
    x = places[:, 2, None, None] + angle.sin()[None, :, None] * along
    z = places[:, 0, None, None].expand_as(y)
    sizes = ((x, columns), (y, rows), (z, slices))
    at = torch.stack([2 * value / max(size - 1, 1) - 1 for value, size in sizes], dim=-1)
    sampled = functional.grid_sample(mu_per_cm[None, None], at[None], padding_mode="zeros", align_corners=True)[0, 0]
    path = sampled.sum(dim=-1) - 0.5 * sampled[..., 0]
    return torch.exp(-path * (voxel_mm / 10))


@torch.inference_mode()
def escape_from(mu_map: Volume, places_mm: Float, angles_deg: Sequence[float]) -> Float:
    """Return exp(-integral of mu) `[place, view]` from LPS places `[place, 3]` through a mu-map on any grid."""
    side = min(mu_map.grid.voxel_mm[1:])
    corners = np.array(
        [mu_map.grid.position_mm(*(np.array(at) * (np.array(mu_map.grid.shape) - 1))) for at in np.ndindex(2, 2, 2)]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y, z = (math.ceil(length / side - 1e-6) + 1 for length in high - low)
    middle = (low + high) / 2
    cubes = VoxelGrid.axial((z, y, x), (side,) * 3, (float(middle[0]), float(middle[1]), float(middle[2])))
    mu = torch.from_numpy(resample(mu_map, cubes).values)
    places = np.array([cubes.index_of((float(x), float(y), float(z))) for x, y, z in places_mm]).reshape(-1, 3)
    return escape(mu, side, torch.from_numpy(places).to(mu), angles_deg).numpy().astype(np.float64)
