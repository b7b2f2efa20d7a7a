"""Polar maps on the page: the right side dark where the lateral wall is ill, its outline, values and scores."""

from __future__ import annotations

import numpy as np

from pipelines.cardiac.polar_map import as_disk
from pipelines.cardiac.segments import ANGLES, RINGS, segment_map
from pipelines.report.colors import OUTLINE, SCORE_COLORS, Rgb
from pipelines.report.polar_maps import draw_counts, draw_segments, segment_middles, smooth_disk
from pipelines.report.sheet import Box, Sheet
from tests.pipelines.report.results import heart, written

BOX = Box(100, 100, 214, 214)


def part(sheet: Sheet, x: float, y: float) -> Rgb:
    """Return pixels of the disk about a place, in radii from its middle: right and up."""
    column, row = round(207 + 92 * x), round(207 - 92 * y)
    return sheet.pixels()[row - 4 : row + 5, column - 4 : column + 5]


def near(pixels: Rgb, color: tuple[int, int, int]) -> int:
    return int((np.abs(pixels.astype(int) - color).max(axis=2) < 40).sum())


def test_a_lateral_defect_is_dark_at_the_right_of_the_polar_map() -> None:
    sheet = Sheet()
    draw_counts(sheet, BOX, heart(lateral_defect=True, judged=False))
    brightness = {name: float(part(sheet, x, y).mean()) for name, x, y in (
        ("lateral", 0.4, 0.06), ("septal", -0.4, 0.06), ("anterior", 0.06, 0.4), ("inferior", 0.06, -0.4)
    )}  # fmt: skip
    assert min(brightness, key=brightness.__getitem__) == "lateral"
    assert brightness["lateral"] < 0.75 * brightness["septal"]


def test_what_lies_below_normal_limits_is_outlined() -> None:
    ill, healthy, unjudged = Sheet(), Sheet(), Sheet()
    draw_counts(ill, BOX, heart(lateral_defect=True))
    draw_counts(healthy, BOX, heart())
    draw_counts(unjudged, BOX, heart(lateral_defect=True, judged=False))
    assert near(ill.pixels()[100:314, 207:314], OUTLINE) > 100  # the right half
    assert near(healthy.pixels(), OUTLINE) == 0
    assert near(unjudged.pixels(), OUTLINE) == 0


def test_segments_bear_their_value_and_the_color_of_their_score() -> None:
    ill = heart(lateral_defect=True)
    assert ill.perfusion is not None
    sheet = Sheet()
    draw_segments(sheet, BOX, ill)
    words = written(sheet)
    mid_lateral = ill.perfusion.scores[10]
    assert mid_lateral >= 2
    assert f"{ill.perfusion.segments_percent[10]:.0f}" in words
    assert str(mid_lateral) in words
    assert near(part(sheet, 0.52, -0.06), SCORE_COLORS[mid_lateral]) > 40
    assert near(part(sheet, -0.86, 0.06), SCORE_COLORS[0]) > 20


def test_segments_without_limits_bear_percent_of_the_highest() -> None:
    sheet = Sheet()
    draw_segments(sheet, BOX, heart(lateral_defect=True, judged=False))
    values = [int(words) for words in written(sheet) if words.isdigit()]
    assert len(values) == 17
    assert max(values) == 100
    assert min(values) < 65


def test_every_segment_is_lettered_where_it_is_painted() -> None:
    """The letters' places and the map's samples are two ways to say where a segment lies."""
    disk = as_disk(segment_map().astype(float), 184)
    for number, (x, y) in enumerate(segment_middles(BOX), start=1):
        assert disk[int(y - 115), int(x - 115)] == number


def test_the_smooth_disk_shows_what_the_plain_one_does() -> None:
    angle = 2.0 * np.pi * (np.arange(ANGLES) + 0.5) / ANGLES
    values = 2.0 + np.outer(np.linspace(0.0, 1.0, RINGS), np.cos(angle) + 0.5 * np.sin(angle))
    plain, smooth = as_disk(values, 301), smooth_disk(values, 301)
    np.testing.assert_array_equal(np.isnan(plain), np.isnan(smooth))
    assert float(np.nanmax(np.abs(plain - smooth))) < 0.08
