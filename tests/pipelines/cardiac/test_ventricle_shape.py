"""Volumes of the cut spheroid against voxels counted one by one; numbers stay in the ranges of real hearts."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.cardiac.heart_frame import LeftVentricle, Spheroid
from pipelines.cardiac.left_ventricle import find_left_ventricle
from pipelines.cardiac.ventricle_shape import ventricle_shape
from tests.pipelines.cardiac.hearts import Heart, seen


def of(width: float, length: float, base: float) -> LeftVentricle:
    wall = Spheroid((0.0, 0.0, 0.0), (0.6, -0.8, 0.0), width, length)
    return LeftVentricle(wall, wall, base, 1.0)


def counted_ml(width: float, length: float, base: float) -> float:
    line = np.arange(-70.0, 70.0, 1.0) + 0.5
    along, a, b = np.meshgrid(line, line, line, indexing="ij")
    inside = ((along / length) ** 2 + (a**2 + b**2) / width**2 < 1.0) & (along > base)
    return float(inside.sum()) / 1000.0


def test_volumes_are_those_of_counted_voxels() -> None:
    shape = ventricle_shape(of(27.0, 50.0, -28.0))
    cavity, whole = counted_ml(21.5, 46.5, -28.0), counted_ml(32.5, 53.5, -28.0)
    assert shape.cavity_ml == pytest.approx(cavity, rel=0.005)
    assert shape.wall_ml == pytest.approx(whole - cavity, rel=0.01)
    assert shape.shape_index == pytest.approx(43.0 / 74.5)


def test_a_sphere_has_no_eccentricity_and_a_long_heart_much() -> None:
    assert ventricle_shape(of(40.0, 40.0, -20.0)).eccentricity == pytest.approx(0.0)
    assert ventricle_shape(of(20.0, 60.0, -20.0)).eccentricity > 0.94


def test_the_volume_follows_the_heart() -> None:
    sizes = [(21.0, 39.0, -21.0), (26.0, 48.0, -26.0), (38.0, 62.0, -34.0)]
    for width, length, base in sizes:
        heart = Heart(half_width=width, half_length=length, base=base)
        found = ventricle_shape(find_left_ventricle(seen(heart)))
        true = counted_ml(width - 5.0, length - 5.0, base)
        assert found.cavity_ml == pytest.approx(true, rel=0.25)
