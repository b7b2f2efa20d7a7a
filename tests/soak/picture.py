"""The picture of a soak: each figure over time, in a panel of its own that starts at zero."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.soak.watch import Sample

PANELS = (
    ("Memory, MB", (("node_mb", "node"), ("child_mb", "child"))),
    ("Open file handles", (("node_files", "node"), ("child_files", "child"))),
    ("Threads", (("node_threads", "node"),)),
    ("Disk, MB", (("data_mb", "data folder"), ("journal_mb", "journal"))),
)
COLORS = ("#1f4fd8", "#c8560a")


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Write the picture as PNG."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    minutes = [one.at_s / 60 for one in samples]
    for axes, (title, shown) in zip(figure.subplots(2, 2).ravel(), PANELS, strict=True):
        for (name, words), color in zip(shown, COLORS, strict=False):
            axes.plot(minutes, [getattr(one, name) for one in samples], color=color, linewidth=1.2, label=words)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("minutes", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        if len(shown) > 1:
            axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=90)
