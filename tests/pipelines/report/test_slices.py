"""The heart's rows of slices: which way round, in which order, and how bright."""

from __future__ import annotations

import numpy as np

from pipelines.contract import Heart
from pipelines.report.sampling import Float
from pipelines.report.slices import slices_of
from tests.pipelines.report.results import heart

SHORT_AXIS, VERTICAL, HORIZONTAL = range(3)
SIZE, FIELD_MM = 100, 120.0


def shown(one: Heart, orientation: int, count: int = 10) -> Float:
    return slices_of(one, orientation, count, FIELD_MM, SIZE)


def ring(picture: Float) -> dict[str, float]:
    """Return the brightest on the way from a picture's middle to its four sides."""
    middle = SIZE // 2
    strip = slice(middle - 4, middle + 5)
    return {
        "left": float(picture[strip, 12:middle].max()), "right": float(picture[strip, middle:-12].max()),
        "up": float(picture[12:middle, strip].max()), "down": float(picture[middle:-12, strip].max()),
    }  # fmt: skip


def test_a_lateral_defect_is_dark_at_the_right_of_the_short_axis() -> None:
    sides = ring(shown(heart(lateral_defect=True), SHORT_AXIS)[5])
    assert sides["right"] < 0.6 * sides["left"]
    assert min(sides["up"], sides["down"], sides["left"]) > 0.7
    healthy = ring(shown(heart(), SHORT_AXIS)[5])
    assert healthy["right"] > 0.85 * healthy["left"]


def test_a_lateral_defect_is_dark_at_the_right_of_the_horizontal_long_axis() -> None:
    sides = ring(shown(heart(lateral_defect=True), HORIZONTAL)[5])
    assert sides["right"] < 0.65 * sides["left"]


def test_a_lateral_defect_darkens_the_last_slices_of_the_vertical_long_axis() -> None:
    ill, healthy = (shown(heart(lateral_defect=defect), VERTICAL) for defect in (True, False))
    assert ill[-2].max() / ill[1].max() < 0.8 * healthy[-2].max() / healthy[1].max()


def test_short_axis_slices_run_from_the_closed_apex_to_the_open_ring() -> None:
    pictures = shown(heart(), SHORT_AXIS)
    middle = slice(SIZE // 2 - 3, SIZE // 2 + 4)
    center = pictures[:, middle, middle].mean(axis=(1, 2))
    assert center[0] > 2.0 * center[5]
    assert pictures[5].max() > 1.3 * pictures[-1].max()  # the valve plane lets half of the wall go


def test_the_apex_points_right_in_the_vertical_and_up_in_the_horizontal_long_axis() -> None:
    vertical, horizontal = ring(shown(heart(), VERTICAL)[5]), ring(shown(heart(), HORIZONTAL)[5])
    assert vertical["right"] > 1.5 * vertical["left"]
    assert horizontal["up"] > 1.5 * horizontal["down"]


def test_a_hot_gut_does_not_darken_the_heart() -> None:
    plain, beside = shown(heart(), SHORT_AXIS)[5], shown(heart(hot_gut=True), SHORT_AXIS)[5]
    assert abs(ring(beside)["left"] - ring(plain)["left"]) < 0.1
    assert float(np.max(shown(heart(), SHORT_AXIS))) < 1.1
