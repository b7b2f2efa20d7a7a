"""A small chest with lungs, a hot liver and a heart whose place is known, its CT, and what a camera counts of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.contract import Acquisition, CardiacState, MapCandidate, MapSource, PatientSex
from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Projections, Unit, Volume
from pipelines.physics.attenuation import WATER_PER_CM
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.reconstruct import natural_grid
from tests.pipelines.cardiac import hearts

MIDDLE_MM = (15.0, -5.0, 10.0)
PIXEL_MM, SIDE, VIEWS = 6.8, 40, 24
GEOMETRY = AcquisitionGeometry(
    tuple(225.0 - 180.0 / VIEWS * view for view in range(VIEWS)),
    (PIXEL_MM, PIXEL_MM),
    SIDE,
    SIDE,
    (220.0,) * VIEWS,
    isocenter_mm=MIDDLE_MM,
)
WINDOWS = (EnergyWindow(126.45, 154.55, "Tc99m"), EnergyWindow(108.0, 126.0, "scatter"))
MAP_GRID = VoxelGrid.axial((50, 54, 60), (5.0, 5.0, 5.0), (12.0, 0.0, 14.0))  # a grid of its own
Float = NDArray[np.float64]


def tissues(grid: VoxelGrid) -> tuple[Float, Float]:
    """Return mu in 1/cm and activity `[z, y, x]`."""
    places = hearts.places_of(grid)

    def inside(middle: tuple[float, float, float], half: tuple[float, float, float]) -> NDArray[np.bool_]:
        return np.asarray((((places - np.asarray(middle)) / np.asarray(half)) ** 2).sum(axis=-1) < 1.0)

    body = inside(MIDDLE_MM, (112.0, 88.0, 1e6))
    heart = inside((42.0, -28.0, 6.0), (50.0, 46.0, 46.0))
    dome = 12.0 * np.cos(places[..., 0] / 40.0) - 40.0  # of the diaphragm
    below = (places[..., 2] < dome) & body
    lungs = inside((-40.0, 0.0, -30.0), (46.0, 68.0, 130.0)) | inside((70.0, 5.0, -30.0), (46.0, 68.0, 130.0))
    lungs &= ~heart & ~below & body
    mu = np.where(body, 0.152, 0.0)
    mu[lungs] = 0.045
    activity = np.where(body, 0.06, 0.0)
    activity[lungs] = 0.025
    activity[below] = 0.12
    activity[below & inside((-40.0, -5.0, -90.0), (66.0, 76.0, 80.0))] = 0.35
    return mu, np.maximum(activity, hearts.Heart().activity(places))


@cache
def a_mu_map(shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Volume:
    """Return the map of a patient who lies so far from where the camera saw him."""
    matrix = MAP_GRID.matrix
    matrix[:3, 3] -= shift_mm
    seen_from = replace(MAP_GRID, affine=tuple(tuple(float(value) for value in row) for row in matrix))
    return Volume(tissues(seen_from)[0].astype(np.float32), MAP_GRID, Unit.PER_CM)


def a_ct(shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Volume:
    """Return the CT of that patient."""
    values = 1000.0 * (a_mu_map(shift_mm).values / WATER_PER_CM - 1.0)
    return Volume(values.astype(np.float32), MAP_GRID, Unit.HOUNSFIELD)


@cache
def projections(gates: int = 1, windows: int = 1, counts: float = 3e6) -> Projections:
    """Return what a camera counts; the second window holds a fifth as much."""
    expected = _expected()
    shares = np.array([1.0, 0.2])[:windows, None, None, None, None] / gates
    drawn = np.random.default_rng(5).poisson(
        shares * np.broadcast_to(counts * expected, (windows, gates, *expected.shape))
    )
    return Projections(drawn.astype(np.float32), GEOMETRY, WINDOWS[:windows], view_time_s=20.0)


@cache
def _expected() -> Float:
    grid = natural_grid(GEOMETRY)
    mu, activity = tissues(grid)
    camera = SystemMatrix(GEOMETRY, grid, mu_per_cm=torch.from_numpy(mu).float())
    counts = camera.forward_project(torch.from_numpy(activity)[None].float())[0].numpy()
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def an_acquisition(gates: int = 1, windows: int = 1) -> Acquisition:
    """Return the projections of a woman under stress."""
    return Acquisition("1.2.3", projections(gates, windows), state=CardiacState.STRESS, sex=PatientSex.FEMALE)


def measured(ct: Volume | None = None, mu_map: Volume | None = None) -> tuple[MapCandidate, ...]:
    """Return what a study holds of maps, in the order in which they are tried."""
    both = ((MapSource.CT, ct), (MapSource.VENDOR, mu_map))
    return tuple(MapCandidate(source, volume) for source, volume in both if volume is not None)
