"""Figures of the heart's indices against full dose and truth: Bland-Altman plots, box plots, the deficit's truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.agreement.statistics import BlandAltman, bland_altman
from pipelines.evaluation.denoising.detection import ABNORMAL_TPD_PERCENT
from pipelines.evaluation.denoising.figures.material import Float, Material, Missing
from pipelines.evaluation.denoising.figures.methods import (
    DOSE_WORDS,
    FULL_DOSE_COLOR,
    MARKERS,
    METHOD_COLORS,
    PREDICTING,
    after,
    beyond,
    method_dots,
    method_patches,
)
from pipelines.evaluation.denoising.figures.quality import draw_box
from pipelines.evaluation.denoising.index_tables import NAMES, correlation, index_pairs, indices_of
from pipelines.evaluation.denoising.paper import INDICES, SSS_BIAS_HALF
from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.evaluation.page import (
    PRINTED_COLOR,
    dot,
    dress,
    heading,
    new_page,
    printed_marker,
    say,
    slots,
)
from pipelines.report.colors import FAINT, PALE

_DECIMALS = {"eccentricity": 3, "shape_index": 3}
_PANEL_IN = (3.7, 2.75)


@dataclass(frozen=True)
class _Agreement:
    """One method at one dose: an index of each patient's image and of the full dose."""

    method: Method
    image: Float
    full: Float
    found: BlandAltman

    @property
    def mean(self) -> Float:
        return (self.image + self.full) / 2.0

    @property
    def difference(self) -> Float:
        return self.image - self.full


def draw_agreement(material: Material, index: str, figure_name: str) -> Figure:
    """Draw Bland-Altman plots of an index: a row per network, a column per dose, the low dose in each."""
    material.needed()
    networks = material.predicting()
    found = {
        (method, dose): _agreement(material, dose, method, index)
        for method in (Method.LOW_DOSE, *networks)
        for dose in Dose
    }
    if not any(found.values()):
        raise Missing(f"no index {NAMES[index]} was read in 3 patients")
    page = new_page(
        (3 * _PANEL_IN[0] + 0.3, len(networks) * _PANEL_IN[1] + 0.2),
        f"{NAMES[index].partition(',')[0]} against full dose (Bland-Altman)",
        source=after(figure_name),
        patients=max(len(one.image) for one in found.values() if one),
        remark=_remark(index),
        legend=[
            *method_dots((Method.LOW_DOSE, *networks)),
            *([printed_marker("paper: bias and limits, predicted")] if index == "summed_score" else []),
        ],
    )
    panels = page.figure.subplots(len(networks), len(Dose), squeeze=False, sharex=True, sharey=True)
    for row, method in enumerate(networks):
        for column, dose in enumerate(Dose):
            axes = panels[row][column]
            notes = _panel(axes, material, {one: found[one, dose] for one in (Method.LOW_DOSE, method)}, index, dose)
            heading(axes, f"{DOSE_WORDS[dose]}: {method.value}", notes)
            dress(
                axes,
                x=f"mean of image and full dose: {NAMES[index]}" if row == len(networks) - 1 else "",
                y=f"image less full dose: {NAMES[index]}" if column == 0 else "",
                grid="",
            )
            axes.tick_params(labelbottom=row == len(networks) - 1)
    return page.figure


def _remark(index: str) -> str:
    overlap = "A larger mark stands for several patients at one place. " if index == "summed_score" else ""
    return (
        "Lines: bias (dashed) and limits of agreement, bias \N{PLUS-MINUS SIGN} 1.96 sd (dotted); their numbers and "
        f"Pearson's r with full dose stand above, with the paper's r (Table 3) in brackets. {overlap}Each image is "
        "read for itself: the ventricle is found in it anew."
    )


def _agreement(material: Material, dose: Dose, method: Method, index: str) -> _Agreement | None:
    pairs = index_pairs(material.records, dose, method, index)
    if len(pairs) < 3:
        return None
    image, full = np.array(pairs, dtype=np.float64).T
    return _Agreement(method, image, full, bland_altman(image, full))


def _panel(
    axes: Axes, material: Material, shown: Mapping[Method, _Agreement | None], index: str, dose: Dose
) -> list[tuple[str, str]]:
    """Draw patients and lines; return the numbers in words, each with its color."""
    notes: list[tuple[str, str]] = []
    axes.axhline(0.0, color=FAINT, linewidth=0.8)
    axes.margins(x=0.05, y=0.06)
    for method, one in shown.items():
        if one is None:
            notes.append((material.why_none(dose, method), PALE))
            continue
        color = METHOD_COLORS[method]
        _marks(axes, one, color)
        for value, style in ((one.found.bias, "--"), (one.found.low, ":"), (one.found.high, ":")):
            axes.axhline(value, color=color, linestyle=style, linewidth=1.2, alpha=0.9)
        few = "" if len(one.image) == len(material.records) else f",  n = {len(one.image)}"
        notes.append((_numbers(one, index, dose) + few, color))
    if index == "summed_score" and dose is Dose.HALF:
        axes.plot(
            [0.985] * 3, SSS_BIAS_HALF, "D", transform=axes.get_yaxis_transform(), markersize=4.5, color=PRINTED_COLOR,
            markerfacecolor="white", clip_on=False, zorder=6,
        )  # fmt: skip
    return notes


def _marks(axes: Axes, one: _Agreement, color: str) -> None:
    """Draw patients; those at one place are drawn as one mark whose area grows with their number."""
    places = np.round(np.stack([one.mean, one.difference], axis=1), 6)
    unique, counts = np.unique(places, axis=0, return_counts=True)
    axes.scatter(
        unique[:, 0], unique[:, 1], s=13.0 * counts, marker=MARKERS[one.method], color=color, alpha=0.65, linewidths=0
    )


def _numbers(one: _Agreement, index: str, dose: Dose) -> str:
    digits = _DECIMALS.get(index, 2)
    words = f"{one.found.bias:+.{digits}f} ({one.found.low:+.{digits}f} to {one.found.high:+.{digits}f})"
    found = correlation(list(zip(one.image, one.full, strict=True)))
    low, predicted = INDICES[index][dose]
    if found is not None:
        words += f",  r = {found.r:.2f} [{low if one.method is Method.LOW_DOSE else predicted:.2f}]"
    return words


def draw_index_boxes(material: Material) -> Figure:
    """Draw box plots of the nine indices at full dose and at each low dose."""
    patients = material.needed()
    methods = material.methods((Method.LOW_DOSE, *PREDICTING))
    full_dose = dot(FULL_DOSE_COLOR, "full dose", "s")
    page = new_page(
        (11.0, 8.2),
        "The heart's indices at full and low dose",
        source=after("Suppl. Fig. 13"),
        patients=patients,
        remark="Boxes: quartiles and median; whiskers to the farthest patient within 1.5 quartile ranges. Dashed line: "
        "median of full dose.",
        legend=[full_dose, *method_patches(methods)],
    )
    panels = page.figure.subplots(3, 3).ravel()
    places, step = slots(len(methods))
    for axes, (index, words) in zip(panels, NAMES.items(), strict=True):
        full = np.array([getattr(one.full_dose, index) for one in material.records if one.full_dose is not None])
        if not len(full):
            say(axes, "no ventricle was found at full dose")
            continue
        draw_box(axes, 0.0, step, full, FULL_DOSE_COLOR)
        axes.axhline(float(np.median(full)), color=FULL_DOSE_COLOR, linestyle="--", linewidth=0.8)
        for at, dose in enumerate(Dose, start=1):
            for place, method in zip(places, methods, strict=True):
                pairs = index_pairs(material.records, dose, method, index)
                if pairs:
                    draw_box(axes, at - 0.15 + float(place), 0.8 * step, np.array(pairs)[:, 0], METHOD_COLORS[method])
        axes.set_xticks([0, *(at - 0.15 for at in (1, 2, 3))], ["full", *(dose.value for dose in Dose)])
        dress(axes, y=words)
        axes.tick_params(axis="x", length=0)
    return page.figure


def draw_deficit_against_truth(material: Material) -> Figure:
    """Draw the total perfusion deficit that was read against the true one."""
    material.needed()
    ours = material.methods((Method.FOR_IMAGES,))
    methods = material.methods((Method.LOW_DOSE, *ours))
    page = new_page(
        (3 * 3.5, 4.45),
        "Total perfusion deficit: what was read against what is true",
        source=beyond(),
        patients=len(material.records),
        remark=f"Dashed: read as it is. Thin lines: {ABNORMAL_TPD_PERCENT:g} %, above which a deficit is abnormal. "
        "Numbers: mean error \N{PLUS-MINUS SIGN} sd in points, and Pearson's r. Full dose shows what reading alone "
        "makes of the truth.",
        legend=[dot(FULL_DOSE_COLOR, "full dose", "x"), *method_dots(methods)],
    )
    panels = page.figure.subplots(1, len(Dose), sharex=True, sharey=True)
    for column, (axes, dose) in enumerate(zip(panels, Dose, strict=True)):
        shown: list[tuple[Method | None, Float]] = [(None, _read_and_true(material, None, None))]
        shown += [(method, _read_and_true(material, dose, method)) for method in methods]
        highest = max([10.0, *(float(pairs.max()) for _, pairs in shown if len(pairs))])
        axes.plot([0, highest], [0, highest], "--", color=PALE, linewidth=0.9)
        heading(axes, DOSE_WORDS[dose], [_truth_marks(axes, method, pairs) for method, pairs in shown if len(pairs)])
        dress(axes, x="true TPD (%)", y="TPD as read (%)" if column == 0 else "", grid="")
        axes.axhline(ABNORMAL_TPD_PERCENT, color=FAINT, linewidth=0.6)
        axes.axvline(ABNORMAL_TPD_PERCENT, color=FAINT, linewidth=0.6)
        axes.set_box_aspect(1)
    return page.figure


def _read_and_true(material: Material, dose: Dose | None, method: Method | None) -> Float:
    found = [(indices_of(record, dose, method), record.truth.tpd_percent) for record in material.records]
    pairs = [(one.tpd_percent, truth) for one, truth in found if one is not None]
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def _truth_marks(axes: Axes, method: Method | None, pairs: Float) -> tuple[str, str]:
    """Draw patients; return the numbers in words, and their color."""
    color = FULL_DOSE_COLOR if method is None else METHOD_COLORS[method]
    marker = "x" if method is None else MARKERS[method]
    axes.scatter(pairs[:, 1], pairs[:, 0], s=16, marker=marker, color=color, alpha=0.75, linewidths=0.9)
    error = pairs[:, 0] - pairs[:, 1]
    spread = f" \N{PLUS-MINUS SIGN} {error.std(ddof=1):.1f}" if len(error) > 1 else ""
    found = correlation([(float(read), float(true)) for read, true in pairs])
    words = f"{error.mean():+.1f}{spread}" + ("" if found is None else f",  r = {found.r:.3f}")
    name = "full dose" if method is None else method.value
    return f"{name}: {words}", color
