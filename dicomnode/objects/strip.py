"""The strip on top of a report page: whose it is, what it may be used for, what only the source's header knows.

Drawn here, for a patient's identity does not leave the node's own process. Knows Pillow and nothing of DICOM. A name
in any script that the font has can be read; letters that it lacks become white squares. Each fact is drawn by itself:
one written from right to left stays in its place, and a long one is shortened before it hides the others.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

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
    """All that stands on the strip: three lines of facts on the left, what made the page on the right."""

    patient: tuple[str, ...]
    study: tuple[str, ...]
    acquisition: tuple[str, ...]
    title: str
    virtual: bool


def draw_strip(content: StripContent) -> NDArray[np.uint8]:
    """Return the strip as pixels `[row, column, RGB]`, 70 x 1600."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    banners = _draw_banners(draw, content.virtual)
    title = _draw_title(draw, content.title, banners)
    _draw_line(draw, 5, title, content.patient, "    ", (_font(_NAME_PX, True), _INK))
    _draw_line(draw, 32, banners, content.study, "   |   ", (_font(_LINE_PX, False), _INK))
    _draw_line(draw, 51, banners, content.acquisition, "   |   ", (_font(_SMALL_PX, False), _PALE))
    return np.asarray(picture, dtype=np.uint8)


def _draw_banners(draw: ImageDraw.ImageDraw, virtual: bool) -> int:
    """Draw the banners at the right; return where they begin."""
    font = _font(_LINE_PX, True)
    left = WIDTH - _MARGIN + _BANNER_GAP
    for words, color in ((_INVESTIGATIONAL, _AMBER), *([(_VIRTUAL, _BLUE)] if virtual else [])):
        right = left - _BANNER_GAP
        left = right - round(font.getlength(words)) - 20
        draw.rectangle((left, _BANNERS_TOP, right, _BANNERS_TOP + _BANNER_HEIGHT), fill=color)
        middle = ((left + right) / 2, _BANNERS_TOP + _BANNER_HEIGHT / 2)
        draw.text(middle, words, font=font, fill="white", anchor="mm")
    return left


def _draw_title(draw: ImageDraw.ImageDraw, title: str, leftmost: int) -> int:
    """Draw the title at the right, above the banners; return where it begins."""
    font = _font(_TITLE_PX, True)
    words = fitted(title, font, WIDTH - _MARGIN - leftmost)
    draw.text((WIDTH - _MARGIN, 6), words, font=font, fill=_INK, anchor="ra")
    return WIDTH - _MARGIN - ceil(font.getlength(words))


def _draw_line(
    draw: ImageDraw.ImageDraw,
    y: int,
    right: int,
    facts: Sequence[str],
    between: str,
    style: tuple[ImageFont.FreeTypeFont, str],
) -> None:
    """Draw facts side by side from the left margin; `right` is where what stands to the right of them begins."""
    font, ink = style
    gap = ceil(font.getlength(between))
    room = right - 2 * _MARGIN - gap * (len(facts) - 1)
    longest = fair_share([font.getlength(printable(fact)) for fact in facts], room)
    x = _MARGIN  # whole pixels: a fact looks the same wherever it stands
    for place, fact in enumerate(facts):
        if place:
            draw.text((x, y), between, font=font, fill=_PALE)
            x += gap
        words = fitted(fact, font, longest)
        draw.text((x, y), words, font=font, fill=ink)
        x += ceil(font.getlength(words))


def fair_share(widths: Sequence[float], room: float) -> float:
    """Return the greatest width that each may have: what is narrower stays whole, the others share the rest."""
    for place, width in enumerate(sorted(widths)):
        sharing = len(widths) - place
        if width * sharing > room:
            return room / sharing
        room -= width
    return max(widths, default=0.0)


@cache
def _font(height_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    """Return the font that comes with matplotlib, which is not loaded for it: it is the same everywhere."""
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
    return "".join(letter if _can_be_read(letter) else "\N{WHITE SQUARE}" for letter in spaced)


def _can_be_read(letter: str) -> bool:
    return letter.isprintable() and _in_order(letter) and _has(letter)


@cache
def _has(letter: str) -> bool:
    font = _font(_NAME_PX, False)
    return letter == " " or bytes(font.getmask(letter)) != bytes(font.getmask(_NO_CHARACTER))


def _in_order(letter: str) -> bool:
    """Tell whether words with this letter come out in their order: right to left takes the system's FriBiDi."""
    return unicodedata.bidirectional(letter) not in ("R", "AL") or _has_fribidi()


@cache
def _has_fribidi() -> bool:
    return bool(features.check("raqm") and features.check("fribidi"))


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
