"""Figures of the reader's surrogate: how many patients are scored how differently from their full dose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pipelines.evaluation.denoising.figures.material import Material, Missing
from pipelines.evaluation.denoising.figures.methods import (
    DOSE_WORDS,
    METHOD_COLORS,
    after,
    method_patches,
)
from pipelines.evaluation.denoising.index_tables import (
    ACCEPTABLE_DIFFERENCE,
    LARGEST_DIFFERENCE,
    READER_RULE,
    acceptable_percent,
    reader_differences,
)
from pipelines.evaluation.denoising.paper import ACCEPTABLE_PERCENT
from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.evaluation.page import SMALL_PT, dress, heading, new_page
from pipelines.report.colors import PALE

_STEPS = tuple(range(-LARGEST_DIFFERENCE, LARGEST_DIFFERENCE + 1))
_REMARK = f"{READER_RULE} In brackets: the paper's share of acceptable predictions (all patients)."
_HATCH = "////"
_SEX_WORDS = {"F": "women", "M": "men"}


def draw_reader(material: Material, figure_name: str, sex: str | None = None) -> Figure:
    """Draw bars of patients by difference score: a row per network, a column per dose, the low dose in each."""
    records = tuple(record for record in material.records if sex in (None, record.sex))
    chosen = Material(records, material.folder)
    if not records:
        raise Missing(f"there are no {_SEX_WORDS.get(sex or '', 'patients')}")
    networks = chosen.predicting()
    of_whom = "" if sex is None else f", {_SEX_WORDS[sex]} alone"
    hatched: list[Artist] = [Patch(facecolor="white", edgecolor=PALE, hatch=_HATCH, label="acceptable: -1, 0, +1")]
    page = new_page(
        (10.5, 2.1 * len(networks) + 0.3),
        f"Summed score beside that of full dose: a surrogate of the reader{of_whom}",
        source=after(figure_name),
        patients=len(records),
        remark=_REMARK,
        legend=[*method_patches((Method.LOW_DOSE, *networks)), *hatched],
    )
    panels = page.figure.subplots(len(networks), len(Dose), squeeze=False, sharex=True, sharey=True)
    for row, method in enumerate(networks):
        for column, dose in enumerate(Dose):
            axes = panels[row][column]
            notes = _bars(axes, chosen, dose, (Method.LOW_DOSE, method))
            heading(axes, f"{DOSE_WORDS[dose]}: {method.value}", notes)
            last = row == len(networks) - 1
            dress(
                axes,
                x="difference score" if last else "",
                y="patients" if column == 0 else "",
            )
            axes.set_xticks(_STEPS, [f"{step:+d}" if step else "0" for step in _STEPS])
            axes.tick_params(labelbottom=last)
            axes.set_ylim(0, len(records) * 1.1)
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.set_xlim(_STEPS[0] - 0.6, _STEPS[-1] + 0.6)
    return page.figure


def _bars(axes: Axes, material: Material, dose: Dose, methods: Sequence[Method]) -> list[tuple[str, str]]:
    """Draw the bars; return the acceptable shares in words, each with its color."""
    notes: list[tuple[str, str]] = []
    for place, method in enumerate(methods):
        differences = reader_differences(material.records, dose, method)
        share = acceptable_percent(differences)
        if share is None:
            notes.append((material.why_none(dose, method), PALE))
            continue
        color = METHOD_COLORS[method]
        counts = np.array([differences.count(step) for step in _STEPS])
        for step, count in zip(_STEPS, counts, strict=True):
            if count:
                _bar(axes, step - 0.2 + 0.4 * place, int(count), color, abs(step) <= ACCEPTABLE_DIFFERENCE)
        paper = "" if method is Method.LOW_DOSE else f" [{ACCEPTABLE_PERCENT[dose]:.0f} %]"
        notes.append((f"acceptable: {share:.0f} %{paper}", color))
    return notes


def _bar(axes: Axes, x: float, count: int, color: str, acceptable: bool) -> None:
    """Draw one bar with its number; those that are acceptable are hatched in white."""
    axes.bar(x, count, 0.38, color=color)
    if acceptable:
        axes.bar(x, count, 0.38, facecolor="none", edgecolor="white", hatch=_HATCH, linewidth=0.0)
    axes.annotate(
        str(count), (x, count), (0, 1.5), textcoords="offset points", ha="center", fontsize=SMALL_PT, color=PALE
    )
