"""Figure 3 of the attenuation paper: bars of the mean NMAE by choice, a dot for each training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.evaluation.attenuation.paper import SEARCH, SOURCE
from pipelines.evaluation.page import PRINTED_COLOR, SMALL_PT, after_figure, dress, heading, new_page, printed_marker
from pipelines.evaluation.search.factors import FACTORS, Factor, groups_of
from pipelines.evaluation.search.journal import TrainingRecord
from pipelines.report.colors import BLUE, INK

SHOWN = ("distance", "discriminator", "normalization", "weights")  # the paper shows the first two
_PANEL_IN = (3.3, 2.7)


def draw_choices(records: Sequence[TrainingRecord], evidence: str) -> Figure:
    """Draw a panel per factor."""
    factors = [factor for factor in FACTORS if factor.name in SHOWN]
    page = new_page(
        (2 * _PANEL_IN[0] + 0.3, 2 * _PANEL_IN[1] + 0.2),
        "Trainings by what was drawn",
        source=after_figure(SOURCE, "Fig. 3"),
        patients=None,
        remark=f"{evidence[:1].upper()}{evidence[1:]}. Bars: mean NMAE on validation images; dots: trainings that "
        "converged; below the names: how many did not converge, of those drawn. The paper's Fig. 3 shows the distance "
        "loss and the discriminator.",
        legend=[printed_marker()],
    )
    panels = page.figure.subplots(2, 2, squeeze=False).ravel()
    for axes, factor in zip(panels, factors, strict=True):
        _panel(axes, records, factor)
    return page.figure


def _panel(axes: Axes, records: Sequence[TrainingRecord], factor: Factor) -> None:
    groups = groups_of(records, factor)
    for place, group in enumerate(groups):
        if group.nmae:
            axes.bar(place, float(np.mean(group.nmae)), 0.6, color=BLUE, alpha=0.3)
            scattered = place + np.linspace(-0.18, 0.18, len(group.nmae)) if len(group.nmae) > 1 else [place]
            axes.plot(scattered, group.nmae, "o", markersize=3, color=BLUE, alpha=0.8, markeredgewidth=0)
        printed = SEARCH.get((factor.name, group.choice))
        if printed and printed.nmae:
            axes.plot([place + 0.36], [printed.nmae.mean], "D", markersize=4.5, color=PRINTED_COLOR,
                      markerfacecolor="white")  # fmt: skip
    names = [f"{group.choice}\n{group.discarded} of {group.drawn}" for group in groups]
    axes.set_xticks(range(len(groups)), names, fontsize=SMALL_PT, color=INK)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    heading(axes, factor.words, [])
    dress(axes, y="NMAE")
    axes.set_ylim(bottom=0.0)
