"""Letters of the report page: which can be printed, how wide they are, where lines break."""

from __future__ import annotations

from functools import cache
from itertools import accumulate

from matplotlib.font_manager import findfont, get_font

DPI = 100
TEXT_PT, SMALL_PT, TITLE_PT = 8.6, 8.0, 10.0  # no letter on the page is smaller
_FONT = "DejaVu Sans"  # comes with matplotlib, so that every machine draws the same page
_HINTING = 1.03


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(_FONT)).get_charmap())


@cache
def _advance(letter: str, bold: bool) -> float:
    """Return how far a letter moves on, in sizes of the font."""
    font = get_font(findfont(f"{_FONT}:bold" if bold else _FONT))
    font.set_size(100.0, 72.0)
    return float(font.load_char(ord(letter)).linearHoriAdvance) / 65536.0 / 100.0


def printable(words: str) -> str:
    """Replace what the font has no glyph for, and control characters: words of any script must not break the page."""
    known = _glyphs()
    spaced = "".join(" " if letter.isspace() else letter for letter in words)
    return "".join(letter if ord(letter) in known and letter.isprintable() else "\N{WHITE SQUARE}" for letter in spaced)


def width_px(words: str, size: float = TEXT_PT, bold: bool = False) -> float:
    """Return how wide a line will be at most: hinting moves letters to whole pixels."""
    return sum(_advance(letter, bold) for letter in printable(words)) * _HINTING * size * DPI / 72.0


def wrapped(words: str, width: float, size: float = TEXT_PT, bold: bool = False, indent: str = "  ") -> list[str]:
    """Break words into lines of at most this width in pixels; a word that is wider is broken itself."""
    lines: list[str] = []
    line, used = "", 0.0
    for word in printable(words).split():
        space = " " if line.strip() else ""
        longer = used + width_px(space + word, size, bold)
        if longer <= width:
            line, used = line + space + word, longer
            continue
        if line.strip():
            lines.append(line)
            line, used = indent, width_px(indent, size, bold)
        for letter in word:
            step = width_px(letter, size, bold)
            if line.strip() and used + step > width:
                lines.append(line)
                line, used = indent, width_px(indent, size, bold)
            line, used = line + letter, used + step
    return [*lines, line] if line.strip() else lines


def shortened(words: str, width: float, size: float = TEXT_PT, bold: bool = False) -> str:
    """Return words on one line of at most this width, the end left out where it must be."""
    words = printable(words)
    ends = list(accumulate(width_px(letter, size, bold) for letter in words))
    if not ends or ends[-1] <= width:
        return words
    room = width - width_px("...", size, bold)
    kept = sum(end <= room for end in ends)
    return words[:kept].rstrip() + "..."
