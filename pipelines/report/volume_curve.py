"""The ventricle's volume through the beat, gate by gate, one line per heart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.contract import Heart
from pipelines.report.colors import FAINT, INK, PALE, rgb
from pipelines.report.lettering import SMALL_PT, TITLE_PT
from pipelines.report.sheet import Box, Sheet

_HEIGHT, _TITLE, _NUMBERS = 62, 20, 34  # of the curve, of its title; room for the numbers at its left
_DOT = 5


def draw_volume_curves(sheet: Sheet, box: Box, hearts: Sequence[Heart]) -> int:
    """Draw volume against gate for the hearts that have gates, the last one dark; return where the drawing ends."""
    curves = [heart.function.volumes_ml for heart in hearts if heart.function is not None]
    if not curves:
        return box.top
    sheet.write(box.left, box.top, "Volume through the beat", size=TITLE_PT, fontweight="bold")
    if len(curves) > 1:
        words = f"gray: {hearts[0].label}; black: {hearts[-1].label}"
        sheet.write(box.right, box.top + 2, words, size=SMALL_PT, color=PALE, ha="right")
    highest = max(max(curve) for curve in curves) * 1.08
    field = Box(box.left + _NUMBERS, box.top + _TITLE, box.width - _NUMBERS - 8, _HEIGHT)
    for share in (0.0, 0.5, 1.0):
        y = field.bottom - round(share * field.height)
        sheet.fill(Box(field.left, y, field.width, 1), rgb(FAINT))
        number = f"{share * highest:.0f}" + (" ml" if share == 1.0 else "")
        sheet.write(field.left - 4, y, number, size=SMALL_PT, color=PALE, ha="right", va="center")
    for curve in curves:
        color = INK if curve is curves[-1] else PALE
        x = field.left + (np.arange(len(curve)) + 0.5) * field.width / len(curve)
        y_of = field.bottom - np.array(curve) / highest * field.height
        sheet.line(x, y_of, color, 2.0)
        for place, height in zip(x, y_of, strict=True):
            sheet.fill(Box(round(place) - _DOT // 2, round(height) - _DOT // 2, _DOT, _DOT), rgb(color))
    for gate in range(len(curves[-1])):
        x_of = field.left + (gate + 0.5) * field.width / len(curves[-1])
        sheet.write(x_of, field.bottom + 3, str(gate + 1), size=SMALL_PT, color=PALE, ha="center")
    return field.bottom + 22
