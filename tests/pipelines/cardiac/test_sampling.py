"""Values between voxels and Gaussian blur: exact where theory says exact."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.cardiac.sampling import Sampler, smoothed
from pipelines.geometry import VoxelGrid

GRID = VoxelGrid(
    (9, 10, 11), ((0.0, 3.0, 0.0, 5.0), (4.0, 0.0, 0.0, -7.0), (0.0, 0.0, -2.0, 30.0), (0.0, 0.0, 0.0, 1.0))
)


def places_inside(rng: np.random.Generator) -> np.ndarray:
    index = rng.uniform(2.0, np.array(GRID.shape) - 3.0, size=(200, 3))
    return np.array([GRID.position_mm(*one) for one in index])


def on_grid(function: object) -> np.ndarray:
    places = np.array([[[GRID.position_mm(z, y, x) for x in range(11)] for y in range(10)] for z in range(9)])
    return np.asarray(function(places))  # type: ignore[operator]


def test_a_plane_is_read_exactly_at_any_place_of_any_grid() -> None:
    def plane(places: np.ndarray) -> np.ndarray:
        return 3.0 + places @ np.array([0.5, -0.25, 2.0])

    sampler, places = Sampler(on_grid(plane), GRID), places_inside(np.random.default_rng(1))
    np.testing.assert_allclose(sampler.linear(places), plane(places), atol=1e-9)
    np.testing.assert_allclose(sampler.cubic(places), plane(places), atol=1e-9)


def test_the_cubic_follows_a_parabola_and_the_line_does_not() -> None:
    def parabola(places: np.ndarray) -> np.ndarray:
        return places[..., 0] ** 2

    sampler, places = Sampler(on_grid(parabola), GRID), places_inside(np.random.default_rng(2))
    np.testing.assert_allclose(sampler.cubic(places), parabola(places), atol=1e-8)
    assert np.abs(sampler.linear(places) - parabola(places)).max() > 1.0


def test_outside_of_the_volume_there_is_nothing() -> None:
    sampler = Sampler(np.ones(GRID.shape), GRID)
    far = np.array([[900.0, 0.0, 0.0], [0.0, 900.0, 0.0], [0.0, 0.0, -900.0]])
    np.testing.assert_array_equal(sampler.linear(far), 0.0)
    np.testing.assert_array_equal(sampler.cubic(far), 0.0)


def test_the_blur_keeps_the_sum_and_has_the_stated_width() -> None:
    point = np.zeros((41, 43, 45))
    point[20, 21, 22] = 1.0
    blurred = smoothed(point, (4.0, 3.0, 2.0), 16.0)
    assert blurred.sum() == pytest.approx(1.0, rel=1e-3)
    for axis, size in enumerate((4.0, 3.0, 2.0)):
        line = blurred.sum(axis=tuple(a for a in range(3) if a != axis))
        steps = (np.arange(len(line)) - (20, 21, 22)[axis]) * size
        assert 2.3548 * np.sqrt((line * steps**2).sum()) == pytest.approx(16.0, rel=0.02)
