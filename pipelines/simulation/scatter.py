"""Compton scatter in the patient: where photons that changed direction toward the detector seem to come from.

For one view, an emission of one photon makes an effective source of scattered photons around it: the chance to reach a
place, to scatter there straight toward the detector (Klein and Nishina 1929), and to be counted in the energy window
with the energy that is left. Photons that scatter more than once are taken in by letting the first flight meet only a
part of the attenuation (`first_flight`); that part is the model's one free number per window, fitted to a Monte Carlo
simulation of a point source in a water slab. What leaves the effective source is attenuated on its way out by the
patient's own map, and blurred like all other photons. The idea is the effective source of Frey and Tsui (1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Volume
from pipelines.simulation.energy import (
    PHOTOPEAK_KEV,
    WATER_MU_PER_CM,
    klein_nishina_per_sr,
    scattered_energy_kev,
    water_mu_per_cm,
    window_share,
)
from pipelines.simulation.projector import Blur, Projector, Source

Float = NDArray[np.float64]

COARSENING = 4  # voxels of the patient per voxel of the effective source: scatter is smooth
KERNEL_REACH_MM = 180.0
COMPTON_SHARE = 0.985  # of all interactions in water at the photopeak


def first_flight(window: EnergyWindow) -> float:
    """Return the share of the attenuation that the first flight meets, fitted to Monte Carlo in water (5 to 15 cm).

    0.78 in windows about the photopeak, 0.45 in scatter windows below it, where several scatterings are common.
    """
    return 0.78 if window.holds(PHOTOPEAK_KEV) else 0.45


@dataclass(frozen=True)
class ScatterKernel:
    """Scattered photons counted in one window per photon emitted, on a lattice about the emission.

    `share` is `[distance, lateral, z]` for water; `exit_scale` the mu of what leaves, against the photopeak's.
    """

    share: Float
    exit_scale: float

    @classmethod
    def of(cls, window: EnergyWindow, resolution: float, step_mm: float) -> ScatterKernel:
        """Return the kernel on a lattice of `step_mm`; each cell is integrated over 4 x 4 x 4 places inside."""
        cells = int(KERNEL_REACH_MM / step_mm)
        fine = 4
        inside = (np.arange(fine) + 0.5) / fine - 0.5
        axis = (np.arange(-cells, cells + 1)[:, None] + inside[None, :]).ravel() * step_mm
        away, lateral, z = axis[:, None, None], axis[None, :, None], axis[None, None, :]
        radius = np.sqrt(away**2 + lateral**2 + z**2)
        cosine = np.broadcast_to(-away / radius, radius.shape)  # the detector lies at smaller distances
        table = np.linspace(-1.0, 1.0, 2001)
        energy = scattered_energy_kev(table)
        counted = klein_nishina_per_sr(table) * np.vectorize(lambda e: window_share(window, resolution, e))(energy)
        reaching = np.exp(-first_flight(window) * WATER_MU_PER_CM / 10.0 * radius) / radius**2
        share = np.interp(cosine, table, counted) * reaching * COMPTON_SHARE * WATER_MU_PER_CM / 10.0
        size = 2 * cells + 1
        cell = share.reshape(size, fine, size, fine, size, fine).sum(axis=(1, 3, 5)) * (step_mm / fine) ** 3
        mean_energy = float((counted * energy).sum() / counted.sum())
        return cls(cell, water_mu_per_cm(mean_energy) / WATER_MU_PER_CM)


class ScatterProjector:
    """Projects the scattered photons of one patient into each energy window."""

    def __init__(
        self,
        mu_map: Volume,
        geometry: AcquisitionGeometry,
        blur: Blur,
        windows: tuple[EnergyWindow, ...],
        resolution: float,
    ) -> None:
        coarse = coarser(mu_map)
        self._camera = Projector(coarse, geometry, blur)
        self._water_per_step = WATER_MU_PER_CM * self._camera.step_mm / 10.0
        self._kernels = [ScatterKernel.of(window, resolution, self._camera.step_mm) for window in windows]
        self._spectra: dict[tuple[int, ...], list[torch.Tensor]] = {}

    def project(self, activity: NDArray[np.floating]) -> Float:
        """Return the expected scatter `[window, view, row, column]` for one photon per unit of `[z, y, x]`."""
        source = Source([_blocks(activity, COARSENING).sum(axis=(1, 3, 5))], self._camera.grid.shape)
        region = source.occupied | self._camera.body.occupied
        geometry = self._camera.geometry
        counts = np.zeros((len(self._kernels), geometry.views, geometry.rows, geometry.columns))
        for view in range(geometry.views) if source.occupied.any() else ():
            frame = self._camera.frame(view, source, region)
            density = frame.mu[:, :, 0] / self._water_per_step
            for index, effective in enumerate(self._effective(frame.emitted[:, :, 0])):
                scattered = (effective * density).unsqueeze(2)
                leaving = scattered * frame.transmission(self._kernels[index].exit_scale)
                counts[index, view] = self._camera.detect(frame, leaving, source.slices)[0].numpy()
        return counts * source.quantum

    def _effective(self, emitted: torch.Tensor) -> list[torch.Tensor]:
        """Return the emission `[distance, lateral, z]` folded with the kernel of each window."""
        reach = self._kernels[0].share.shape[0] // 2
        padded = tuple(_fast_length(size + reach) for size in emitted.shape)
        if padded not in self._spectra:
            self._spectra[padded] = [_spectrum(kernel.share, padded) for kernel in self._kernels]
        spectrum = torch.fft.rfftn(emitted, s=padded)
        keep = tuple(slice(0, size) for size in emitted.shape)
        return [torch.fft.irfftn(spectrum * kernel, s=padded)[keep] for kernel in self._spectra[padded]]


def _spectrum(share: Float, padded: tuple[int, ...]) -> torch.Tensor:
    """Return the Fourier transform of a kernel whose middle is moved to the first cell, cut where it would wrap."""
    reach = share.shape[0] // 2
    placed = np.zeros(padded)
    index = [np.arange(-reach, reach + 1) for _ in range(3)]
    used = [np.abs(i) <= size // 2 - 1 for i, size in zip(index, padded, strict=True)]
    target = np.ix_(*(np.mod(i[u], size) for i, u, size in zip(index, used, padded, strict=True)))
    placed[target] = share[np.ix_(*used)]
    spectrum: torch.Tensor = torch.fft.rfftn(torch.from_numpy(placed))
    return spectrum


def _fast_length(size: int) -> int:
    """Return the next length that a Fourier transform takes quickly: 2, 3 and 5 its only prime factors."""
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1


def _blocks(values: NDArray[np.floating], edge: int) -> Float:
    """Return values `[z, y, x]` as blocks `[z, edge, y, edge, x, edge]`; sizes are multiples of `edge`."""
    slices, rows, columns = (size // edge for size in values.shape)
    return values.astype(np.float64).reshape(slices, edge, rows, edge, columns, edge)


def coarser(volume: Volume, edge: int = COARSENING) -> Volume:
    """Return the means over blocks of `edge` voxels; the grid's sizes are multiples of it."""
    if any(size % edge for size in volume.grid.shape):
        raise ValueError(f"a grid of {volume.grid.shape} can't be cut into blocks of {edge}")
    values = _blocks(volume.values, edge).mean(axis=(1, 3, 5))
    middle = volume.grid.position_mm(*((size - 1) / 2 for size in volume.grid.shape))
    depth, height, width = (size * edge for size in volume.grid.voxel_mm)
    grid = VoxelGrid.axial(values.shape, (depth, height, width), (float(middle[0]), float(middle[1]), float(middle[2])))
    return Volume(values.astype(np.float32), grid, volume.unit)
