"""The search for the ventricle's shell keeps to axes along which anterior and lateral have a meaning."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.cardiac.heart_frame import directions
from pipelines.cardiac.shell_search import LEAST_LEAN_DEG, bounded

LENGTHS = st.floats(-1.0, 1.0, allow_subnormal=False)
SIZES = [30.0, 1.8]


def leaning_deg(axis: tuple[float, float, float]) -> float:
    """Return how far from the body's axis a bounded spheroid with this axis leans."""
    found = bounded(np.array([0.0, 0.0, 0.0, *axis, *SIZES]))[3:6]
    assert np.linalg.norm(found) == pytest.approx(1.0)
    directions(found)
    return math.degrees(math.acos(min(abs(float(found[2])), 1.0)))


@pytest.mark.parametrize("axis", [(0.0, 0.0, -1.0), (-6.2e-8, 1.5e-8, -1.0), (0.0, 0.0, 1.0), (0.01, -0.01, -1.0)])
def test_an_axis_along_the_body_leans_a_little(axis: tuple[float, float, float]) -> None:
    assert leaning_deg(axis) >= LEAST_LEAN_DEG - 1e-6


@given(st.tuples(LENGTHS, LENGTHS, LENGTHS).filter(lambda axis: math.hypot(*axis) > 1e-3))
def test_every_axis_has_directions(axis: tuple[float, float, float]) -> None:
    assert leaning_deg(axis) >= LEAST_LEAN_DEG - 1e-6


def test_an_axis_that_a_heart_has_stays_as_it_is() -> None:
    axis = np.array([0.641, -0.641, -0.423]) / np.linalg.norm([0.641, -0.641, -0.423])
    assert bounded(np.array([1.0, 2.0, 3.0, *axis, *SIZES])) == pytest.approx([1.0, 2.0, 3.0, *axis, *SIZES])
