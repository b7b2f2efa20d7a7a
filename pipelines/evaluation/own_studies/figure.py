"""The figure of one own study: projections and slices of the full counts, and of each dose as thinned and denoised."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pipelines.cardiac.reorientation import MARGIN_MM
from pipelines.evaluation.denoising.figures.pictures import Board, Row, Scale
from pipelines.evaluation.own_studies.studies import Pictures, Shown
from pipelines.evaluation.page import new_page
from pipelines.images import Array
from pipelines.report.colors import BLUE, INK, RED

COLUMNS = 8  # projections, and slices
_GUTTER_IN, _CELL_IN = 1.35, 0.86
_SEEN = 0.3  # of the fullest slice: transaxial slices with fewer counts are left out
_ENDS = 0.02  # of the ventricle's length, that are left out at both ends


def draw_own_study(pictures: Pictures, key: str, evidence: str) -> Figure:
    """Draw a study: a row for the full counts and two for each dose."""
    full = pictures.images[0]
    rows = tuple(_row(one) for one in pictures.images)
    board = Board(rows, (COLUMNS, COLUMNS), (_CELL_IN, _CELL_IN), _GUTTER_IN)
    views = _spaced(0, len(full.projections) - 1)
    cuts = _cuts(pictures)
    counts = Scale("gray_r", float(full.projections[views].max()))
    image = Scale("gray_r", float(full.slices[cuts].max()))
    page = new_page(
        board.size_in, f"Thinned and denoised: {key}", source=_HOW, patients=None, remark=_remark(pictures, evidence)
    )
    board.label(page, rows)
    board.head(page, 0, "Projections", columns=[f"{pictures.angles_deg[view]:.0f}\N{DEGREE SIGN}" for view in views])
    words = (
        "apex \N{RIGHTWARDS ARROW} base"
        if pictures.short_axis
        else "head \N{RIGHTWARDS ARROW} feet; no ventricle found"
    )
    board.head(page, 1, "Short-axis slices" if pictures.short_axis else "Transaxial slices", words)
    for place, one in enumerate(pictures.images):
        board.paint(page, place, 0, map(square, one.projections[views]), counts)
        board.paint(page, place, 1, map(square, one.slices[cuts]), image)
    board.color_bar(page, 0, counts, "counts per pixel of the full dose; white to black for all projections")
    board.color_bar(page, 1, image, "reconstructed counts; white to black for all slices")
    return page.figure


_HOW = (
    "Thinned counts are divided by their dose; denoised ones are those that images are made of. All projections have "
    "one gray scale, from 0 to the highest of the full counts shown, and all slices another, from 0 to that of the "
    "full counts' slices shown: what is brighter is black. OSEM 8 x 2, Butterworth 0.45, order 10; no attenuation "
    "correction"
)


def _remark(pictures: Pictures, evidence: str) -> str:
    """Return how slices lie, and what kind of patient is shown."""
    axes = "Slices of all rows are cut in the frame of the full counts' ventricle, anterior up, septum left. "
    return f"{axes if pictures.short_axis else ''}Evidence: {evidence}."


def _row(one: Shown) -> Row:
    if one.dose == 1.0:
        return Row("", "full counts", "", INK)
    dose = f"dose {one.dose:g}"
    return Row("", f"denoised\nfrom {one.dose:g}", dose, RED) if one.denoised else Row("", "thinned", dose, BLUE)


def _spaced(first: int, last: int) -> list[int]:
    return [int(place) for place in np.rint(np.linspace(first, last, COLUMNS))]


def _cuts(pictures: Pictures) -> list[int]:
    """Return the slices to show: through the ventricle from apex to base, or those of the body that hold counts."""
    slices = pictures.images[0].slices
    if pictures.short_axis:
        margin = MARGIN_MM / pictures.voxel_mm
        through = len(slices) - 1 - 2 * margin
        return _spaced(round(margin + _ENDS * through), round(margin + (1 - _ENDS) * through))
    held = slices.sum(axis=(1, 2), dtype=np.float64)
    seen = np.flatnonzero(held >= _SEEN * held.max())
    return _spaced(int(seen[-1]), int(seen[0]))  # z runs toward the head


def square(frame: Array) -> Array:
    """Return a frame `[row, column]` amid empty pixels, as many rows as columns."""
    side = max(frame.shape)
    widths = [((side - size) // 2, side - size - (side - size) // 2) for size in frame.shape]
    return np.pad(frame, widths)
