"""The words of the page: the table of numbers, blocks of sentences; what has no room is counted, not squeezed."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.contract import Heart
from pipelines.report.colors import FAINT, INK, PALE, rgb
from pipelines.report.facts import Fact, Facts, Row
from pipelines.report.lettering import SMALL_PT, TEXT_PT, TITLE_PT, shortened, wrapped
from pipelines.report.sheet import Box, Sheet

_LINE, _TITLE, _AFTER = 15, 19, 8  # pixels of a line, of a title, after a block
_VALUE = 112  # width of a column of the table
_LIMITS = 4  # lines for whose limits they were made with


def draw_table(sheet: Sheet, box: Box, hearts: Sequence[Heart], rows: Sequence[Row], limits: str) -> int:
    """Write the numbers, one column for each heart, and whose limits they were made with; return where it ends."""
    y = box.top
    sheet.write(box.left, y, "Left ventricle", size=TITLE_PT, fontweight="bold")
    ends = [box.right - 4 - _VALUE * (len(hearts) - 1 - place) for place in range(len(hearts))]
    if len(hearts) > 1:
        names = [wrapped(heart.label, _VALUE - 6, SMALL_PT, indent="")[:2] for heart in hearts]
        for end, lines in zip(ends, names, strict=True):
            for number, line in enumerate(lines):
                sheet.write(end, y - 2 + 13 * number, line, size=SMALL_PT, color=PALE, ha="right")
        y += 10
    y += _TITLE
    for row in rows:
        sheet.fill(Box(box.left, y - 2, box.width, 1), rgb(FAINT))
        sheet.write(box.left, y + 1, shortened(row.name, ends[0] - 50 - box.left))
        for end, value in zip(ends, row.values, strict=True):
            last = end == ends[-1]
            sheet.write(end, y + 1, value, ha="right", fontweight="bold" if last else "normal")
        y += _LINE + 2
    lines = wrapped(limits, box.width, SMALL_PT, indent="")
    if len(lines) > _LIMITS:
        lines = [*lines[: _LIMITS - 1], shortened(" ".join(lines[_LIMITS - 1 :]), box.width, SMALL_PT)]
    for line in lines:
        sheet.write(box.left, y + 1, line, size=SMALL_PT, color=PALE)
        y += _LINE - 2
    return y + _AFTER


def draw_blocks(sheet: Sheet, box: Box, blocks: Sequence[Facts], elsewhere: str) -> None:
    """Write blocks under each other; lines for which there is no room are counted; `elsewhere` says who has them."""
    y = box.top
    left_out = 0
    for block in blocks:
        lines = [Fact(part, one.color) for one in block.lines for part in wrapped(one.words, box.width)]
        room = (box.bottom - y - _TITLE) // _LINE
        if not lines:
            continue
        if room < 2 and len(lines) > room:
            left_out += len(lines)
            continue
        sheet.write(box.left, y, block.title, size=TITLE_PT, fontweight="bold")
        y += _TITLE
        if len(lines) > room:
            left_out += len(lines) - room + 1
            lines = [*lines[: room - 1], Fact("...", PALE)]
        for line in lines:
            sheet.write(box.left, y, line.words, size=TEXT_PT, color=line.color)
            y += _LINE
        y += _AFTER
    if left_out:
        words = f"{left_out} more lines{elsewhere}"
        sheet.write(box.right, box.bottom, words, size=SMALL_PT, color=PALE, ha="right")


def draw_notice(sheet: Sheet, box: Box, title: str, sentences: Sequence[str], color: str) -> int:
    """Write sentences into a frame of a color that can't be overlooked; return where it ends."""
    lines = [line for words in sentences for line in wrapped(words, box.width - 28, TEXT_PT, indent="")]
    room = max((box.height - _TITLE - 16) // _LINE, 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], f"... {len(lines) - room + 1} more lines"]
    height = _TITLE + 16 + _LINE * len(lines)
    sheet.fill(Box(box.left, box.top, 6, height), rgb(color))
    sheet.fill(Box(box.left + 6, box.top, box.width - 6, height), (250, 246, 240))
    shown = shortened(title, box.width - 28, TITLE_PT, bold=True)
    sheet.write(box.left + 16, box.top + 8, shown, size=TITLE_PT, fontweight="bold", color=color)
    for number, line in enumerate(lines):
        sheet.write(box.left + 16, box.top + 8 + _TITLE + number * _LINE, line, color=INK)
    return box.top + height + _AFTER
