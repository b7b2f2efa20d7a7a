"""Filtered back projection, the clinical baseline: fast, linear, with streaks and no physics.

Kak and Slaney, "Principles of Computerized Tomographic Imaging" (1988), chapter 3.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from pipelines.geometry import AcquisitionGeometry
from pipelines.images import Projections, Unit, Volume
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.filters import Frequencies, PostFilter
from pipelines.reconstruction.reconstruct import natural_grid


def fbp(projections: Projections, window: PostFilter | None = None, device: str = "cpu") -> Volume:
    """Return the photopeak of all gates, ramp-filtered (times `window`, if given) and back projected.

    The unit is that of OSEM: the counts that a voxel adds to each view. Values may be negative.
    """
    geometry = projections.geometry
    grid = natural_grid(geometry)
    counts = torch.from_numpy(projections.ungated().photopeak_counts()).to(device)
    filtered = _filter(counts, geometry.pixel_size_mm[1], window)
    weights = torch.from_numpy(view_weights(geometry)).to(filtered)
    volume = SystemMatrix(geometry, grid, device=device).back_project(filtered * weights[None, :, None, None])
    return Volume(np.ascontiguousarray(volume[0].cpu().numpy()), grid, Unit.PROPORTIONAL_COUNTS)


def view_weights(geometry: AcquisitionGeometry) -> Frequencies:
    """Return each view's share of half a turn, in radians.

    Opposite views see the same lines, so angles count modulo 180 degrees: a view stands for half of the way to its
    neighbours there. That is right for 180 and 360 degrees, for arcs between, and for uneven steps.
    """
    angles = np.mod(np.array(geometry.angles_deg), 180.0)
    distinct, inverse, times = np.unique(np.round(angles, 4) % 180.0, return_inverse=True, return_counts=True)
    if distinct.size == 1:
        return np.full(angles.size, math.pi / angles.size)
    before = np.diff(distinct, prepend=distinct[-1] - 180.0)
    after = np.diff(distinct, append=distinct[0] + 180.0)
    share: Frequencies = np.deg2rad((before + after) / 2)[inverse] / times[inverse]
    return share


def _filter(counts: torch.Tensor, pixel_mm: float, window: PostFilter | None) -> torch.Tensor:
    """Return every row of columns convolved with the band-limited ramp, times the window."""
    columns = counts.shape[-1]
    length = 2 ** math.ceil(math.log2(2 * columns))
    # The ramp is sampled in space, not in frequency: that keeps the mean right (Kak and Slaney, eq. 61).
    place = np.minimum(np.arange(length), length - np.arange(length))
    ramp = np.zeros(length)
    ramp[0] = 0.25
    odd = place % 2 == 1
    ramp[odd] = -1 / (math.pi * place[odd]) ** 2
    response: Frequencies = np.fft.rfft(ramp).real.astype(np.float64)
    if window is not None:
        response = response * window.transfer(np.fft.rfftfreq(length, pixel_mm / 10).astype(np.float64))
    spectrum = torch.fft.rfft(counts, n=length, dim=-1) * torch.from_numpy(response).to(counts)
    filtered: torch.Tensor = torch.fft.irfft(spectrum, n=length, dim=-1)[..., :columns]
    return filtered
