"""The heart's slices in rows, as the field shows them; two hearts lie one above the other, slice by slice.

Short axis from apex to base, anterior up, septum left; vertical long axis from septum to lateral wall, apex right;
horizontal long axis from inferior to anterior wall, apex up (Cerqueira et al. 2002; ACC/AHA/SNM 1990).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.cardiac.reorientation import FIELD_MM
from pipelines.contract import Heart
from pipelines.images import Volume
from pipelines.report.colors import HOT_IRON, colored
from pipelines.report.pictures import HEADING, color_bar, heading, marks, row_label
from pipelines.report.sampling import Float, interpolated, spread
from pipelines.report.sheet import Box, Sheet

COLUMNS = 10
GAP, GUTTER = 2, 50  # pixels between pictures, and at the left for the names of rows
_LEAST_FIELD_MM, _AROUND_MM = 115.0, 45.0  # width of a picture: so much more than the ventricle's length


@dataclass(frozen=True)
class _Orientation:
    title: str
    remark: str
    marks: tuple[str, str, str, str]  # left, right, top, bottom
    volume: Callable[[Heart], Volume]
    ends: Callable[[Heart], tuple[float, float]]  # slice indices, fractional, of the first and the last slice


def _apex_to_base(heart: Heart) -> tuple[float, float]:
    grid, ventricle = heart.short_axis.grid, heart.ventricle
    return float(grid.index_of(ventricle.apex_mm)[0]), float(grid.index_of(ventricle.base_mm)[0])


def _through_walls(heart: Heart, volume: Volume) -> tuple[float, float]:
    middle = float(volume.grid.index_of(heart.ventricle.center_mm)[0])
    reach = heart.ventricle.wall.half_width / volume.grid.voxel_mm[0]
    return middle - reach, middle + reach


_ORIENTATIONS = (
    _Orientation(
        "Short axis", "apex \N{RIGHTWARDS ARROW} base", ("SEPT", "LAT", "ANT", "INF"), lambda heart: heart.short_axis,
        _apex_to_base,
    ),
    _Orientation(
        "Vertical long axis", "septum \N{RIGHTWARDS ARROW} lateral wall", ("BASE", "APEX", "ANT", "INF"),
        lambda heart: heart.vertical_long_axis, lambda heart: _through_walls(heart, heart.vertical_long_axis),
    ),
    _Orientation(
        "Horizontal long axis", "inferior \N{RIGHTWARDS ARROW} anterior wall", ("SEPT", "LAT", "APEX", "BASE"),
        lambda heart: heart.horizontal_long_axis, lambda heart: _through_walls(heart, heart.horizontal_long_axis),
    ),
)  # fmt: skip


def draw_slices(sheet: Sheet, box: Box, hearts: Sequence[Heart]) -> int:
    """Draw all rows of one heart or of two; return where they end. One heart gets two rows of short axis."""
    gutter = GUTTER if len(hearts) > 1 else 0
    left, top, right = box.left + gutter, box.top, box.right
    size = (box.width - gutter + GAP) // COLUMNS - GAP
    color_bar(sheet, right, top + 2, "highest count of each ventricle's wall")
    field_mm = _field_mm(hearts)
    for place, orientation in enumerate(_ORIENTATIONS):
        heading(sheet, left, top, orientation.title, orientation.remark)
        top += HEADING
        rows = 2 if place == 0 and len(hearts) == 1 else 1
        pictures = [slices_of(heart, place, rows * COLUMNS, field_mm, size) for heart in hearts]
        for row in range(rows):
            for heart, shown in zip(hearts, pictures, strict=True):
                part = shown[row * COLUMNS : (row + 1) * COLUMNS]
                for column, values in enumerate(part):
                    sheet.paint(left + column * (size + GAP), top, colored(values, HOT_IRON, 1.0))
                if gutter:
                    row_label(sheet, Box(box.left, top, gutter, size), heart.label, bold=heart is hearts[-1])
                if row == 0:
                    marks(sheet, Box(left, top, size, size), *orientation.marks)
                top += size + GAP
        top += 2
    return top


def slices_of(heart: Heart, orientation: int, count: int, field_mm: float, size: int) -> Float:
    """Return evenly spread slices `[slice, row, column]` in shares of the highest count of the ventricle's wall.

    `orientation`: 0 short axis, 1 vertical, 2 horizontal long axis. Pictures are `size` pixels and `field_mm` wide.
    """
    chosen = _ORIENTATIONS[orientation]
    volume = chosen.volume(heart)
    first, last = chosen.ends(heart)
    _, row, column = volume.grid.index_of(heart.ventricle.center_mm)
    _, row_mm, column_mm = volume.grid.voxel_mm
    values = interpolated(
        volume.values,
        np.linspace(first, last, count),
        spread(float(row), field_mm / row_mm, size),
        spread(float(column), field_mm / column_mm, size),
    )
    return values / max(float(heart.polar.counts.max()), 1e-12)


def _field_mm(hearts: Sequence[Heart]) -> float:
    lengths = [float(np.linalg.norm(np.subtract(one.ventricle.apex_mm, one.ventricle.base_mm))) for one in hearts]
    return min(FIELD_MM, max(_LEAST_FIELD_MM, max(lengths) + _AROUND_MM))
