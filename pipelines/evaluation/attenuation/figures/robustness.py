"""Figures beyond the paper: error by method, and what a CT that lies otherwise costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipelines.evaluation.attenuation.cases import SHIFTS_MM
from pipelines.evaluation.attenuation.figures.methods import METHOD_COLORS, Missing, beyond, roads
from pipelines.evaluation.attenuation.goals import SEGMENT_APE_PERCENT
from pipelines.evaluation.attenuation.material import Material, heart_pairs, segment_apes, tried
from pipelines.evaluation.attenuation.record import Frame, Method, Road
from pipelines.evaluation.page import dot, dress, heading, new_page
from pipelines.report.colors import FAINT, GREEN

# color; what lies on the positive side, what on the negative one
_AXES = {
    "left (+), right": ("#1d4ed8", "to the left", "to the right"),
    "back (+), front": ("#b45309", "backward", "forward"),
    "head (+), feet": ("#15803d", "toward the head", "toward the feet"),
}
_LEVELS = (Method.CT_BY_HAND, Method.CT_REGISTERED, Method.OURS, Method.OURS_PEAK)


def draw_errors(material: Material) -> Figure:
    """Draw the segments' error of every scan by method, a panel per road."""
    methods = {road: tried(material.main, road) for road in roads(material)}
    if not any(methods.values()):
        raise Missing("no scan was read")
    longest = max(len(of_road) for of_road in methods.values())
    page = new_page(
        (10.0, len(methods) * (0.25 * longest + 0.75) + 0.2),
        "Error of the segments by where the map comes from",
        source=beyond(),
        patients=len({record.patient.number for record in material.main}),
        remark=f"A dot per scan: mean absolute error of the 17 segments against CTAC in %; bar: mean; green line: the "
        f"goal of {SEGMENT_APE_PERCENT:g} %. Each image is read for itself.",
    )
    panels = page.figure.subplots(len(methods), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (road, of_road) in zip(panels, methods.items(), strict=True):
        for place, method in enumerate(of_road):
            pairs = heart_pairs(material.main, road, Frame.OWN, method)
            apes = [float(segment_apes(ours, theirs).mean()) for _, ours, theirs in pairs]
            color = METHOD_COLORS[method]
            axes.plot(apes, [place] * len(apes), "o", markersize=3.5, color=color, alpha=0.6, markeredgewidth=0)
            axes.barh(place, float(np.mean(apes)) if apes else 0.0, 0.62, color=color, alpha=0.25)
        axes.axvline(SEGMENT_APE_PERCENT, color=GREEN, linewidth=1.0)
        axes.set_yticks(range(len(of_road)), [material.label(method) for method in of_road])
        axes.invert_yaxis()
        dress(axes, x="segment APE, %" if axes is panels[-1] else "", grid="x")
        heading(axes, road.value, [])
    return page.figure


def draw_misregistration(material: Material) -> Figure:
    """Draw what moving the reference's map along each axis costs, beside what networks and usual errors cost."""
    apes = _shift_apes(material)
    if not apes:
        raise Missing("no scan was read with a moved map")
    levels = _levels(material)
    page = new_page(
        (9.6, 3.4),
        "What a CT that lies otherwise costs",
        source=beyond(),
        patients=len({record.patient.number for record in material.main}),
        remark="OSEM, read in the reference's ventricle; mean over scans of the segments' mean absolute error. Dashed: "
        "the same of other maps.",
        legend=[
            *(dot(color, words) for words, (color, *_) in _AXES.items()),
            *(_dashed(METHOD_COLORS[method], material.label(method)) for method in levels),
        ],
    )
    axes = page.figure.subplots()
    for color, positive, negative in _AXES.values():
        line = [(0, 0.0), *_along(apes, positive, 1), *_along(apes, negative, -1)]
        axes.plot(*zip(*sorted(line), strict=True), "-o", color=color, markersize=4, linewidth=1.2)
    for method, level in levels.items():
        axes.axhline(level, color=METHOD_COLORS[method], linewidth=1.2, linestyle="--")
    axes.axhline(0.0, color=FAINT, linewidth=0.6)
    dress(axes, x="map moved by, mm", y="segment APE, %")
    return page.figure


def _along(apes: Mapping[str, float], toward: str, sign: int) -> list[tuple[int, float]]:
    return [(sign * int(name.split()[0]), value) for name, value in apes.items() if name.endswith(toward)]


def _shift_apes(material: Material) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in SHIFTS_MM:
        apes = []
        for record in material.main:
            reference, moved = record.reading(Road.OSEM, Frame.COMMON, Method.CTAC), record.shifted.get(name)
            if reference is not None and moved is not None:
                apes.append(float(segment_apes(moved, reference).mean()))
        if apes:
            found[name] = float(np.mean(apes))
    return found


def _levels(material: Material) -> dict[Method, float]:
    """Return the mean error of other maps."""
    found: dict[Method, float] = {}
    for method in _LEVELS:
        pairs = heart_pairs(material.main, Road.OSEM, Frame.COMMON, method)
        if pairs:
            found[method] = float(np.mean([segment_apes(ours, theirs).mean() for _, ours, theirs in pairs]))
    return found


def _dashed(color: str, label: str) -> Line2D:
    return Line2D([], [], linestyle="--", linewidth=1.2, color=color, label=label)
