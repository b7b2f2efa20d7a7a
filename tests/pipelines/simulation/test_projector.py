"""The virtual camera sees what physics says: where, how wide and how weak a source appears."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.simulation.camera import CAMERAS, PROSPECT
from pipelines.simulation.projector import Blur, Projector
from pipelines.simulation.shapes import Canvas, Layer

SHARP = Blur(intrinsic_fwhm_mm=0.5, hole_mm=0.01, length_mm=30.0)


def air(shape: tuple[int, int, int], voxel_mm: float) -> Volume:
    grid = VoxelGrid.axial(shape, (voxel_mm,) * 3, (0.0, 0.0, 0.0))
    return Volume(np.zeros(shape, dtype=np.float32), grid, Unit.PER_CM)


def geometry(
    angles: tuple[float, ...], radii: tuple[float, ...], pixel: float = 4.0, size: int = 64
) -> AcquisitionGeometry:
    return AcquisitionGeometry(angles, (pixel, pixel), size, size, radii)


def one_voxel(shape: tuple[int, int, int], z: int, y: int, x: int) -> NDArray[np.float64]:
    activity = np.zeros(shape)
    activity[z, y, x] = 1.0
    return activity


def full_width_at_half_maximum(profile: NDArray[np.float64], pixel_mm: float) -> float:
    half = profile.max() / 2
    above = np.nonzero(profile >= half)[0]
    first, last = above[0], above[-1]
    left = first - (profile[first] - half) / (profile[first] - profile[first - 1])
    right = last + (profile[last] - half) / (profile[last] - profile[last + 1])
    return float((right - left) * pixel_mm)


@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_a_line_source_is_as_wide_as_the_collimator_formula_says(name: str) -> None:
    blur = CAMERAS[name].blur
    distances = (2.0, 25.0, 50.0, 100.0, 150.0, 200.0, 250.0)
    shape = (5, 9, 9)
    line = np.zeros(shape)
    line[:, 4, 4] = 1.0
    seen = Projector(air(shape, 0.4), geometry((0.0,) * 7, distances, pixel=0.5, size=129), blur).project([line])[0]
    for distance, view in zip(distances, seen, strict=True):
        expected = float(blur.fwhm_mm(np.array(distance)))
        assert full_width_at_half_maximum(view.sum(axis=0), 0.5) == pytest.approx(expected, rel=0.02)


def test_painting_and_sampling_the_patient_add_nothing_to_the_width() -> None:
    shape, radius = (9, 41, 41), 6.0
    grid = VoxelGrid.axial(shape, (3.2,) * 3, (0.0, 0.0, 0.0))
    rng = np.random.default_rng(4)
    squares = []
    for angle in rng.uniform(0, 360, 12):
        rod = Layer(Canvas(grid))
        x, y = rng.uniform(-8, 8, 2)
        rod.capsule((x, y, -100.0), (x, y, 100.0), radius, 1.0, 0.0)
        toward = x * math.sin(math.radians(angle)) + y * math.cos(math.radians(angle))
        camera = Projector(air(shape, 3.2), geometry((angle,), (100.0 + toward,), 1.0, 129), PROSPECT.blur)
        profile = camera.project([rod.activity])[0, 0].sum(axis=0)
        place = np.arange(129) - 64.0
        squares.append(profile @ place**2 / profile.sum() - (profile @ place / profile.sum()) ** 2)
    own = radius**2 / 4 + 1.0 / 12  # the rod's and the pixel's variance
    width = math.sqrt(np.mean(squares) - own) * 2.3548
    assert width == pytest.approx(float(PROSPECT.blur.fwhm_mm(np.array(100.0))), rel=0.02)


def test_nothing_is_lost_without_attenuation() -> None:
    rng = np.random.default_rng(1)
    shape = (12, 20, 24)
    activity = rng.random(shape)
    seen = Projector(air(shape, 4.0), geometry((0.0, 17.0, 90.0, 133.0), (120.0,) * 4, pixel=5.0), PROSPECT.blur)
    counts = seen.project([activity])[0].sum(axis=(1, 2))
    np.testing.assert_allclose(counts, activity.sum(), rtol=2e-3)


def test_left_is_right_in_the_view_from_the_front_and_the_head_is_up() -> None:
    shape = (16, 24, 24)
    left_front_head = one_voxel(shape, 13, 4, 20)  # z up, y toward the front, x to the left
    seen = Projector(air(shape, 4.0), geometry((180.0, 90.0, 0.0), (100.0,) * 3), SHARP).project([left_front_head])[0]
    rows, columns = np.transpose([np.unravel_index(view.argmax(), view.shape) for view in seen])
    assert rows.max() < 32
    assert columns[0] > 32  # from the front: the patient's left on the right
    assert columns[1] < 32  # from the left: the front on the left
    assert columns[2] < 32  # from the back: the left on the left


def test_the_axis_and_its_offset_move_the_image() -> None:
    shape = (8, 16, 16)
    source = one_voxel(shape, 4, 8, 8)  # at (+2, +2, +2) mm

    def middle(column_offset: float, isocenter: tuple[float, float, float]) -> tuple[float, float]:
        place = AcquisitionGeometry((180.0,), (4.0, 4.0), 64, 64, (100.0,), isocenter, column_offset)
        view = Projector(air(shape, 4.0), place, SHARP).project([source])[0, 0]
        index = np.arange(64)
        return float(view.sum(axis=1) @ index / view.sum()), float(view.sum(axis=0) @ index / view.sum())

    row, column = middle(0.0, (0.0, 0.0, 0.0))
    assert (row, column) == pytest.approx((31.0, 32.0), abs=0.01)
    assert middle(8.0, (0.0, 0.0, 0.0)) == pytest.approx((row, column + 2.0), abs=0.01)
    assert middle(0.0, (8.0, 0.0, 12.0)) == pytest.approx((row + 3.0, column - 2.0), abs=0.01)


@pytest.mark.parametrize("depth_mm", [40.0, 100.0, 160.0])
def test_water_before_a_source_takes_what_beer_and_lambert_say(depth_mm: float) -> None:
    shape = (4, 80, 12)
    grid = VoxelGrid.axial(shape, (4.0,) * 3, (0.0, 0.0, 0.0))
    y = grid.matrix[1, 3] + 4.0 * np.arange(80)
    mu = np.zeros(shape, dtype=np.float32)
    mu[:, y < 120.0] = 0.1536
    at = int(np.argmin(np.abs(y - (120.0 - depth_mm))))
    surface = y[y < 120.0].max() + 2.0
    counts = Projector(Volume(mu, grid, Unit.PER_CM), geometry((0.0,), (200.0,), pixel=8.0), PROSPECT.blur)
    seen = counts.project([one_voxel(shape, 2, at, 6)])[0].sum()
    assert seen == pytest.approx(math.exp(-0.01536 * (surface - y[at])), rel=0.01)


def test_the_projection_of_a_sum_is_the_sum_of_projections() -> None:
    rng = np.random.default_rng(2)
    shape = (8, 16, 16)
    one, two = rng.random(shape), rng.random(shape)
    camera = Projector(air(shape, 4.0), geometry((30.0, 211.0), (90.0, 95.0)), PROSPECT.blur)
    together, apart = camera.project([one + two])[0], camera.project([one, two]).sum(axis=0)
    np.testing.assert_allclose(together, apart, rtol=1e-3, atol=1e-3)


def test_a_camera_without_radii_is_refused() -> None:
    blind = AcquisitionGeometry((0.0,), (4.0, 4.0), 8, 8)
    with pytest.raises(ValueError, match="radius"):
        Projector(air((4, 4, 4), 4.0), blind, PROSPECT.blur)
