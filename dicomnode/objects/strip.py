"""The strip on top of a report page: whose it is, what it may be used for, what only the source's header knows.

Drawn here, for a patient's identity does not leave the node's own process. Knows Pillow and nothing of DICOM. A name
in any script that the font has can be read; letters that it lacks become white squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1600, 70  # pixels
_MARGIN = 20
_INK, _PALE, _AMBER, _BLUE = "#1d2733", "#5b6b7b", "#b45309", "#1d4ed8"
_NAME_PX, _TITLE_PX, _LINE_PX, _SMALL_PX = 20, 18, 14, 12  # height of letters
_BANNERS_TOP, _BANNER_HEIGHT, _BANNER_GAP = 36, 25, 10
_INVESTIGATIONAL = "INVESTIGATIONAL - not for diagnosis"
_VIRTUAL = "VIRTUAL PATIENT - no real person"
_NO_CHARACTER = "\U0010fffe"  # never assigned: the font draws it as it draws all that it lacks


@dataclass(frozen=True)
class StripContent:
    """All that stands on the strip."""

    patient: str
    study: str
    acquisition: str
    title: str
    virtual: bool


def draw_strip(content: StripContent) -> NDArray[np.uint8]:
    """Return the strip as pixels `[row, column, RGB]`, 70 x 1600."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    left = _draw_right(draw, content)
    room = left - 2 * _MARGIN
    for y, words, size, bold, ink in (
        (5, content.patient, _NAME_PX, True, _INK),
        (32, content.study, _LINE_PX, False, _INK),
        (51, content.acquisition, _SMALL_PX, False, _PALE),
    ):
        font = _font(size, bold)
        draw.text((_MARGIN, y), fitted(words, font, room), font=font, fill=ink)
    return np.asarray(picture, dtype=np.uint8)


def _draw_right(draw: ImageDraw.ImageDraw, content: StripContent) -> int:
    """Draw the title above the banners, from the right; return where they begin."""
    font = _font(_LINE_PX, True)
    left = WIDTH - _MARGIN
    for words, color in ((_INVESTIGATIONAL, _AMBER), *([(_VIRTUAL, _BLUE)] if content.virtual else [])):
        right, left = left, left - round(font.getlength(words)) - 20
        draw.rectangle((left, _BANNERS_TOP, right, _BANNERS_TOP + _BANNER_HEIGHT), fill=color)
        middle = ((left + right) / 2, _BANNERS_TOP + _BANNER_HEIGHT / 2)
        draw.text(middle, words, font=font, fill="white", anchor="mm")
        left -= _BANNER_GAP
    title = _font(_TITLE_PX, True)
    words = fitted(content.title, title, WIDTH - _MARGIN - left)
    draw.text((WIDTH - _MARGIN, 6), words, font=title, fill=_INK, anchor="ra")
    return left


@cache
def _font(height_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    """Return the font that comes with matplotlib, which is not loaded for it: every machine draws the same strip."""
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("matplotlib is not installed: the letters of the report page come with it")
    folder = Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), height_px)


def can_print(words: str) -> bool:
    """Tell whether the font has all letters of these words."""
    return printable(words) == words


def printable(words: str) -> str:
    """Replace what can't be printed: white space by a space, control characters and missing letters by a square."""
    spaced = "".join(" " if letter.isspace() else letter for letter in words)
    return "".join(letter if letter.isprintable() and _has(letter) else "\N{WHITE SQUARE}" for letter in spaced)


@cache
def _has(letter: str) -> bool:
    font = _font(_NAME_PX, False)
    return letter == " " or bytes(font.getmask(letter)) != bytes(font.getmask(_NO_CHARACTER))


def fitted(words: str, font: ImageFont.FreeTypeFont, width_px: float) -> str:
    """Return words on one line of at most this width, the end left out where it must be."""
    words = printable(words)
    if font.getlength(words) <= width_px:
        return words
    kept, too_long = 0, len(words)  # the number of letters that fit, by halving
    while too_long - kept > 1:
        middle = (kept + too_long) // 2
        if font.getlength(words[:middle] + "...") <= width_px:
            kept = middle
        else:
            too_long = middle
    return words[:kept].rstrip() + "..."
