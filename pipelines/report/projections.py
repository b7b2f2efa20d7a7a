"""A strip of projections as the camera saw them, each with its angle; denoised ones under those they came from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipelines.images import Projections
from pipelines.report.colors import BLACK_ON_WHITE, FAINT, Rgb, colored, rgb
from pipelines.report.pictures import CAPTION, HEADING, caption, heading, row_label
from pipelines.report.sampling import Float, interpolated, spread
from pipelines.report.sheet import Box, Sheet
from pipelines.report.slices import GUTTER

_COLUMNS, _LEAST_TILE = 12, 70
_GAP = 6
_NOISE_SD = 3.0  # the scale of what was taken away: Poisson's sd of the view's mean


@dataclass(frozen=True)
class _Strip:
    """One row: its name, and pictures with the counts that are its lightest and its darkest."""

    name: str
    views: Float  # [view, row, column]
    lowest: Float  # [view]
    highest: Float


def draw_projections(sheet: Sheet, box: Box, projections: Projections) -> None:
    """Draw evenly spread photopeak views, gates summed, each by its own maximum, in two rows or in one."""
    heading(sheet, box.left, box.top, "Projections", "photopeak, as seen from the camera; each by its own maximum")
    rows = 2 if box.height - HEADING >= 2 * (_LEAST_TILE + CAPTION) else 1
    room = (box.height - HEADING) // rows - CAPTION
    columns = min(_COLUMNS, max(8, math.ceil((box.width + _GAP) / (room + _GAP))))
    size = min(room, (box.width + _GAP) // columns - _GAP)
    chosen = _chosen(projections, rows * columns)
    counts = projections.photopeak_counts().sum(axis=0)
    for place, view in enumerate(chosen):
        row, column = divmod(place, columns)
        top = box.top + HEADING + CAPTION + row * (size + CAPTION)
        tile = Box(box.left + column * (size + _GAP), top, size, size)
        sheet.paint(tile.left, tile.top, _picture(projections, counts[view], 0.0, float(counts[view].max()), size))
        caption(sheet, tile, angle_words(projections.geometry.angles_deg[view]))


def draw_denoised(sheet: Sheet, box: Box, low: Projections, denoised: Projections) -> None:
    """Draw views before and after denoising and what was taken away, in three rows.

    A network may return counts of a higher dose: the second row is divided by how many more it holds altogether.
    """
    all_before, all_after = (one.photopeak_counts().sum(axis=0, dtype=np.float64) for one in (low, denoised))
    gain = float(all_after.sum() / all_before.sum()) if min(all_before.sum(), all_after.sum()) > 0.0 else 1.0
    heading(
        sheet, box.left + GUTTER, box.top, "Projections before and after denoising",
        f"output: {gain:.3g} x the input's counts, divided by it; difference: white to black is "
        "\N{PLUS-MINUS SIGN}3 sd of the view's mean count",
    )  # fmt: skip
    size = min((box.height - HEADING - CAPTION) // 3 - 2, (box.width - GUTTER + _GAP) // _COLUMNS - _GAP)
    chosen = _chosen(low, _COLUMNS)
    before, after = all_before[chosen], all_after[chosen] / gain
    highest = before.max(axis=(1, 2))
    sd = _NOISE_SD * np.sqrt(np.maximum([view[view > 0].mean() if view.any() else 0.0 for view in before], 1e-12))
    strips = (
        _Strip("input", before, 0.0 * sd, highest),
        _Strip("denoised", after, 0.0 * sd, highest),
        _Strip("difference", before - after, -sd, sd),
    )
    for row, strip in enumerate(strips):
        top = box.top + HEADING + CAPTION + row * (size + 2)
        row_label(sheet, Box(box.left, top, GUTTER, size), strip.name, bold=row == 1)
        for place, view in enumerate(chosen):
            tile = Box(box.left + GUTTER + place * (size + _GAP), top, size, size)
            limits = float(strip.lowest[place]), float(strip.highest[place])
            sheet.paint(tile.left, tile.top, _picture(low, strip.views[place], *limits, size))
            if row == 0:
                caption(sheet, tile, angle_words(low.geometry.angles_deg[view]))


def angle_words(angle_deg: float) -> str:
    """Return an angle and the usual name of the direction that such a view is taken from."""
    names = ("POST", "LPO", "LLAT", "LAO", "ANT", "RAO", "RLAT", "RPO")
    return f"{angle_deg % 360.0:.0f}\N{DEGREE SIGN} {names[round(angle_deg / 45.0) % 8]}"


def _chosen(projections: Projections, count: int) -> list[int]:
    """Return evenly spread views."""
    views = projections.geometry.views
    return [int(view) for view in np.unique(np.linspace(0, views - 1, count).round())]


def _picture(projections: Projections, view: Float, lowest: float, highest: float, size: int) -> Rgb:
    """Return a view as a framed square; oblong detectors leave a white border."""
    rows, columns = view.shape
    axial_mm, across_mm = projections.geometry.pixel_size_mm
    field_mm = max(rows * axial_mm, columns * across_mm)
    row, column = (
        spread((rows - 1) / 2, field_mm / axial_mm, size),
        spread((columns - 1) / 2, field_mm / across_mm, size),
    )
    picture = colored(interpolated(view, row, column), BLACK_ON_WHITE, highest, lowest)
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        edge[:] = rgb(FAINT)
    return picture
