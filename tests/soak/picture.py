"""The picture of a soak: each figure over time, in a panel of its own that starts at zero."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.soak.judge import expected_mb
from tests.soak.watch import Sample

HOLDERS = (("node", "#1f4fd8"), ("child", "#c8560a"), ("cluster", "#3a8a4d"))
PANELS = (("Memory, MB", "mb"), ("Open file handles", "files"), ("Threads", "threads"))


def draw(samples: Sequence[Sample], kept_s: float, path: Path) -> None:
    """Write the picture as PNG; a cluster is on it where there was one."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    minutes = [one.at_s / 60 for one in samples]
    places = figure.subplots(2, 2).ravel()
    for axes, (title, what) in zip(places, PANELS, strict=False):
        for holder, color in HOLDERS:
            values = [getattr(one, f"{holder}_{what}") for one in samples]
            if any(values):
                axes.plot(minutes, values, color=color, linewidth=1.2, label=holder)
        axes.set_title(title, loc="left", fontsize=10)
    disk = places[-1]
    disk.plot(minutes, [one.files_mb for one in samples], color="#1f4fd8", linewidth=1.2, label="files")
    expected = expected_mb(samples, kept_s)
    disk.plot(minutes, expected, color="#8a94a6", linewidth=1, linestyle="--", label="files, by the retention")
    disk.plot(minutes, [one.journal_mb for one in samples], color="#c8560a", linewidth=1.2, label="journal")
    disk.set_title("Disk, MB", loc="left", fontsize=10)
    for axes in places:
        axes.set_ylim(bottom=0)
        axes.set_xlabel("minutes", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=90)
