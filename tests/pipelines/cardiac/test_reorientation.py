"""Slices of the heart are shown as physicians read them, and every voxel keeps its place in the patient."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.cardiac.left_ventricle import find_left_ventricle
from pipelines.cardiac.reorientation import Orientation, heart_grid, reoriented
from pipelines.cardiac.sampling import Sampler
from pipelines.images import Volume
from tests.pipelines.cardiac.hearts import USUAL_GRID, Heart, ball, seen

# Where the walls of a heart that points left, forward and down lie in the patient (LPS).
TOWARD = {"septum": np.array([-1.0, -1.0, 0.0]), "anterior": np.array([0.0, -0.4, 1.0])}


@pytest.fixture(scope="module")
def heart() -> Heart:
    return Heart()


@pytest.fixture(scope="module")
def volume(heart: Heart) -> Volume:
    return seen(heart)


@pytest.mark.parametrize("orientation", Orientation)
def test_the_grid_is_a_rotation_of_the_patient_never_a_mirror(volume: Volume, orientation: Orientation) -> None:
    grid = heart_grid(find_left_ventricle(volume), orientation, 6.4)
    axes = grid.matrix[:3, :3] / 6.4
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1.0)


@pytest.mark.parametrize("orientation", Orientation)
def test_a_place_in_the_patient_holds_the_same_activity_in_all_orientations(
    volume: Volume, heart: Heart, orientation: Orientation
) -> None:
    turned = reoriented(volume, find_left_ventricle(volume), orientation)
    assert turned.unit is volume.unit
    rng = np.random.default_rng(2)
    places = heart.center_mm + rng.uniform(-30, 30, size=(300, 3))
    # Two interpolations in a row blur a little more than one.
    np.testing.assert_allclose(Sampler.of(turned).linear(places), Sampler.of(volume).linear(places), atol=6.0)


def brightest(volume: Volume, heart: Heart, place: np.ndarray, orientation: Orientation) -> tuple[float, float, float]:
    """Return where a marker at an LPS place appears, as (slice, row, column) from -1 to 1."""
    x, y, z = place
    marked = Volume(
        (volume.values + 1000.0 * ball(USUAL_GRID, (x, y, z), 8.0, 1.0)).astype(np.float32), volume.grid, volume.unit
    )
    turned = reoriented(marked, find_left_ventricle(volume), orientation)
    index = np.array(np.unravel_index(int(np.argmax(turned.values)), turned.values.shape))
    s, r, c = 2.0 * index / (np.array(turned.values.shape) - 1) - 1.0
    assert np.linalg.norm(turned.grid.position_mm(*index) - place) < 8.0
    return float(s), float(r), float(c)


def test_short_axis_runs_from_apex_to_base_with_anterior_up_and_septum_left(volume: Volume, heart: Heart) -> None:
    center, short = heart.center_mm, Orientation.SHORT_AXIS
    assert brightest(volume, heart, center + 45 * heart.axis, short)[0] < -0.4
    assert brightest(volume, heart, center - 45 * heart.axis, short)[0] > 0.4
    assert brightest(volume, heart, center + 50 * TOWARD["anterior"], short)[1] < -0.4
    assert brightest(volume, heart, center + 40 * TOWARD["septum"], short)[2] < -0.4


def test_vertical_long_axis_has_the_apex_right_and_anterior_up(volume: Volume, heart: Heart) -> None:
    center, vertical = heart.center_mm, Orientation.VERTICAL_LONG_AXIS
    assert brightest(volume, heart, center + 45 * heart.axis, vertical)[2] > 0.4
    assert brightest(volume, heart, center + 50 * TOWARD["anterior"], vertical)[1] < -0.4
    assert brightest(volume, heart, center + 30 * TOWARD["septum"], vertical)[0] < -0.4


def test_horizontal_long_axis_has_the_apex_up_and_the_septum_left(volume: Volume, heart: Heart) -> None:
    center, horizontal = heart.center_mm, Orientation.HORIZONTAL_LONG_AXIS
    assert brightest(volume, heart, center + 45 * heart.axis, horizontal)[1] < -0.4
    assert brightest(volume, heart, center + 40 * TOWARD["septum"], horizontal)[2] < -0.4
    assert brightest(volume, heart, center + 40 * TOWARD["anterior"], horizontal)[0] > 0.4
