"""What the page is drawn with: sampling, the patient's axes, colors, letters, projections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.report.colors import HOT_IRON, colored
from pipelines.report.lettering import TEXT_PT, printable, shortened, width_px, wrapped
from pipelines.report.projections import angle_words, draw_denoised, draw_projections
from pipelines.report.sampling import interpolated, spread
from pipelines.report.sheet import Box, Sheet
from pipelines.report.upright import UprightVolume
from tests.pipelines.report.results import projections, written


def test_interpolation_keeps_ramps_and_samples_and_is_zero_far_outside() -> None:
    ramp = np.add.outer(10.0 * np.arange(8), np.arange(9.0))
    places = np.array([2.0, 2.5, 3.0]), np.array([3.0, 3.25, 3.5])
    np.testing.assert_allclose(interpolated(ramp, *places), np.add.outer(10.0 * places[0], places[1]))
    np.testing.assert_array_equal(interpolated(ramp, np.array([-2.0]), np.array([3.0])), [[0.0]])


def test_a_picture_of_finer_samples_shows_their_mean() -> None:
    stripes = np.tile([0.0, 1.0], 64)
    shown = interpolated(stripes, spread(63.5, 128.0, 16))
    np.testing.assert_allclose(shown[1:-1], 0.5, atol=0.02)


def test_a_volume_is_upright_however_it_was_stored() -> None:
    values = np.zeros((4, 5, 6), np.float32)
    values[3, 1, 4] = 1.0  # near the head, in front, at the left
    grid = VoxelGrid.axial((4, 5, 6), (2.0, 3.0, 4.0), (0.0, 0.0, 0.0))
    x, y, z = grid.position_mm(3, 1, 4)
    turned = ((0.0, 0.0, -4.0, 10.0), (0.0, -3.0, 0.0, 6.0), (2.0, 0.0, 0.0, -3.0), (0.0, 0.0, 0.0, 1.0))
    other = Volume(values.transpose(2, 1, 0)[::-1, ::-1].copy(), VoxelGrid((6, 5, 4), turned), Unit.COUNTS)
    for volume in (Volume(values, grid, Unit.COUNTS), other):
        upright = UprightVolume.of(volume)
        assert upright.voxel_mm == pytest.approx((2.0, 3.0, 4.0))
        assert upright.at(np.array([z]), np.array([y]), np.array([x]))[0, 0, 0] == pytest.approx(1.0)
        assert np.argwhere(upright.values).tolist() == [[3, 1, 4]]


def test_the_scale_is_hot_iron() -> None:
    """Values of DICOM PS3.6 B.1.1."""
    rows = {0: (0, 0, 0), 1: (2, 0, 0), 127: (254, 0, 0), 128: (255, 0, 0), 129: (255, 2, 0), 191: (255, 126, 0),
            192: (255, 128, 4), 254: (255, 252, 252), 255: (255, 255, 255)}  # fmt: skip
    for index, color in rows.items():
        assert tuple(HOT_IRON[index]) == color
    assert (colored(np.array([[-1.0, 7.0]]), HOT_IRON, 5.0)[0] == [[0, 0, 0], [255, 255, 255]]).all()


def test_lines_break_so_that_none_is_too_wide_and_no_word_is_lost() -> None:
    words = "the likeliest structure was refused " + "W" * 90 + " because its wall is closed"
    lines = wrapped(words, 300.0)
    assert max(width_px(line, TEXT_PT) for line in lines) <= 300.0
    assert "".join("".join(lines).split()) == "".join(words.split())
    assert width_px(shortened(words, 120.0)) <= 120.0


def test_letters_that_cannot_be_printed_become_squares() -> None:
    assert printable("A\x00\u5fc3\nB") == "A\N{WHITE SQUARE}\N{WHITE SQUARE} B"


@pytest.mark.parametrize(
    ("angle", "words"),
    [(0, "0° POST"), (90, "90° LLAT"), (135, "135° LAO"), (180, "180° ANT"), (225, "225° RAO"), (359, "359° POST")],
)
def test_a_view_is_named_as_physicians_name_it(angle: float, words: str) -> None:
    assert angle_words(angle) == words


def test_projections_stand_in_their_order_from_left_to_right() -> None:
    sheet = Sheet()
    draw_projections(sheet, Box(20, 100, 1088, 124), projections(views=12))
    dark = sheet.pixels()[150:, :, 0] < 60
    columns = [dark[:, 20 + 91 * place + 2 : 20 + 91 * place + 83] for place in range(12)]
    spots = [float(np.argwhere(one)[:, 1].mean()) for one in columns]
    assert spots == sorted(spots)
    assert spots[-1] - spots[0] > 30
    assert sum("°" in words for words in written(sheet)) == 12


def test_what_denoising_moved_is_seen_in_the_difference() -> None:
    sheet, low = Sheet(), projections()
    moved = replace(low, counts=4.0 * np.roll(low.counts, 20, axis=-1))
    draw_denoised(sheet, Box(20, 100, 1088, 290), low, moved)
    words = written(sheet)
    assert [one for one in words if one in ("input", "denoised", "difference")] == ["input", "denoised", "difference"]
    assert any("4 x the input's counts" in one for one in words)
    strip = sheet.pixels()[134:, 72:150, 0]
    size = 81
    before, after, difference = (strip[row * (size + 2) + 2 : row * (size + 2) + size - 2] for row in range(3))
    spots = [float(np.argwhere(one < 60)[:, 1].mean()) for one in (before, after, difference)]
    assert spots[1] - spots[0] == pytest.approx(20 * size / 64, abs=1)
    assert spots[2] == pytest.approx(spots[0], abs=1)  # dark: taken away
    assert float(np.argwhere(difference > 200)[:, 1].mean()) == pytest.approx(spots[1], abs=1)  # light: added
    assert np.median(difference) == pytest.approx(127, abs=3)
