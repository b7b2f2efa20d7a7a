"""The left ventricle is found where it is, under all that can stand in its way, and never invented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.cardiac.left_ventricle import Guidance, NoHeartFound, find_left_ventricle
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, UnsuitableAcquisition, Volume
from tests.pipelines.cardiac.hearts import (
    CAMERA_FWHM_MM,
    USUAL_GRID,
    Heart,
    angle_deg,
    axis_at,
    ball,
    blurred,
    body,
    places_of,
    seen,
    without,
)

FINE_GRID = VoxelGrid.axial((100, 100, 100), (4.0, 4.0, 4.0), (10.0, 0.0, 5.0))
UPSIDE_DOWN = VoxelGrid(
    (64, 64, 64),
    ((6.4, 0.0, 0.0, -201.6), (0.0, 6.4, 0.0, -201.6), (0.0, 0.0, -6.4, 201.6), (0.0, 0.0, 0.0, 1.0)),
)
INFERIOR_WALL = (50.0, -40.0, -46.0)  # just below the usual heart


def distance(left: object, right: object) -> float:
    return float(np.linalg.norm(np.asarray(left, dtype=float) - np.asarray(right, dtype=float)))


@pytest.mark.parametrize(
    ("grid", "azimuth", "elevation", "middle"),
    [
        (USUAL_GRID, 45, 25, (45.0, -30.0, 10.0)),
        (USUAL_GRID, 25, 5, (31.7, -44.1, 33.3)),
        (FINE_GRID, 65, 45, (58.2, -17.9, -22.6)),
        (UPSIDE_DOWN, 25, 45, (31.7, -44.1, 10.0)),
    ],
    ids=["6.4 mm", "6.4 mm, flat", "4 mm, steep", "slices downward"],
)
def test_it_is_found_in_any_pose(
    grid: VoxelGrid, azimuth: float, elevation: float, middle: tuple[float, float, float]
) -> None:
    heart = Heart(middle=middle, axis=axis_at(azimuth, elevation))
    found = find_left_ventricle(seen(heart, grid))
    assert angle_deg(found.long_axis, heart.axis) < 2.0
    assert distance(found.center_mm, heart.center_mm) < 2.0
    assert abs(float((np.asarray(found.base_mm) - heart.base_mm) @ heart.axis)) < 4.0
    assert found.azimuth_deg == pytest.approx(azimuth, abs=3.0)
    assert found.elevation_deg == pytest.approx(elevation, abs=2.0)
    assert found.confidence > 0.8
    assert found.remarks == ()


@pytest.mark.parametrize(
    ("half_width", "half_length", "base"), [(21.0, 39.0, -21.0), (38.0, 62.0, -34.0)], ids=["small", "dilated"]
)
def test_small_and_dilated_hearts_are_found(half_width: float, half_length: float, base: float) -> None:
    heart = Heart(half_width=half_width, half_length=half_length, base=base)
    found = find_left_ventricle(seen(heart))
    assert angle_deg(found.long_axis, heart.axis) < 3.0
    assert distance(found.center_mm, heart.center_mm) < 4.0
    assert found.wall.half_width == pytest.approx(half_width, abs=2.5)


@pytest.mark.parametrize("wall", ["anterior", "inferior", "septal", "lateral"])
def test_half_of_the_wall_may_be_missing(wall: str) -> None:
    towards = {"anterior": (0, 0, 1.0), "inferior": (0, 0, -1.0), "septal": (-1.0, -1.0, 0), "lateral": (1.0, 1.0, 0)}
    heart = Heart(uptake=without(np.array(towards[wall]), 60.0, 0.15))
    found = find_left_ventricle(seen(heart))
    assert angle_deg(found.long_axis, heart.axis) < 10.0
    assert distance(found.center_mm, heart.center_mm) < 6.0


@pytest.mark.parametrize("height", [1.0, 3.0])
def test_a_hot_organ_below_the_inferior_wall_does_not_capture_it(height: float) -> None:
    heart = Heart()
    found = find_left_ventricle(seen(heart, USUAL_GRID, ball(USUAL_GRID, INFERIOR_WALL, 16.0, height)))
    assert angle_deg(found.long_axis, heart.axis) < 5.0
    assert distance(found.center_mm, heart.center_mm) < 4.0


def test_noise_of_a_low_count_study_is_borne() -> None:
    heart, rng = Heart(), np.random.default_rng(7)
    clean = seen(heart)
    noise = blurred(rng.normal(size=USUAL_GRID.shape), USUAL_GRID, 12.0)
    noisy = clean.values + 0.15 * float(clean.values.max()) * noise / noise.std() * np.sqrt(clean.values / 50.0)
    found = find_left_ventricle(replace(clean, values=np.maximum(noisy, 0.0).astype(np.float32)))
    assert angle_deg(found.long_axis, heart.axis) < 8.0
    assert distance(found.center_mm, heart.center_mm) < 5.0


def test_the_height_of_the_counts_does_not_matter() -> None:
    volume = seen(Heart())
    tiny = find_left_ventricle(replace(volume, values=(1e-6 * volume.values).astype(np.float32)))
    usual = find_left_ventricle(volume)
    np.testing.assert_allclose(tiny.center_mm, usual.center_mm, atol=0.1)
    assert angle_deg(tiny.long_axis, usual.long_axis) < 0.1


def nothing(grid: VoxelGrid) -> np.ndarray:
    return np.zeros(grid.shape)


def liver(grid: VoxelGrid) -> np.ndarray:
    return body(grid) + ball(grid, (-60.0, 0.0, -60.0), 75.0, 1.0) + ball(grid, (30.0, -40.0, -80.0), 18.0, 2.0)


def closed_shell(grid: VoxelGrid) -> np.ndarray:
    radius = np.linalg.norm(places_of(grid) - np.array([45.0, -30.0, 10.0]), axis=-1)
    return body(grid) + np.clip(0.5 - (np.abs(radius - 32.0) - 5.0) / 3.0, 0.0, 1.0)


def speckle(grid: VoxelGrid) -> np.ndarray:
    return np.abs(np.random.default_rng(3).normal(size=grid.shape))


@pytest.mark.parametrize("scene", [nothing, body, liver, closed_shell, speckle])
def test_where_there_is_no_heart_none_is_invented(scene: object) -> None:
    values = np.maximum(blurred(scene(USUAL_GRID), USUAL_GRID, CAMERA_FWHM_MM), 0.0)  # type: ignore[operator]
    volume = Volume(values.astype(np.float32), USUAL_GRID, Unit.PROPORTIONAL_COUNTS)
    with pytest.raises(NoHeartFound, match=r"no left ventricle found: .* by hand"):
        find_left_ventricle(volume)


def test_a_refusal_is_an_unsuitable_acquisition() -> None:
    assert issubclass(NoHeartFound, UnsuitableAcquisition)


def test_a_person_may_say_where_to_look() -> None:
    mine = Heart()
    other = Heart(middle=(-80.0, 20.0, -60.0))
    volume = seen(mine, USUAL_GRID, other.activity(places_of(USUAL_GRID)))
    for heart in (mine, other):
        x, y, z = heart.center_mm
        found = find_left_ventricle(volume, Guidance(near_mm=(x + 8.0, y - 6.0, z + 5.0)))
        assert distance(found.center_mm, heart.center_mm) < 5.0


def test_two_hearts_are_remarked() -> None:
    other = Heart(middle=(-80.0, 20.0, -60.0))
    found = find_left_ventricle(seen(Heart(), USUAL_GRID, other.activity(places_of(USUAL_GRID))))
    assert any("another structure" in remark for remark in found.remarks)


def test_apex_and_base_set_by_hand_are_taken_as_they_are() -> None:
    heart = Heart()
    apex, base = (40.0, -75.0, 0.0), (20.0, 0.0, 20.0)
    found = find_left_ventricle(seen(heart), Guidance(apex_mm=apex, base_mm=base))
    assert distance(found.apex_mm, apex) < 1e-6
    assert distance(found.base_mm, base) < 1e-6
    assert "by hand" in found.remarks[0]


def test_with_the_right_ends_by_hand_the_width_is_read_from_the_image() -> None:
    heart = Heart()
    apex = np.asarray(heart.middle) + heart.half_length * heart.axis
    found = find_left_ventricle(
        seen(heart), Guidance(apex_mm=tuple(apex.tolist()), base_mm=tuple(heart.base_mm.tolist()))
    )
    assert found.wall.half_width == pytest.approx(heart.half_width, abs=4.0)


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ({"apex_mm": (0.0, 0.0, 0.0)}, "together"),
        ({"apex_mm": (0.0, 0.0, 0.0), "base_mm": (0.0, 9.0, 0.0)}, "9 mm apart"),
        ({"apex_mm": (0.0, 0.0, 0.0), "base_mm": (0.0, 0.0, 90.0)}, "along the body's axis"),
        ({"apex_mm": (0.0, 0.0, 0.0), "base_mm": (0.0, 90.0, 0.0), "near_mm": (0.0, 0.0, 0.0)}, "not both"),
    ],
)
def test_what_a_person_says_must_make_sense(ends: dict[str, tuple[float, float, float]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Guidance(**ends)
