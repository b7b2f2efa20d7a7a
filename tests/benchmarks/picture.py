"""The pictures of the benchmarks: instances received, studies through the node, workers, full journals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.benchmarks.cost import Cost
from tests.benchmarks.full_journal import Times
from tests.benchmarks.receiving import Rate
from tests.benchmarks.report import SCALED, Measured
from tests.benchmarks.road import RoadTime
from tests.benchmarks.workers import Scaling

OURS, OTHERS, LIMIT = "#1f4fd8", "#a9b4c6", "#c8560a"
ROAD_S = 5.0  # the goals of full journals and of the road
JOURNAL_GOALS = {"start, s": 3.0, "status, s": 1.0, "slowest page, ms": 200.0, "claim, ms": 5.0}


def draw_all(found: Measured, out: Path) -> None:
    """Write a picture as PNG of each part that was measured and has one."""
    if found.receiving is not None:
        draw_rates(found.receiving.rows, out / "receiving.png")
    if found.road is not None and found.cost is not None:
        draw_studies(found.road.rows, found.cost.rows, out / "studies.png")
    if found.workers is not None:
        draw_workers(found.workers.rows, out / "workers.png")
    if found.journals is not None:
        draw_journals(found.journals.rows, out / "journals.png")


def draw_rates(rates: Sequence[Rate], path: Path) -> None:
    """Draw the instances per second of each receiver, one panel for each kind of client."""
    panels = list(dict.fromkeys((one.load, one.associations, one.no_delay) for one in rates))
    columns = 2
    rows = -(-len(panels) // columns)
    figure, places = _figure(rows, columns, 1.9)
    for axes, (load, associations, no_delay) in zip(places, panels, strict=False):
        shown = [one for one in rates if (one.load, one.associations, one.no_delay) == (load, associations, no_delay)]
        names = [one.receiver + (" (on the disk)" if one.durable.startswith("file") else "") for one in shown]
        client = f"{associations} association{'s' if associations > 1 else ''}{', no delay' if no_delay else ''}"
        ours = [one.receiver == "dicomnode" for one in shown]
        _bars(axes, f"{load}, {client}", names, [one.instances_per_s for one in shown], "%.0f", ours)
    figure.suptitle("instances per second", fontsize=9)
    figure.savefig(path, dpi=90)


def draw_studies(road: Sequence[RoadTime], costs: Sequence[Cost], path: Path) -> None:
    """Draw how long a study is on the road, and what one costs by pipeline."""
    figure, (times, hours, processor, memory) = _figure(2, 2, 1.8)
    names = [f"{one.study.partition(',')[0]}, {kind}" for one in road for kind in ("first", "warm")]
    seconds = [value for one in road for value in (one.first_s, median(one.warm_s))]
    _bars(times, "from the scanner to the archive, s", names, seconds)
    times.axvline(ROAD_S, color=LIMIT, linewidth=1, linestyle="--")
    pipelines = [one.pipeline for one in costs]
    _bars(hours, "studies per hour", pipelines, [one.studies_per_hour for one in costs], "%.0f")
    _bars(processor, "processor s per study", pipelines, [one.processor_s for one in costs])
    _bars(memory, "memory of node and child, MB", pipelines, [one.node_mb + one.child_mb for one in costs], "%.0f")
    figure.savefig(path, dpi=90)


def draw_workers(rows: Sequence[Scaling], path: Path) -> None:
    """Draw the studies per hour by the number of workers, beside the goal and what the cores allow."""
    dask = [one for one in rows if one.workers]
    numbers = [one.workers for one in dask]
    figure, (axes,) = _figure(1, 1, 3.2, width=6)
    axes.plot(numbers, [one.studies_per_hour for one in dask], color=OURS, marker="o", label="workers of a cluster")
    alone = [one.studies_per_hour for one in rows if not one.workers]
    axes.plot([1] * len(alone), alone, color=OURS, marker="s", fillstyle="none", linestyle="", label="the node's child")
    single = dask[0].studies_per_hour / dask[0].workers
    goal = [single * (SCALED * number if number > 1 else 1) for number in numbers]
    axes.plot(numbers, goal, color=LIMIT, linestyle="--", linewidth=1, label="goal")
    allowed = [3600 * one.cores / one.processor_s for one in dask]
    axes.plot(numbers, allowed, color=OTHERS, linewidth=1, label=f"what the {dask[0].cores} cores allow")
    axes.set_title("studies per hour", loc="left", fontsize=8)
    axes.set_xlabel("workers", fontsize=8)
    axes.set_xticks(numbers)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=7)
    _plain(axes)
    figure.savefig(path, dpi=90)


def draw_journals(rows: Sequence[Times], path: Path) -> None:
    """Draw start, status, the slowest page and a claim by the number of studies, beside the goals."""
    figure, places = _figure(2, 2, 1.8)
    values = (
        [one.start_s for one in rows],
        [one.status_s for one in rows],
        [max(one.pages_ms.values()) for one in rows],
        [one.claim_ms for one in rows],
    )
    names = [f"{one.studies:,} studies" for one in rows]
    for axes, (title, goal), found in zip(places, JOURNAL_GOALS.items(), values, strict=True):
        _bars(axes, f"{title} (goal: under {goal:g})", names, found, "%.2f" if title.endswith(" s") else "%.1f")
        axes.axvline(goal, color=LIMIT, linewidth=1, linestyle="--")
    figure.savefig(path, dpi=90)


def _figure(rows: int, columns: int, row_inches: float, width: float = 10) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(width, row_inches * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _bars(
    axes: Axes,
    title: str,
    names: Sequence[str],
    values: Sequence[float],
    written: str = "%.1f",
    ours: Sequence[bool] = (),
) -> None:
    colors = [OURS if mine else OTHERS for mine in ours or [True] * len(names)]
    bars = axes.barh(names, values, color=colors, height=0.7)
    axes.bar_label(bars, fmt=written, fontsize=7, padding=2)
    axes.set_title(title, loc="left", fontsize=8)
    axes.invert_yaxis()
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
