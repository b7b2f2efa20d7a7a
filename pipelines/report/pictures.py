"""What every picture of the report page has: letters at its edges, a name above or beside it, a color scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.report.colors import HOT_IRON, INK, ON_PICTURES, PALE, Rgb
from pipelines.report.lettering import SMALL_PT, TITLE_PT, shortened, width_px, wrapped
from pipelines.report.sheet import Box, Sheet

HEADING = 19  # pixels that a heading takes
CAPTION = 15  # and the words above a small picture
LINE = 14  # from line to line of small letters


def heading(sheet: Sheet, x: float, y: float, words: str, remark: str = "") -> None:
    """Write the title of a block of pictures and, paler, how they are to be read."""
    sheet.write(x, y, words, size=TITLE_PT, fontweight="bold")
    if remark:
        sheet.write(x + width_px(words, TITLE_PT, bold=True) + 10, y + 2, remark, size=SMALL_PT, color=PALE)


def marks(sheet: Sheet, box: Box, left: str, right: str, top: str, bottom: str, color: str = ON_PICTURES) -> None:
    """Write the letters at a picture's edges; those at the sides stand upright if they are words."""
    middle_x, middle_y = box.left + box.width / 2, box.top + box.height / 2
    style: dict[str, Any] = {"size": SMALL_PT, "color": color}
    if color == ON_PICTURES:
        style["bbox"] = {"facecolor": "black", "alpha": 0.5, "edgecolor": "none", "pad": 0.6}
    turned = 90 if max(len(left), len(right)) > 1 else 0
    sheet.write(box.left + 3, middle_y, left, va="center", rotation=turned, **style)
    sheet.write(box.right - 3, middle_y, right, ha="right", va="center", rotation=turned, **style)
    sheet.write(middle_x, box.top + 3, top, ha="center", **style)
    sheet.write(middle_x, box.bottom - 3, bottom, ha="center", va="bottom", **style)


def caption(sheet: Sheet, box: Box, words: str) -> None:
    """Write words above a picture."""
    shown = shortened(words, box.width, SMALL_PT)
    sheet.write(box.left + box.width / 2, box.top - 3, shown, size=SMALL_PT, color=PALE, ha="center", va="bottom")


def row_label(sheet: Sheet, box: Box, words: str, bold: bool = False) -> None:
    """Write the name of a row of pictures upright into a narrow box at its left."""
    lines = wrapped(words, box.height - 4, SMALL_PT, bold, indent="")
    room = max(1, box.width // LINE)
    if len(lines) > room:
        lines = [*lines[: room - 1], shortened(" ".join(lines[room - 1 :]), box.height - 4, SMALL_PT, bold)]
    middle = box.top + box.height / 2
    for number, line in enumerate(lines):
        x = box.right - 4 - (len(lines) - 1 - number) * LINE
        sheet.write(
            x, middle, line, size=SMALL_PT, color=INK if bold else PALE, rotation=90, ha="right", va="center",
            fontweight="bold" if bold else "normal",
        )  # fmt: skip


def color_bar(sheet: Sheet, right: int, y: int, words: str) -> None:
    """Draw the color scale, from 0 to 100 %, and what its end means; it ends at `right`."""
    shown = f"100 % = {words} (Hot Iron)"
    x = right - round(width_px(shown, SMALL_PT))
    bar: Rgb = np.repeat(HOT_IRON[np.linspace(0, 255, 120).round().astype(np.intp)][None], 10, axis=0)
    sheet.write(x, y, shown, size=SMALL_PT, color=PALE)
    sheet.paint(x - 128, y + 1, bar)
    sheet.write(x - 134, y, "0", size=SMALL_PT, color=PALE, ha="right")
