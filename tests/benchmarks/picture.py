"""The picture of the benchmarks: instances per second of each receiver, one panel for each kind of client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.benchmarks.receiving import Rate

OURS, OTHERS = "#1f4fd8", "#a9b4c6"


def draw(rates: Sequence[Rate], path: Path) -> None:
    """Write the picture as PNG."""
    panels = list(dict.fromkeys((one.load, one.associations, one.no_delay) for one in rates))
    columns = 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(10, 1.9 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (load, associations, no_delay) in zip(
        figure.subplots(rows, columns, squeeze=False).ravel(), panels, strict=False
    ):
        shown = [one for one in rates if (one.load, one.associations, one.no_delay) == (load, associations, no_delay)]
        names = [one.receiver + ("" if one.durable == "no" else " (on the disk)") for one in shown]
        colors = [OURS if one.receiver == "dicomnode" else OTHERS for one in shown]
        bars = axes.barh(names, [one.instances_per_s for one in shown], color=colors, height=0.7)
        axes.bar_label(bars, fmt="%.0f", fontsize=7, padding=2)
        client = f"{associations} association{'s' if associations > 1 else ''}{', no delay' if no_delay else ''}"
        axes.set_title(f"{load}, {client}", loc="left", fontsize=8)
        axes.invert_yaxis()
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("instances per second", fontsize=9)
    figure.savefig(path, dpi=90)
