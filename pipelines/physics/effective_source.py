"""What scattered photons add to the photopeak where no window measured it: an effective source, from the physics."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import Array, EnergyWindow, Volume
from pipelines.physics.attenuation import WATER_PER_CM
from pipelines.physics.collimator import FWHM_PER_SIGMA
from pipelines.physics.rotation import DetectorFrame, Support, bilinear_entries, support_mask
from pipelines.physics.sparse import SparsePair
from pipelines.resampling import resample

_COARSE_MM = 18.0
_ELECTRON_KEV = 511.0
_COMPTON_SHARE = 0.957  # of all attenuation in water at 140.5 keV (NIST XCOM)


def scatter_from_effective_source(
    activity: Volume,
    mu_map: Volume,
    geometry: AcquisitionGeometry,
    window: EnergyWindow,
    photon_kev: float = 140.5,
    energy_resolution: float = 0.095,
) -> Array:
    """Return the scattered counts `[view, row, column]` that this activity sends into the window.

    Photons that scattered once (Compton, Klein and Nishina) leave the place of scatter as from a second source: per
    view mu(x) times the activity convolved with exp(-mu_water r) / r^2, the differential cross section of the angle
    toward the camera, and the chance that their lower energy still falls into the window. After Frey and Tsui, "A new
    method for modeling the spatially-variant, object-dependent scatter response function in SPECT", IEEE NSS (1996),
    with the kernel from physics in place of Monte Carlo tables, on a grid of 18 mm, which is finer than scatter.
    Photons that scattered twice or more, about a tenth of those in a 20 % window, are left out.
    """
    coarse_geometry, grid = _coarse(geometry)
    frame = DetectorFrame.of(coarse_geometry, grid, Support.GRID)
    mask = support_mask(frame, grid, Support.GRID, torch.device("cpu"))
    sample, voxel, weight = bilinear_entries(geometry.angles_deg, frame, mask)
    rows = geometry.views * frame.depths * frame.columns
    rotate = SparsePair.from_entries(sample, voxel, weight.float(), (rows, mask.numel())).matrix
    shape = (geometry.views, frame.depths, frame.columns, grid.shape[0])
    scale = float(np.prod(grid.voxel_mm)) / float(np.prod(activity.grid.voxel_mm))
    source = rotate.apply(_columns(resample(activity, grid)) * scale).view(shape)
    mu = rotate.apply(_columns(resample(mu_map, grid))).view(shape)
    size_cm = frame.pixel_mm / 10
    kernel = _single_scatter_kernel(
        (frame.depths, frame.columns, grid.shape[0]), size_cm, window, photon_kev, energy_resolution
    )
    scattered = _COMPTON_SHARE * mu * _convolve(source, kernel)
    path = (mu.sum(1, keepdim=True) - torch.cumsum(mu, 1) + mu / 2) * size_cm
    counts = (scattered * torch.exp(-path)).sum(1)  # [view, column, slice]
    return _onto_detector(counts.flip(2).permute(0, 2, 1), coarse_geometry, frame, geometry)


def _coarse(geometry: AcquisitionGeometry) -> tuple[AcquisitionGeometry, VoxelGrid]:
    """Return the same orbit with large square pixels over the same field, and its grid."""
    axial_mm, pixel_mm = geometry.pixel_size_mm
    rows = math.ceil(geometry.rows * axial_mm / _COARSE_MM) + 1
    columns = math.ceil(geometry.columns * pixel_mm / _COARSE_MM) + 1
    size = (_COARSE_MM, _COARSE_MM)
    coarse = AcquisitionGeometry(geometry.angles_deg, size, rows, columns, isocenter_mm=geometry.isocenter_mm)
    return coarse, VoxelGrid.axial((rows, columns, columns), (_COARSE_MM,) * 3, geometry.isocenter_mm)


def _columns(volume: Volume) -> Tensor:
    """Return a volume as `[y * x, z]`."""
    return torch.from_numpy(volume.values).permute(1, 2, 0).reshape(-1, volume.values.shape[0]).contiguous()


def _single_scatter_kernel(
    shape: tuple[int, int, int], size_cm: float, window: EnergyWindow, photon_kev: float, resolution: float
) -> Tensor:
    """Return the kernel `[2 depth, 2 column, 2 slice]` around index 0: scatter per 1/cm of mu, from source to place.

    Depth ascends toward the camera. Each cell is the mean over positions within the cells of source and place.
    """
    part = 4
    inner = (
        torch.arange(2 * part - 1, dtype=torch.float64) - (part - 1)
    ) / part  # differences of positions within cells
    weight = (part - (torch.arange(2 * part - 1, dtype=torch.float64) - (part - 1)).abs()) / part**2
    axes = [torch.fft.fftfreq(2 * n, 1 / (2 * n), dtype=torch.float64) for n in shape]
    total = torch.zeros([2 * n for n in shape], dtype=torch.float64)
    for i, j, k in np.ndindex(2 * part - 1, 2 * part - 1, 2 * part - 1):
        s, u, z = axes[0] + inner[i], axes[1] + inner[j], axes[2] + inner[k]
        square = (s[:, None, None] ** 2 + u[None, :, None] ** 2 + z[None, None, :] ** 2) * size_cm**2
        square = square.clamp_min((size_cm / part) ** 2 / 8)  # the mean of 1 / r^2 over the smallest cell is finite
        r = square.sqrt()
        cosine = s[:, None, None] * size_cm / r
        value = torch.exp(-WATER_PER_CM * r) / square * _accepted_per_steradian(cosine, window, photon_kev, resolution)
        total += weight[i] * weight[j] * weight[k] * value
    return (total * size_cm**3).float()


def _accepted_per_steradian(cosine: Tensor, window: EnergyWindow, photon_kev: float, resolution: float) -> Tensor:
    """Return the chance per steradian to scatter this way and be counted, relative to an unscattered photon's."""
    alpha = photon_kev / _ELECTRON_KEV
    ratio = 1 / (1 + alpha * (1 - cosine))  # scattered energy / energy
    cross_section = ratio**2 * (ratio + 1 / ratio - (1 - cosine**2))
    every = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    every_ratio = 1 / (1 + alpha * (1 - every))
    whole = 2 * math.pi * torch.trapezoid(every_ratio**2 * (every_ratio + 1 / every_ratio - (1 - every**2)), every)

    def counted(kev: Tensor) -> Tensor:
        sigma = resolution * photon_kev / FWHM_PER_SIGMA * (kev / photon_kev).sqrt() * math.sqrt(2)
        return (torch.erf((window.upper_kev - kev) / sigma) - torch.erf((window.lower_kev - kev) / sigma)) / 2

    unscattered = counted(torch.tensor(photon_kev, dtype=torch.float64))
    return cross_section / whole * counted(ratio * photon_kev) / unscattered


def _convolve(source: Tensor, kernel: Tensor) -> Tensor:
    """Return the source `[view, depth, column, slice]` convolved with a kernel of twice its size, without wrapping."""
    spectrum = torch.fft.rfftn(source, s=kernel.shape, dim=(1, 2, 3)) * torch.fft.rfftn(kernel)
    full: Tensor = torch.fft.irfftn(spectrum, s=kernel.shape, dim=(1, 2, 3))
    return full[:, : source.shape[1], : source.shape[2], : source.shape[3]].clamp_min(0)


def _onto_detector(
    counts: Tensor, coarse: AcquisitionGeometry, frame: DetectorFrame, geometry: AcquisitionGeometry
) -> Array:
    """Return coarse counts `[view, row, column]` interpolated onto the detector's pixels, as counts per pixel."""
    size = coarse.pixel_size_mm[0]
    axial_mm, pixel_mm = geometry.pixel_size_mm
    row = (np.arange(geometry.rows, dtype=np.float64) - (geometry.rows - 1) / 2) * axial_mm / size + (
        coarse.rows - 1
    ) / 2
    across_mm = (np.arange(geometry.columns, dtype=np.float64) - (geometry.columns - 1) / 2) * pixel_mm
    column = (across_mm - geometry.center_of_rotation_offset_mm) / size + (frame.columns - 1) / 2
    values = _interpolate(_interpolate(counts.double().numpy(), row, 1), column, 2)
    return (values * axial_mm * pixel_mm / size**2).astype(np.float32)


def _interpolate(values: NDArray[np.float64], place: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the values linearly interpolated at fractional places along an axis; 0 beyond the ends."""
    low = np.floor(place).astype(int)
    part = place - low
    moved = np.pad(np.moveaxis(values, axis, -1), [(0, 0)] * (values.ndim - 1) + [(1, 2)])
    index = np.clip(low + 1, 0, moved.shape[-1] - 2)
    return np.moveaxis(moved[..., index] * (1 - part) + moved[..., index + 1] * part, -1, axis)
