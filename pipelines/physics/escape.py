"""How many photons leave the patient from given places toward given views, differentiable in the mu-map.

The smallest part of the camera's model that a network can be taught by: half of the own voxel and all from it to the
detector, as in `system_matrix`, along one ray per place and view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


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
