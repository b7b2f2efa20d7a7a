"""The sheet that a report page is drawn on: painted pixels below, lettering and thin lines above.

All places are in pixels from the page's upper left corner. Pictures are painted as they are, never resampled, and so
the same content gives the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from pipelines.report.colors import INK, Rgb
from pipelines.report.lettering import DPI, TEXT_PT, printable

WIDTH, HEIGHT = 1600, 1060  # with the node's strip of 70 pixels above it: A4 landscape


@dataclass(frozen=True)
class Box:
    """A part of the page, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first pixel to the right of it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first pixel below it."""
        return self.top + self.height

    def below(self, top: int) -> Box:
        """Return what is left of it below this height."""
        return Box(self.left, top, self.width, max(self.bottom - top, 0))


class Sheet:
    """A white page that is written and painted on."""

    def __init__(self) -> None:
        self._pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        self.figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="none")
        self._canvas = FigureCanvasAgg(self.figure)

    def paint(self, left: int, top: int, picture: Rgb) -> None:
        """Put a picture `[row, column, RGB]` on the page; its upper left pixel comes to (left, top)."""
        part = self._pixels[max(top, 0) : top + picture.shape[0], max(left, 0) : left + picture.shape[1]]
        first_row, first_column = max(-top, 0), max(-left, 0)
        part[:] = picture[first_row : first_row + part.shape[0], first_column : first_column + part.shape[1]]

    def fill(self, box: Box, color: tuple[int, int, int]) -> None:
        """Paint a box in one color."""
        self.paint(box.left, box.top, np.full((box.height, box.width, 3), color, np.uint8))

    def write(self, x: float, y: float, words: str, *, size: float = TEXT_PT, **style: Any) -> None:
        """Write one line whose upper left corner is at (x, y); `ha`, `va`, `color`, ... are matplotlib's."""
        options: dict[str, Any] = {"ha": "left", "va": "top", "color": INK, "parse_math": False}
        self.figure.text(x / WIDTH, 1.0 - y / HEIGHT, printable(words), fontsize=size, **(options | style))

    def line(self, x: NDArray[np.float64], y: NDArray[np.float64], color: str = INK, width_px: float = 1.0) -> None:
        """Draw a line through these places."""
        self.figure.add_artist(
            Line2D(x / WIDTH, 1.0 - y / HEIGHT, color=color, linewidth=width_px * 72.0 / DPI, solid_capstyle="butt")
        )

    def pixels(self) -> Rgb:
        """Return the finished page `[row, column, RGB]`."""
        self._canvas.draw()
        above = np.asarray(self._canvas.buffer_rgba())
        opacity = above[..., 3:].astype(np.uint16)
        # Agg gives straight colors, so the two layers are mixed by opacity, rounded to the nearest.
        mixed = above[..., :3] * opacity + self._pixels * (255 - opacity) + 127
        return np.asarray(mixed // 255, dtype=np.uint8)
