"""The strip on top of the report page: it says who, in letters that can be read, and nothing breaks it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageFont

from dicomnode.objects.strip import HEIGHT, WIDTH, StripContent, _font, can_print, draw_strip, fitted, printable

CONTENT = StripContent("Patient", "Study", "Camera", "Title", False)


def test_the_strip_is_a_picture_of_fixed_size_and_the_same_words_give_the_same_pixels() -> None:
    pixels = draw_strip(CONTENT)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, draw_strip(CONTENT))


@pytest.mark.parametrize("part", ["patient", "study", "acquisition", "title"])
def test_each_line_shows(part: str) -> None:
    assert not np.array_equal(draw_strip(CONTENT), draw_strip(replace(CONTENT, **{part: "Another"})))


def colored(pixels: np.ndarray, red: int, green: int, blue: int) -> int:
    return int((pixels == (red, green, blue)).all(axis=-1).sum())


def test_every_strip_warns_and_that_of_a_virtual_patient_says_so_too() -> None:
    amber, blue = (0xB4, 0x53, 0x09), (0x1D, 0x4E, 0xD8)
    real, virtual = draw_strip(CONTENT), draw_strip(replace(CONTENT, virtual=True))
    assert colored(real, *amber) > 3000
    assert colored(virtual, *amber) > 3000
    assert (colored(real, *blue), colored(virtual, *blue) > 3000) == (0, True)


@pytest.mark.parametrize(
    "words", ["Müller Jürgen", "Łukasz Żółw", "Люкceмбypг", "Διονυσιος", "שרון דבורה", "قباني لنزار", "µ ° ²"]
)
def test_names_of_many_scripts_are_printed_as_they_are(words: str) -> None:
    assert can_print(words)


def test_what_the_font_lacks_and_what_controls_a_printer_becomes_a_square() -> None:
    assert printable("山a\x1b\x07b") == "□a□□b"
    assert printable("a\nb\tc") == "a b c"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("words", ["", "x" * 5000, "山田 太郎", "\x00\x1b[31m", "A & B <b>", "$\\frac", "\ud800"])
def test_no_words_break_the_strip(words: str) -> None:
    draw_strip(StripContent(words, words, words, words, True))


def test_a_long_line_ends_before_the_banners() -> None:
    narrow = draw_strip(replace(CONTENT, patient="W" * 500, study="W" * 500, acquisition="W" * 500, virtual=True))
    usual = draw_strip(replace(CONTENT, virtual=True))
    changed = np.flatnonzero((narrow != usual).any(axis=(0, 2)))
    blue = np.flatnonzero((narrow == (0x1D, 0x4E, 0xD8)).all(axis=-1).any(axis=0))
    assert changed.max() < blue.min()


def test_a_line_is_cut_only_as_far_as_needed() -> None:
    font: ImageFont.FreeTypeFont = _font(14, False)
    whole = font.getlength("word " * 20)
    assert fitted("word " * 20, font, whole) == "word " * 20
    cut = fitted("word " * 20, font, whole - 1)
    assert cut.endswith("...")
    assert whole - 60 < font.getlength(cut) <= whole - 1


def test_drawing_a_strip_does_not_load_matplotlib() -> None:
    question = (
        "import sys; from dicomnode.objects.strip import *; draw_strip(StripContent('a', 'b', 'c', 'd', True)); "
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
