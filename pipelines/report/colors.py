"""Inks of the report page and color scales of its pictures: values -> RGB pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import Verdict

Rgb = NDArray[np.uint8]

INK, PALE, FAINT = "#1d2733", "#56657a", "#c3ccd6"
GREEN, AMBER, RED, BLUE = "#15803d", "#b45309", "#b91c1c", "#1d4ed8"
ON_PICTURES = "#e2e8f0"
OUTLINE = (34, 211, 238)  # cyan: it stands out from every color of the hot iron scale
VERDICT_COLORS = {Verdict.PASS: GREEN, Verdict.WARN: AMBER, Verdict.QUARANTINE: RED}
SCORE_COLORS = ((248, 250, 252), (254, 240, 188), (253, 196, 120), (240, 128, 94), (190, 50, 50))  # of scores 0 to 4


def _hot_iron() -> Rgb:
    """Return the 256 colors of DICOM's Hot Iron palette (PS3.6 B.1.1): black, red, orange, yellow, white."""
    step = np.arange(256)
    scale = np.stack([2 * step, 2 * (step - 128), 4 * (step - 191)], axis=1)
    scale[255] = 255
    return np.clip(scale, 0, 255).astype(np.uint8)


HOT_IRON = _hot_iron()
BLACK_ON_WHITE: Rgb = np.repeat(np.arange(255, -1, -1, dtype=np.uint8)[:, None], 3, axis=1)
WHITE_ON_BLACK: Rgb = BLACK_ON_WHITE[::-1]


def colored(values: NDArray[np.floating], scale: Rgb, highest: float, lowest: float = 0.0) -> Rgb:
    """Return values `[row, column]` as pixels; `lowest` and all below has the scale's first color."""
    span = highest - lowest
    share = (values - lowest) / span if span > 0.0 else np.zeros(values.shape)
    return np.asarray(scale[np.round(np.clip(share, 0.0, 1.0) * 255.0).astype(np.intp)])


def rgb(color: str) -> tuple[int, int, int]:
    """Return an ink as numbers."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def outlined(picture: Rgb, inside: NDArray[np.bool_], width: int = 2) -> Rgb:
    """Return a picture in which the edge of an area is drawn, within the area."""
    kept = inside.copy()
    for _ in range(width):
        padded = np.pad(kept, 1)
        kept = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    result = picture.copy()
    result[inside & ~kept] = OUTLINE
    return result
