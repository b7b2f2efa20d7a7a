"""The look of the evaluations' figures, in one place: lettering, title, legend and small print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipelines.networks.weights import write_whole
from pipelines.report.colors import FAINT, HOT_IRON, INK, PALE
from pipelines.report.lettering import width_px, wrapped
from pipelines.training.model_card import VIRTUAL

DPI = 150
SMALL_PT, TEXT_PT, TITLE_PT = 7.0, 8.0, 10.5
ONE_VIRTUAL = VIRTUAL.replace("patients", "patient", 1)

PRINTED_COLOR = "black"
HEAT = ListedColormap(HOT_IRON / 255.0, name="hot iron")

_MARGIN_IN, _LINE_IN, _LEGEND_IN = 0.12, 0.135, 0.22
_NOTE_PT = 10.5  # from line to line of notes over axes


def after_figure(source: str, figure: str) -> str:
    """Return which figure of a paper ours follows."""
    return f"After {source}, {figure}"


def beyond_paper(source: str) -> str:
    """Return that a paper has no such figure."""
    return f"Not in the paper ({source})"


@dataclass(frozen=True)
class Page:
    """A figure, and the part of it that is free for panels: between title and small print."""

    figure: Figure
    width_in: float
    inner_in: float  # height of the free part
    top_in: float  # of title and legend above it

    def axes(self, left_in: float, top_in: float, width_in: float, height_in: float) -> Axes:
        """Return axes at a place of the free part, counted from its upper left corner."""
        self.figure.set_layout_engine("none")  # nothing is left to lay out
        whole = float(self.figure.get_figheight())
        up = whole - self.top_in - top_in - height_in
        return self.figure.add_axes((left_in / self.width_in, up / whole, width_in / self.width_in, height_in / whole))

    def write(self, left_in: float, top_in: float, words: str, **style: Any) -> None:
        """Write words at a place of the free part; `style` is matplotlib's."""
        whole = float(self.figure.get_figheight())
        style = {"fontsize": SMALL_PT, "color": INK, "va": "center", **style}
        self.figure.text(left_in / self.width_in, (whole - self.top_in - top_in) / whole, words, **style)


def new_page(
    inner_in: tuple[float, float],
    title: str,
    *,
    source: str,
    patients: int | None,
    remark: str = "",
    legend: Sequence[Artist] = (),
) -> Page:
    """Return a figure with title, legend and small print; `inner_in` is width and height of what lies between.

    `patients` is how many are shown, None for a picture of no patient.
    """
    width, inner = inner_in
    shown = "" if patients is None else f" n = {patients} {VIRTUAL if patients != 1 else ONE_VIRTUAL}."
    lines = wrapped(f"{source}.{shown} {remark}", (width - 2 * _MARGIN_IN) * 97, SMALL_PT, indent="")  # 3 % to spare
    rows = _legend_rows(legend, width)
    bottom, top = _MARGIN_IN + _LINE_IN * len(lines), 0.36 + _LEGEND_IN * rows
    height = bottom + inner + top
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine(
        "constrained", rect=(0.0, bottom / height, 1.0, inner / height), w_pad=0.06, h_pad=0.06, hspace=0.02
    )
    left = _MARGIN_IN / width
    figure.text(left, 1.0 - 0.1 / height, title, fontsize=TITLE_PT, weight="bold", color=INK, va="top")
    figure.text(left, 0.07 / height, "\n".join(lines), fontsize=SMALL_PT, color=PALE, va="bottom", linespacing=1.25)
    if legend:
        figure.legend(
            handles=list(legend),
            loc="upper left",
            bbox_to_anchor=(left - 0.05 / width, 1.0 - 0.29 / height),
            ncols=math.ceil(len(legend) / rows),
            frameon=False,
            fontsize=TEXT_PT,
            labelcolor=INK,
            handlelength=1.4,
            columnspacing=1.5,
            borderpad=0.1,
        ).set_in_layout(False)
    return Page(figure, width, inner, top)


def _legend_rows(legend: Sequence[Artist], width_in: float) -> int:
    """Return how many rows a legend needs."""
    needed = sum(width_px(str(one.get_label()), TEXT_PT) / 100 + 0.48 for one in legend)
    return math.ceil(needed / (width_in - 2 * _MARGIN_IN))


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG so that it is whole or not there; the same figure gives the same bytes."""
    picture = BytesIO()
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    write_whole(path, picture.getvalue())


def dress(axes: Axes, x: str = "", y: str = "", grid: str = "y") -> None:
    """Give axes their lettering: `x`, `y` are their quantities with units; `grid` says along which there are lines."""
    axes.set_xlabel(x, fontsize=TEXT_PT, color=INK)
    axes.set_ylabel(y, fontsize=TEXT_PT, color=INK)
    axes.tick_params(labelsize=SMALL_PT, color=FAINT, labelcolor=INK, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=FAINT, linewidth=0.5, alpha=0.6)  # type: ignore[arg-type]


def heading(axes: Axes, title: str, notes: Sequence[tuple[str, str]]) -> None:
    """Write a title over axes and below it notes, each (words, color) on a line of its own, clear of what is drawn."""
    axes.set_title(title, fontsize=TEXT_PT, color=INK, loc="left", weight="bold", pad=5 + _NOTE_PT * len(notes))
    for line, (words, color) in enumerate(reversed(notes)):
        axes.annotate(
            words, (0.0, 1.0), (0, 4 + _NOTE_PT * line), xycoords="axes fraction", textcoords="offset points",
            fontsize=SMALL_PT, color=color, va="bottom",
        )  # fmt: skip


def bare(axes: Axes) -> None:
    """Leave nothing of axes but what is drawn in them."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def say(axes: Axes, words: str) -> None:
    """Write into empty axes why they are empty."""
    bare(axes)
    axes.grid(visible=False)
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=TEXT_PT, color=PALE)


def dot(color: str, label: str, marker: str = "o") -> Line2D:
    """Return a legend entry of a marker."""
    return Line2D([], [], linestyle="", marker=marker, markersize=5, color=color, label=label)


def printed_marker(label: str = "printed in the paper") -> Line2D:
    """Return the legend entry of the paper's own values."""
    return Line2D(
        [], [], linestyle="", marker="D", markersize=5, markerfacecolor="white", color=PRINTED_COLOR, label=label
    )


def slots(number: int, width: float = 0.8) -> tuple[np.ndarray, float]:
    """Return the middles of `number` marks side by side about 0, and how wide each is."""
    step = width / max(number, 1)
    return (np.arange(number) - (number - 1) / 2) * step, step
