"""Figures of image quality over all patients: voxel correlation, box plots beside the paper's values, the ceiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipelines.agreement.image_quality import ImageQuality
from pipelines.evaluation.denoising.figures.material import Float, Material, Missing
from pipelines.evaluation.denoising.figures.methods import (
    DOSE_WORDS,
    FULL_DOSE_COLOR,
    METHOD_COLORS,
    PREDICTING,
    after,
    beyond,
    method_dots,
    method_patches,
)
from pipelines.evaluation.denoising.paper import IMAGE, PROJECTION, VOXEL_PEARSON, Printed
from pipelines.evaluation.denoising.quality_tables import QUALITY, SPACES
from pipelines.evaluation.denoising.record import Dose, Method, MethodRecord, PatientRecord
from pipelines.evaluation.page import (
    SMALL_PT,
    dot,
    dress,
    heading,
    new_page,
    printed_marker,
    slots,
)
from pipelines.report.colors import PALE

_BOXES = (
    "Scale of the paper: 0 to 255, full and low dose each over its own maximum, predictions over that of full dose; "
    "SSIM of values 0 to 1. Boxes: quartiles and median; whiskers to the farthest patient within 1.5 quartile ranges. "
    "Diamonds: mean and sd of the paper's Tables 1 and 2, left of what they are the values of: low dose and predicted. "
    "Ceiling: the low dose plus the noise-free counts of the missing share, the best that can be foretold of a noisy "
    "full dose."
)
_AXES = {"PSNR": "PSNR (dB)", "SSIM": "SSIM, whole study", "RMSE": "RMSE (0 to 255)"}


@dataclass(frozen=True)
class _Space:
    name: str
    of: Callable[[MethodRecord], ImageQuality]
    ceiling: Callable[[PatientRecord, Dose], ImageQuality | None]


_SPACES = (
    _Space("Projections", SPACES["projection"], lambda record, dose: record.ceiling.get(dose.value)),
    _Space("Images (slices of the heart)", SPACES["image"], lambda r, dose: r.image_ceiling.get(dose.value)),
)


def draw_voxel_correlation(material: Material) -> Figure:
    """Draw the correlation of voxels with those of the full dose: mean and sd over patients, and each patient."""
    patients = material.needed()
    methods = material.methods((Method.LOW_DOSE, *PREDICTING))
    page = new_page(
        (7.0, 3.9),
        "Voxels of the reconstruction against full dose",
        source=after("Fig. 5"),
        patients=patients,
        remark="Mean and sd over patients; small dots are patients. Slices of the heart, one correlation per patient. "
        "The axis does not begin at 0.",
        legend=[*method_dots(methods), printed_marker("printed in the paper (mean, sd)")],
    )
    axes = page.figure.subplots()
    # the paper's pair stands right of ours
    places, step = slots(len(methods) + 2)
    for at, dose in enumerate(Dose):
        for place, method in zip(places, methods, strict=False):
            values = material.values(dose, method, lambda one: one.image_pearson)
            if len(values):
                _mean_and_sd(axes, at + place, step, values, method)
        for place, printed, method in zip(
            places[-2:], VOXEL_PEARSON[dose], (Method.LOW_DOSE, Method.PAPER), strict=True
        ):
            if printed is not None:
                _printed(axes, at + place, printed, METHOD_COLORS[method])
    axes.set_xticks(range(len(Dose)), [DOSE_WORDS[dose] for dose in Dose])
    dress(axes, y="Pearson's correlation of voxels")
    axes.tick_params(axis="x", labelsize=8, length=0)
    axes.set_ylim(top=1.0 + 0.03 * (1.0 - axes.get_ylim()[0]))
    return page.figure


def _mean_and_sd(axes: Axes, x: float, step: float, values: Float, method: Method) -> None:
    color = METHOD_COLORS[method]
    axes.plot(x + step * 0.3 * _spread_out(len(values)), values, ".", color=color, markersize=2.5, alpha=0.45)
    sd = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    axes.errorbar(
        x, float(values.mean()), sd, fmt="o", color=color, markersize=6, capsize=5, elinewidth=1.6, capthick=1.6
    )


def _spread_out(number: int) -> Float:
    """Return shifts from -1 to 1 that keep dots apart, the same in every run."""
    return np.asarray((np.arange(number) * 0.618034) % 1.0 * 2.0 - 1.0)


def _printed(axes: Axes, x: float, printed: Printed, color: str) -> None:
    axes.errorbar(
        x, printed.mean, printed.sd, fmt="D", markersize=4.5, color=color, markerfacecolor="white", capsize=3,
        elinewidth=1.0, zorder=5,
    )  # fmt: skip


def draw_quality_boxes(material: Material) -> Figure:
    """Draw box plots of PSNR, SSIM and RMSE in projections and images."""
    patients = material.needed()
    methods = material.methods()
    ceiling = Line2D([], [], color=FULL_DOSE_COLOR, linestyle=(0, (4, 1.5)), linewidth=1.2, label="ceiling, mean")
    page = new_page(
        (11.5, 6.4),
        "Image quality against full dose",
        source=after("Suppl. Fig. 5"),
        patients=patients,
        remark=_BOXES,
        legend=[*method_patches(methods), ceiling, printed_marker("printed in the paper (mean, sd)")],
    )
    panels = page.figure.subplots(2, 3, squeeze=False)
    for row, (space, tables) in enumerate(zip(_SPACES, (PROJECTION, IMAGE), strict=True)):
        for column, quantity in enumerate(QUALITY):
            axes = panels[row][column]
            for at, dose in enumerate(Dose):
                low_dose, predicted = tables[quantity][dose].low_dose, tables[quantity][dose].predicted
                _boxes(axes, material, space, quantity, at, dose)
                _ceiling_line(axes, material, space, quantity, at, dose)
                for method, printed in ((Method.LOW_DOSE, low_dose), (Method.PAPER, predicted)):
                    _printed(axes, at + _place(method, printed=True), printed, METHOD_COLORS[method])
            axes.set_xticks(range(len(Dose)), [DOSE_WORDS[dose] for dose in Dose])
            heading(axes, space.name, ())
            dress(axes, y=_AXES[quantity])
            axes.tick_params(axis="x", length=0)
    return page.figure


# What stands side by side at each dose; what the paper prints (True) stands left of the method that it is of. The
# paper's network keeps its place even if it wasn't trained.
_SLOTS: tuple[tuple[Method, bool], ...] = (
    (Method.LOW_DOSE, True), (Method.LOW_DOSE, False), (Method.GAUSSIAN, False), (Method.BUTTERWORTH, False),
    (Method.NON_LOCAL_MEANS, False), (Method.PAPER, True), (Method.PAPER, False), (Method.FOR_IMAGES, False),
    (Method.FULL, False),
)  # fmt: skip


def _place(method: Method, printed: bool = False) -> float:
    """Return where a method stands about its dose."""
    places, _ = slots(len(_SLOTS), 0.86)
    return float(places[_SLOTS.index((method, printed))])


def _boxes(axes: Axes, material: Material, space: _Space, quantity: str, at: int, dose: Dose) -> None:
    _, step = slots(len(_SLOTS), 0.86)
    for method in material.methods():
        values = material.values(dose, method, lambda one: QUALITY[quantity](space.of(one)))
        if len(values):
            draw_box(axes, at + _place(method), 0.8 * step, values, METHOD_COLORS[method])


def draw_box(axes: Axes, x: float, width: float, values: Float, color: str) -> None:
    """Draw one box of a box plot."""
    line = {"color": color, "linewidth": 1.0}
    axes.boxplot(
        values,
        positions=[x],
        widths=width,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": color, "edgecolor": color, "alpha": 0.55, "linewidth": 1.0},
        medianprops={"color": "black", "linewidth": 1.2},
        whiskerprops=line,
        capprops=line,
        flierprops={"marker": ".", "markersize": 3, "markerfacecolor": color, "markeredgecolor": color},
    )


def _ceiling_line(axes: Axes, material: Material, space: _Space, quantity: str, at: int, dose: Dose) -> None:
    found = [space.ceiling(record, dose) for record in material.records]
    values = [QUALITY[quantity](one) for one in found if one is not None]
    if values:
        axes.hlines(
            float(np.mean(values)), at - 0.44, at + 0.44, color=FULL_DOSE_COLOR, linestyle=(0, (4, 1.5)), linewidth=1.2
        )


def draw_nearness_to_ceiling(material: Material) -> Figure:
    """Draw the error of each method over the least error that is possible, per patient."""
    patients = material.needed()
    methods = material.methods()
    if not all(record.ceiling for record in material.records):
        raise Missing("some records hold no ceiling")
    page = new_page(
        (9.0, 4.6),
        "How close to the ceiling: error in projections over the least that is possible",
        source=beyond(),
        patients=patients,
        remark=_CEILING,
        legend=[*method_dots_round(methods), printed_marker("paper's RMSE, predicted, over our ceiling")],
    )
    axes = page.figure.subplots()
    _, step = slots(len(_SLOTS), 0.86)
    lowest, highest = 1.0, 1.0
    for at, dose in enumerate(Dose):
        for method in methods:
            ratios = _over_ceiling(material.records, dose, method)
            if len(ratios):
                _dots_and_median(axes, at + _place(method), step, ratios, METHOD_COLORS[method])
                highest = max(highest, float(ratios.max()))
        mean = float(np.mean([record.ceiling[dose.value].rmse for record in material.records]))
        paper = PROJECTION["RMSE"][dose].predicted.mean / mean
        lowest = min(lowest, paper)
        axes.plot(
            at + _place(Method.PAPER, printed=True), paper, "D", markersize=5,
            color=METHOD_COLORS[Method.PAPER], markerfacecolor="white", zorder=5,
        )  # fmt: skip
    axes.axhline(1.0, color=FULL_DOSE_COLOR, linewidth=1.2)
    axes.set_yscale("log")
    ticks = [tick for tick in _TICKS if 0.95 * lowest < tick < 1.15 * highest]
    axes.set_ylim(0.95 * lowest, 1.15 * highest)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_xticks(range(len(Dose)), [DOSE_WORDS[dose] for dose in Dose])
    dress(axes, y="RMSE over that of the ceiling")
    axes.tick_params(axis="x", labelsize=8, length=0)
    return page.figure


_CEILING = (
    "Full dose is itself counted with noise. Of the counts that a low dose x (share p of the full dose) lacks, no "
    "method can know more than their expectation: x + (1 - p) \N{GREEK SMALL LETTER LAMDA} with the true "
    "\N{GREEK SMALL LETTER LAMDA} is the ceiling, here the line at 1. RMSE on the paper's scale; dots are patients, "
    "bars their medians, which are printed. Diamonds: the paper's RMSE (Table 1, predicted) over our mean ceiling; its "
    "patients had counts of their own, so that these are a hint and no measurement."
)
_TICKS = (0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 20.0, 40.0)


def method_dots_round(methods: Sequence[Method]) -> list[Line2D]:
    """Return legend entries of methods whose patients are all drawn as round dots."""
    return [dot(METHOD_COLORS[method], method.value) for method in methods]


def _over_ceiling(records: Sequence[PatientRecord], dose: Dose, method: Method) -> Float:
    found = [(record, record.methods.get(dose.value, {}).get(method.value)) for record in records]
    return np.array([one.projection.rmse / record.ceiling[dose.value].rmse for record, one in found if one is not None])


def _dots_and_median(axes: Axes, x: float, step: float, values: Float, color: str) -> None:
    axes.plot(x + step * 0.32 * _spread_out(len(values)), values, ".", color=color, markersize=4, alpha=0.7)
    median = float(np.median(values))
    axes.hlines(median, x - 0.42 * step, x + 0.42 * step, color="black", linewidth=1.4, zorder=4)
    axes.annotate(
        f"{median:.2f}", (x, float(values.max())), (0, 4), textcoords="offset points", ha="center", fontsize=SMALL_PT,
        color=PALE,
    )  # fmt: skip
