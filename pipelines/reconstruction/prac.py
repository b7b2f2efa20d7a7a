"""Post-reconstruction attenuation correction (PRAC): for a vendor's volume whose projections can't be had.

Liu et al., "Post-reconstruction attenuation correction for SPECT myocardium perfusion imaging facilitated by deep
learning-based attenuation map generation", J. Nucl. Cardiol. 28 (2021); used by Huxohl et al. 2023: the volume is
projected without attenuation, and these virtual projections are reconstructed with it. It is an approximation: the
volume fits the measured, attenuated counts only as far as a volume without attenuation can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry, Float, VoxelGrid
from pipelines.images import Unit, UnsuitableAcquisition, Volume
from pipelines.physics.attenuation import TECHNETIUM_KEV, check_mu_map
from pipelines.physics.body_outline import SKIN_PER_CM
from pipelines.physics.collimator import FocalSensitivity
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.osem import Subset, ordered_subsets, osem
from pipelines.resampling import resample

_WIDEST_MM = 800.0  # of a map that is taken: no patient is wider, and a wrong pixel spacing must not fill the memory


@dataclass(frozen=True)
class PracSettings:
    """How to correct: few updates from a start that is already nearly right, so that noise does not grow.

    The virtual views must be those of the acquisition, or at least its arc: a volume from 180 degrees says nothing true
    about the other side, and the error of the heart's segments more than doubles if it is asked. The virtual camera
    has no blur: the volume has been through a real one, and would be sharpened twice.
    """

    iterations: int = 4
    subsets: int = 2
    angles_deg: tuple[float, ...] = tuple(225.0 - 180.0 / 64 * view for view in range(64))  # right front to left back
    sensitivity: FocalSensitivity | None = None  # None: parallel holes, equal everywhere
    warm_start: bool = True  # from Chang's correction; else from an even activity


def prac(
    uncorrected: Volume,
    mu_map: Volume,
    settings: PracSettings | None = None,
    device: str = "cpu",
    energy_kev: float = TECHNETIUM_KEV,
) -> Volume:
    """Return the volume corrected for attenuation, on its own grid.

    The map may reach beyond the volume: what lies outside a small field attenuates as well. Negative values count as 0.
    The total grows to what would have been counted without attenuation. Raises UnsuitableAcquisition when the volume is
    empty or the mu-map can't be one in 1/cm for photons of this energy.
    """
    if float(uncorrected.values.max()) <= 0:
        raise UnsuitableAcquisition("the reconstruction to be corrected holds no activity")
    check_mu_map(mu_map, energy_kev)
    return _prac(uncorrected, mu_map, settings or PracSettings(), device)


def _prac(uncorrected: Volume, mu_map: Volume, settings: PracSettings, device: str) -> Volume:
    geometry, grid = virtual_camera(uncorrected.grid, settings, mu_map)
    activity = torch.from_numpy(np.maximum(resample(uncorrected, grid).values, 0))[None].to(device)
    mu = torch.from_numpy(resample(mu_map, grid).values)
    camera = SystemMatrix(geometry, grid, sensitivity=settings.sensitivity, device=device)
    attenuated = SystemMatrix(geometry, grid, mu_per_cm=mu, sensitivity=settings.sensitivity, device=device)
    virtual = camera.forward_project(activity)
    subsets = [
        Subset(attenuated.subset(views), virtual[:, list(views)])
        for views in ordered_subsets(geometry.angles_deg, settings.subsets)
    ]
    start = activity * chang_factors(camera, attenuated) if settings.warm_start else torch.ones_like(activity)
    corrected = osem(subsets, start, settings.iterations)
    found = Volume(np.ascontiguousarray(corrected[0].cpu().numpy()), grid, Unit.PROPORTIONAL_COUNTS)
    return resample(found, uncorrected.grid)


def chang_factors(camera: SystemMatrix, attenuated: SystemMatrix) -> Tensor:
    """Return 1 / (the share of photons that leave each voxel toward the views, on average), `[1, z, y, x]`.

    Chang, IEEE Trans. Nucl. Sci. 25 (1978) 638, order zero. 1 where no view sees the voxel.
    """
    geometry = camera.geometry
    ones = torch.ones((1, geometry.views, geometry.rows, geometry.columns), device=camera.device)
    free, left = camera.back_project(ones), attenuated.back_project(ones)
    seen = left > 1e-6 * free.max()
    return torch.where(seen, free / torch.where(seen, left, 1), 1)


def virtual_camera(
    grid: VoxelGrid, settings: PracSettings, mu_map: Volume | None = None
) -> tuple[AcquisitionGeometry, VoxelGrid]:
    """Return an orbit around a volume, and an axial grid of its voxels so wide that every view sees all of it.

    With a mu-map, its tissue beside the volume lies in the grid as well, as far as patients reach.
    """
    slice_mm, y_mm, x_mm = _axial_voxel_mm(grid)
    pixel_mm = min(y_mm, x_mm)
    low, high = _ends_mm(grid)
    isocenter = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2, float(low[2] + high[2]) / 2)
    slices = round(float(high[2] - low[2]) / slice_mm) + 1
    across = round(float(high[0] - low[0]) / pixel_mm) + 1
    width_mm = math.hypot(*(high - low)[:2])
    if mu_map is not None and mu_map.grid != grid:
        width_mm = max(width_mm, min(2 * (_reach_mm(mu_map, grid) + pixel_mm), _WIDEST_MM))
    columns = math.ceil(width_mm / pixel_mm) + 1
    columns += (columns - across) % 2  # voxel centers then fall on the volume's own
    geometry = AcquisitionGeometry(settings.angles_deg, (slice_mm, pixel_mm), slices, columns, isocenter_mm=isocenter)
    return geometry, VoxelGrid.axial((slices, columns, columns), (slice_mm, pixel_mm, pixel_mm), isocenter)


def _ends_mm(grid: VoxelGrid) -> tuple[Float, Float]:
    """Return the lowest and the highest LPS coordinates of a grid's voxel centers."""
    last = np.array(grid.shape) - 1
    ends = np.array([grid.position_mm(*(np.array(corner) * last)) for corner in np.ndindex(2, 2, 2)])
    return ends.min(axis=0), ends.max(axis=0)


def _reach_mm(mu_map: Volume, grid: VoxelGrid) -> float:
    """Return how far from the axis through the middle of a grid the tissue beside it reaches; 0 where there is none.

    Looked at in steps of the grid's voxels: a CT has finer ones.
    """
    low, high = _ends_mm(grid)
    steps = [max(1, int(min(grid.voxel_mm) / own)) for own in mu_map.grid.voxel_mm]
    index = np.argwhere(mu_map.values[:: steps[0], :: steps[1], :: steps[2]] > SKIN_PER_CM) * steps
    matrix = mu_map.grid.matrix
    places = index[:, ::-1] @ matrix[:3, :3].T + matrix[:3, 3]
    beside = places[(places[:, 2] >= low[2]) & (places[:, 2] <= high[2]), :2]
    return float(np.hypot(*(beside - (low + high)[:2] / 2).T).max(initial=0.0))


def _axial_voxel_mm(grid: VoxelGrid) -> tuple[float, float, float]:
    """Return the voxel's size along z, y, x of the patient; for an oblique grid its smallest side along each."""
    matrix = np.abs(grid.matrix[:3, :3])
    along = [float(matrix[axis].max()) for axis in range(3)]
    oblique = any(np.count_nonzero(matrix[axis] > 1e-3 * along[axis]) > 1 for axis in range(3))
    if oblique:
        return (min(grid.voxel_mm),) * 3
    return along[2], along[1], along[0]
