"""The strip on top of the report page: it says who, in letters that can be read, and nothing breaks it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageFont

from dicomnode.objects import strip
from dicomnode.objects.strip import (
    HEIGHT,
    WIDTH,
    StripContent,
    _font,
    can_print,
    draw_strip,
    fair_share,
    fitted,
    printable,
)

CONTENT = StripContent(("Patient", "ID 7"), ("Study",), ("Camera",), "Title", False)
BLANK = StripContent((), (), (), "", False)


def test_the_strip_is_a_picture_of_fixed_size_and_the_same_words_give_the_same_pixels() -> None:
    pixels = draw_strip(CONTENT)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, draw_strip(CONTENT))


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTENT, patient=("Another", "ID 7")),
        replace(CONTENT, patient=("Patient", "ID 8")),
        replace(CONTENT, study=("Another",)),
        replace(CONTENT, acquisition=("Another",)),
        replace(CONTENT, title="Another"),
    ],
)
def test_each_fact_shows(other: StripContent) -> None:
    assert not np.array_equal(draw_strip(CONTENT), draw_strip(other))


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
    draw_strip(StripContent((words, words), (words,), (words,), words, True))


def columns(inked: np.ndarray) -> np.ndarray:
    return np.flatnonzero(inked.any(axis=0))


def test_long_facts_end_before_the_title_and_the_banners() -> None:
    long = ("W" * 500,)
    right = draw_strip(replace(BLANK, title="Attenuation correction", virtual=True))
    whole = draw_strip(StripContent(long, long, long, "Attenuation correction", True))
    changed, there = (whole != right).any(axis=-1), (right != 255).any(axis=-1)
    for rows in (slice(0, 30), slice(30, HEIGHT)):
        assert 0 <= columns(there[rows]).min() - columns(changed[rows]).max() < 60


def patient_line(*facts: str) -> np.ndarray:
    """Return the inked part of a patient's line, its empty columns at both ends cut off."""
    ink: np.ndarray = (draw_strip(replace(BLANK, patient=facts)) != 255).any(axis=-1)[:30, : WIDTH - 20]
    return ink[:, columns(ink).min() : columns(ink).max() + 1]


def test_a_long_name_hides_neither_id_nor_birth_date() -> None:
    others = ("ID 0012-77", "born 1950-01-02", "sex F")
    alone, behind = patient_line(*others), patient_line("W" * 500, *others)
    assert behind.shape[1] > 1200
    assert np.array_equal(behind[:, -alone.shape[1] :], alone)


def test_what_is_narrow_stays_whole_and_the_others_share_the_rest() -> None:
    assert fair_share([10, 20, 30], 60) == 30
    assert fair_share([10, 200, 300], 110) == 50
    assert fair_share([10, 20, 300], 110) == 80
    assert fair_share([], 100) == 0


def test_a_name_from_right_to_left_stays_in_front_of_the_id() -> None:
    name, number = "שרון", "ID 7"
    both = patient_line(name, number)
    assert np.array_equal(both[:, : patient_line(name).shape[1]], patient_line(name))
    assert np.array_equal(both[:, -patient_line(number).shape[1] :], patient_line(number))


def test_words_that_would_come_out_backwards_become_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strip, "_has_fribidi", lambda: False)
    assert printable("שר 12 Li") == "□□ 12 Li"


def test_a_line_is_cut_only_as_far_as_needed() -> None:
    font: ImageFont.FreeTypeFont = _font(14, False)
    whole = font.getlength("word " * 20)
    assert fitted("word " * 20, font, whole) == "word " * 20
    cut = fitted("word " * 20, font, whole - 1)
    assert cut.endswith("...")
    assert whole - 60 < font.getlength(cut) <= whole - 1


def test_drawing_a_strip_does_not_load_matplotlib() -> None:
    question = (
        "import sys; from dicomnode.objects.strip import *; "
        "draw_strip(StripContent(('a',), ('b',), ('c',), 'd', True)); print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
