"""The share of photons that leaves the patient is that of the camera's model, and tells how mu should change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.physics.escape import escape, escape_from
from pipelines.physics.system_matrix import SystemMatrix
from pipelines.reconstruction.reconstruct import natural_grid

VOXEL_MM, SIDE = 6.4, 32


def a_mu_map() -> Tensor:
    z, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in (4, SIDE, SIDE)), indexing="ij")
    inside = 1 - torch.sqrt(((x - 15) / 12) ** 2 + ((y - 16) / 9) ** 2)
    return (3 * inside).clamp(0, 1) * (0.2 + 0.02 * torch.sin(x / 2 + y / 3 + z))


PLACES = [(0, 16, 15), (2, 13, 20), (3, 18, 11)]


def the_cameras_own(mu: Tensor, angle_deg: float) -> list[float]:
    """Return which share of the photons of each place the system matrix lets through toward one view."""
    geometry = AcquisitionGeometry((angle_deg,), (VOXEL_MM, VOXEL_MM), len(mu), SIDE)
    points = torch.zeros((len(PLACES), *mu.shape))
    for point, place in zip(points, PLACES, strict=True):
        point[place] = 1.0
    counts, without = (
        SystemMatrix(geometry, natural_grid(geometry), mu_per_cm=one).forward_project(points).sum(dim=(1, 2, 3))
        for one in (mu, torch.zeros_like(mu))
    )
    shares: list[float] = (counts / without).tolist()
    return shares


@pytest.mark.parametrize("angle_deg", [0.0, 90.0, 180.0, 270.0])
def test_along_the_axes_it_is_exactly_the_system_matrixs(angle_deg: float) -> None:
    mu = a_mu_map()
    found = escape(mu, VOXEL_MM, torch.tensor(PLACES).float(), [angle_deg])[:, 0]
    assert found.tolist() == pytest.approx(the_cameras_own(mu, angle_deg), rel=1e-4)


@pytest.mark.parametrize("angle_deg", [33.0, 118.0, 201.5, 310.0])
def test_between_the_axes_it_is_the_system_matrixs_up_to_interpolation(angle_deg: float) -> None:
    mu = a_mu_map()
    found = escape(mu, VOXEL_MM, torch.tensor(PLACES).float(), [angle_deg])[:, 0]
    expected = the_cameras_own(mu, angle_deg)
    assert found.tolist() == pytest.approx(expected, rel=0.02)
    assert max(expected) < 0.8  # there was something to get wrong


def test_more_attenuation_on_the_way_lets_less_through_and_elsewhere_changes_nothing() -> None:
    mu = a_mu_map().requires_grad_()
    escape(mu, VOXEL_MM, torch.tensor([[2.0, 16.0, 15.0]]), [90.0]).sum().backward()  # type: ignore[no-untyped-call]
    assert mu.grad is not None
    on_the_way = np.zeros(mu.shape, dtype=bool)
    on_the_way[2, 16, 15:] = True  # toward the patient's left
    assert (mu.grad.numpy()[on_the_way] < 0).all()
    assert np.abs(mu.grad.numpy()[~on_the_way]).max() < 1e-4 * np.abs(mu.grad.numpy()).max()


def test_places_in_the_patient_and_any_grid_give_the_same_as_voxels_of_cubes() -> None:
    mu, angles = a_mu_map(), [0.0, 60.0, 225.0]
    grid = VoxelGrid.axial((4, SIDE, SIDE), (VOXEL_MM,) * 3, (30.0, -20.0, 100.0))
    places_mm = np.array([grid.position_mm(*place) for place in PLACES])
    upside_down = replace(grid, affine=tuple(tuple(row) for row in _flipped(grid)))
    expected = escape(mu, VOXEL_MM, torch.tensor(PLACES).float(), angles).numpy()
    for volume in (
        Volume(mu.numpy(), grid, Unit.PER_CM),
        Volume(np.ascontiguousarray(mu.numpy()[::-1]), upside_down, Unit.PER_CM),
    ):
        assert np.allclose(escape_from(volume, places_mm, angles), expected, rtol=1e-4)


def _flipped(grid: VoxelGrid) -> list[list[float]]:
    matrix = grid.matrix
    matrix[:3, 3] = grid.position_mm(grid.shape[0] - 1, 0, 0)
    matrix[:3, 2] *= -1
    return [[float(value) for value in row] for row in matrix]
