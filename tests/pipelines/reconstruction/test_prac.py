"""PRAC brings a vendor's uncorrected volume nearer to the corrected one, wherever and however its grid lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.geometry import VoxelGrid
from pipelines.images import EnergyWindow, Projections, Unit, UnsuitableAcquisition, Volume
from pipelines.reconstruction.prac import PracSettings, prac, virtual_camera
from pipelines.reconstruction.reconstruct import Settings, natural_grid, reconstruct
from pipelines.resampling import resample
from tests.accuracy.analytic import project_attenuated
from tests.accuracy.phantoms import THORAX, orbit

GEOMETRY = orbit(30, 180.0, 36, 20, 11.0)
GRID = natural_grid(GEOMETRY)
MU = THORAX.mu_map_on(GRID)


@pytest.fixture(scope="module")
def volumes() -> tuple[Volume, Volume]:
    counts = project_attenuated(THORAX.activity, THORAX.attenuation, GEOMETRY, None, 1)
    data = Projections(counts[None, None].astype(np.float32), GEOMETRY, (EnergyWindow(126.0, 154.0),))
    return reconstruct(data, Settings()), reconstruct(data, Settings(), mu_map=MU)


def distance(volume: Volume, reference: Volume) -> float:
    return float(np.linalg.norm(volume.values - reference.values) / np.linalg.norm(reference.values))


def test_it_comes_much_nearer_to_the_direct_correction(volumes: tuple[Volume, Volume]) -> None:
    uncorrected, corrected = volumes
    found = prac(uncorrected, MU, PracSettings(angles_deg=GEOMETRY.angles_deg))
    assert found.grid == uncorrected.grid
    assert distance(uncorrected, corrected) > 0.6
    assert distance(found, corrected) < 0.25
    assert found.values.sum() == pytest.approx(corrected.values.sum(), rel=0.1)


def test_a_volume_stored_head_first_gives_the_same(volumes: tuple[Volume, Volume]) -> None:
    uncorrected, _ = volumes
    matrix = GRID.matrix
    matrix[2, 3] += (GRID.shape[0] - 1) * matrix[2, 2]
    matrix[2, 2] *= -1
    head_first = VoxelGrid(GRID.shape, tuple(tuple(row) for row in matrix.tolist()))
    turned = Volume(uncorrected.values[::-1].copy(), head_first, uncorrected.unit)
    straight, other = prac(uncorrected, MU), prac(turned, MU)
    assert other.grid == head_first
    np.testing.assert_allclose(other.values[::-1], straight.values, rtol=1e-3, atol=1e-3 * straight.values.max())


def test_a_shifted_mu_map_does_harm(volumes: tuple[Volume, Volume]) -> None:
    uncorrected, corrected = volumes
    settings = PracSettings(angles_deg=GEOMETRY.angles_deg)
    aside = resample(Volume(MU.values, VoxelGrid.axial(GRID.shape, GRID.voxel_mm, (30.0, 0.0, 0.0)), MU.unit), GRID)
    right, wrong = (distance(prac(uncorrected, mu, settings), corrected) for mu in (MU, aside))
    assert wrong > right + 0.05


def test_tissue_beside_a_small_field_attenuates_as_well(volumes: tuple[Volume, Volume]) -> None:
    uncorrected, _ = volumes
    box = (slice(None), slice(10, 26), slice(12, 28))
    small = Volume(np.ascontiguousarray(uncorrected.values[box]), GRID.part(box), uncorrected.unit)
    middle = (slice(8, 12), slice(4, 12), slice(6, 14))
    reference = prac(uncorrected, MU).values[box][middle]
    found, cut = (prac(small, mu).values[middle] for mu in (MU, resample(MU, small.grid)))
    assert found.sum() == pytest.approx(reference.sum(), rel=0.05)
    assert cut.sum() < 0.7 * reference.sum()
    np.testing.assert_allclose(found, reference, atol=0.1 * reference.max())


def test_without_attenuation_the_volume_stays_as_it_is(volumes: tuple[Volume, Volume]) -> None:
    uncorrected, _ = volumes
    air = np.zeros(GRID.shape, np.float32)
    air[0, 0, 0] = 0.15  # a map must look like one; this voxel no ray of the volume crosses
    found = prac(uncorrected, Volume(air, GRID, Unit.PER_CM))
    assert distance(found, uncorrected) < 0.01


def test_the_virtual_camera_sees_every_corner_on_the_volumes_own_voxels() -> None:
    grid = VoxelGrid.axial((20, 30, 41), (4.0, 5.0, 5.0), (7.0, -90.0, 12.0))
    geometry, wide = virtual_camera(grid, PracSettings())
    assert geometry.isocenter_mm == pytest.approx((7.0, -90.0, 12.0))
    assert geometry.columns * 5.0 >= np.hypot(29 * 5.0, 40 * 5.0)
    index = wide.index_of(tuple(grid.position_mm(3, 0, 0)))
    assert index[0] == pytest.approx(3)
    assert index[2] == pytest.approx(round(index[2]))


def test_the_virtual_cameras_grid_holds_a_wider_maps_tissue() -> None:
    box = (slice(None), slice(10, 26), slice(12, 28))
    narrow = GRID.part(box)
    _, alone = virtual_camera(narrow, PracSettings())
    _, wide = virtual_camera(narrow, PracSettings(), MU)
    assert alone.shape[1] < wide.shape[1]
    assert resample(MU, wide).values.sum() == pytest.approx(MU.values.sum(), rel=1e-3)
    assert virtual_camera(GRID, PracSettings(), MU) == virtual_camera(GRID, PracSettings())
    far_too_wide = replace(MU, grid=VoxelGrid.axial(GRID.shape, (11.0, 110.0, 110.0), (0.0, 0.0, 0.0)))
    assert virtual_camera(narrow, PracSettings(), far_too_wide)[1].shape[1] * 11.0 < 830.0


def test_an_empty_volume_and_an_impossible_map_are_refused(volumes: tuple[Volume, Volume]) -> None:
    uncorrected, _ = volumes
    with pytest.raises(UnsuitableAcquisition, match="holds no activity"):
        prac(replace(uncorrected, values=np.zeros(GRID.shape, np.float32)), MU)
    with pytest.raises(UnsuitableAcquisition, match="mu-map's values"):
        prac(uncorrected, Volume((MU.values / 10).astype(np.float32), GRID, Unit.PER_CM))
