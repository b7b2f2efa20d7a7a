"""Polar maps as disks: the wall's counts, what is abnormal in outline, and the 17 segments with their values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.polar_map import as_disk
from pipelines.cardiac.segments import ANGLES, RING_ENDS, RINGS, SEGMENTS, segment_map, segment_means
from pipelines.contract import Heart
from pipelines.report.colors import FAINT, HOT_IRON, INK, PALE, SCORE_COLORS, Rgb, colored, outlined
from pipelines.report.lettering import SMALL_PT
from pipelines.report.sampling import Float
from pipelines.report.sheet import Box, Sheet

RIM = 15  # around a disk, for its letters
_FINER = 3  # pixels of a disk are means over so many, so that its edges are smooth
_OUTLINE = 6  # width, in these finer pixels
_SPOKES_DEG = ((range(45, 360, 90), 0, 1), (range(0, 360, 60), 1, 3))  # angles, from and to which ring they run


def draw_counts(sheet: Sheet, box: Box, heart: Heart) -> None:
    """Draw the wall's counts in % of the highest; where limits exist, what lies below them is outlined."""
    size = _draw_letters(sheet, box)
    highest = float(heart.polar.counts.max())
    fine = smooth_disk(heart.polar.counts, size * _FINER)
    picture = np.where(np.isnan(fine)[..., None], 255, colored(np.nan_to_num(fine), HOT_IRON, highest)).astype(np.uint8)
    if heart.perfusion is not None:
        abnormal = smooth_disk(heart.perfusion.abnormal.astype(np.float64), size * _FINER)
        picture = outlined(picture, np.nan_to_num(abnormal) > 0.5, width=_OUTLINE)
    sheet.paint(box.left + RIM, box.top + RIM, _coarser(picture))
    _draw_lines(sheet, box, FAINT, 0.7)


def draw_segments(sheet: Sheet, box: Box, heart: Heart) -> None:
    """Draw the 17 segments: % of normal and score where limits exist, else % of the highest segment."""
    size = _draw_letters(sheet, box)
    if heart.perfusion is None:
        values = segment_percent(heart)
        picture = _flat(np.array(values), HOT_IRON[np.arange(101) * 255 // 100], size)
        scores: tuple[int, ...] = (0,) * SEGMENTS
        dark = [value < 60.0 for value in values]
    else:
        values, scores = heart.perfusion.segments_percent, heart.perfusion.scores
        picture = _flat(np.array(scores), np.array(SCORE_COLORS, dtype=np.uint8), size)
        dark = [score == 4 for score in scores]
    sheet.paint(box.left + RIM, box.top + RIM, picture)
    _draw_lines(sheet, box, INK, 1.0)
    for number, (x, y) in enumerate(segment_middles(box)):
        words = f"{values[number]:.0f}"
        color = "white" if dark[number] else INK
        if scores[number] == 0:
            sheet.write(x, y, words, size=SMALL_PT, color=color, ha="center", va="center")
            continue
        sheet.write(x, y - 5.5, words, size=SMALL_PT, color=color, ha="center", va="center")
        sheet.write(
            x, y + 5.5, str(scores[number]), size=SMALL_PT, color=color, ha="center", va="center", weight="bold"
        )


def draw_score_legend(sheet: Sheet, x: int, y: int) -> None:
    """Draw what the colors of scores mean."""
    sheet.write(x, y, "score", size=SMALL_PT, color=PALE)
    for score, color in enumerate(SCORE_COLORS):
        box = Box(x + 38 + 24 * score, y, 22, 13)
        sheet.fill(box, (195, 204, 214))
        sheet.fill(Box(box.left + 1, box.top + 1, 20, 11), color)
        ink = "white" if score == 4 else INK
        sheet.write(box.left + 11, y + 7, str(score), size=SMALL_PT, color=ink, ha="center", va="center")


def segment_percent(heart: Heart) -> tuple[float, ...]:
    """Return the mean counts of segments 1 to 17 in % of the highest one's."""
    means = segment_means(heart.polar.counts, heart.polar.area_mm2)
    highest = max(*means, 1e-12)
    return tuple(100.0 * mean / highest for mean in means)


def _flat(values: NDArray[np.number], colors: Rgb, size: int) -> Rgb:
    """Return segments 1 to 17 in the color of their value, rounded; outside of the disk it is white."""
    fine = as_disk(np.round(values).astype(np.float64)[segment_map() - 1], size * _FINER, float(len(colors)))
    return _coarser(np.append(colors, [[255, 255, 255]], axis=0)[fine.astype(np.intp)])


def _coarser(fine: NDArray[np.integer]) -> Rgb:
    size = fine.shape[0] // _FINER
    mean = fine.reshape(size, _FINER, size, _FINER, 3).mean(axis=(1, 3))
    return np.asarray(np.round(mean), dtype=np.uint8)


def smooth_disk(values: Float, size: int) -> Float:
    """Return what `as_disk` does, but linear between samples; NaN outside of the disk."""
    line = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    right, up = np.meshgrid(line, -line)
    radius = np.hypot(right, up)
    across_apex = np.roll(values[:1], ANGLES // 2, axis=1)
    padded = np.concatenate([across_apex, values, values[-1:]])
    ring = np.clip(radius * RINGS + 0.5, 0.0, RINGS + 0.999)
    column = np.mod(np.degrees(np.arctan2(up, right)) / 360.0 * ANGLES - 0.5, ANGLES)
    low_ring, low_column = np.floor(ring).astype(np.intp), np.floor(column).astype(np.intp) % ANGLES
    part_ring, part_column = ring - np.floor(ring), column - np.floor(column)
    next_column = (low_column + 1) % ANGLES
    inner = (1.0 - part_column) * padded[low_ring, low_column] + part_column * padded[low_ring, next_column]
    outer = (1.0 - part_column) * padded[low_ring + 1, low_column] + part_column * padded[low_ring + 1, next_column]
    return np.where(radius <= 1.0, (1.0 - part_ring) * inner + part_ring * outer, math.nan)


def _draw_letters(sheet: Sheet, box: Box) -> int:
    """Write ANT, SEPT, INF, LAT around the disk; return its diameter."""
    middle_x, middle_y = box.left + box.width / 2, box.top + box.width / 2
    style: dict[str, Any] = {"size": SMALL_PT, "color": PALE, "ha": "center", "va": "center"}
    sheet.write(middle_x, box.top + 7, "ANT", **style)
    sheet.write(middle_x, box.top + box.width - 7, "INF", **style)
    sheet.write(box.left + 7, middle_y, "SEPT", rotation=90, **style)
    sheet.write(box.right - 7, middle_y, "LAT", rotation=90, **style)
    return box.width - 2 * RIM


def _draw_lines(sheet: Sheet, box: Box, color: str, width_px: float) -> None:
    """Draw the borders of the 17 segments."""
    x, y, radius = box.left + box.width / 2, box.top + box.width / 2, box.width / 2 - RIM
    around = np.linspace(0.0, 2.0 * math.pi, 181)
    for share in RING_ENDS:
        sheet.line(x + share * radius * np.cos(around), y - share * radius * np.sin(around), color, width_px)
    for angles, first, last in _SPOKES_DEG:
        for angle in angles:
            along = np.array([RING_ENDS[first], RING_ENDS[last]]) * radius
            toward = math.radians(angle)
            sheet.line(x + along * math.cos(toward), y - along * math.sin(toward), color, width_px)


def segment_middles(box: Box) -> list[tuple[float, float]]:
    """Return where on the page the middle of each segment lies."""
    x, y, radius = box.left + box.width / 2, box.top + box.width / 2, box.width / 2 - RIM
    places = [(2, 90 + 60 * k) for k in range(6)] + [(1, 90 + 60 * k) for k in range(6)]
    middles = []
    for level, angle in [*places, *((0, 90 + 90 * k) for k in range(4))]:
        distance = radius * (RING_ENDS[level] + RING_ENDS[level + 1]) / 2
        toward = math.radians(angle)
        middles.append((x + distance * math.cos(toward), y - distance * math.sin(toward)))
    return [*middles, (x, y)]
