"""Figures 6 and 7: Bland-Altman of the segments, correlation of the pixels; and both for every road."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from pipelines.agreement.statistics import bland_altman, pearson
from pipelines.evaluation.attenuation.figures.methods import METHOD_COLORS, Missing, after, beyond, networks, roads
from pipelines.evaluation.attenuation.material import LEAST_SCANS, Material, heart_pairs
from pipelines.evaluation.attenuation.record import Frame, Method, Road
from pipelines.evaluation.page import dress, heading, new_page
from pipelines.report.colors import FAINT, INK

_PANEL_IN = (3.1, 2.6)
_BINS = 101


def draw_bland_altman(material: Material) -> Figure:
    """Draw a row per road: the networks and no correction, segments against CTAC's."""
    methods = _columns(material)
    page = new_page(
        (len(methods) * _PANEL_IN[0] + 0.3, len(roads(material)) * _PANEL_IN[1] + 0.2),
        "Segments against CTAC (Bland-Altman)",
        source=after("Fig. 6"),
        patients=_patients(material),
        remark="17 segments of each scan, in % of the map's maximum. Dashed: bias; dotted: bias \N{PLUS-MINUS SIGN} "
        "1.96 sd.",
    )
    panels = page.figure.subplots(len(roads(material)), len(methods), squeeze=False, sharex=True, sharey=True)
    for row, road in enumerate(roads(material)):
        for column, method in enumerate(methods):
            axes = panels[row][column]
            notes = _differences(axes, material, road, method)
            heading(axes, f"{road.value}: {material.label(method)}", notes)
            last = row == len(roads(material)) - 1
            dress(axes, x="mean with CTAC, %" if last else "", y="less CTAC, %" if column == 0 else "", grid="")
            axes.tick_params(labelbottom=last)
    return page.figure


def _differences(axes: Axes, material: Material, road: Road, method: Method) -> list[tuple[str, str]]:
    pairs = heart_pairs(material.main, road, Frame.OWN, method)
    color = METHOD_COLORS[method]
    ours, theirs = (np.concatenate([one[side].segments_percent for _, *one in pairs]) for side in (0, 1))
    found = bland_altman(ours, theirs)
    axes.axhline(0.0, color=FAINT, linewidth=0.8)
    axes.plot((ours + theirs) / 2, ours - theirs, "o", markersize=2.2, color=color, alpha=0.55, markeredgewidth=0.0)
    for value, style in ((found.bias, "--"), (found.low, ":"), (found.high, ":")):
        axes.axhline(value, color=color, linestyle=style, linewidth=1.1)
    words = f"bias {found.bias:+.2f}, limits {found.low:+.2f} to {found.high:+.2f},  r = {pearson(ours, theirs).r:.3f}"
    return [(words, color)]


def draw_pixels(material: Material) -> Figure:
    """Draw a row per road: how often pixels of one value in CTAC have which value without CT."""
    methods = _columns(material)
    page = new_page(
        (len(methods) * _PANEL_IN[0] + 0.3, len(roads(material)) * (_PANEL_IN[1] + 0.35) + 0.2),
        "Polar maps against CTAC, pixel by pixel",
        source=after("Fig. 7"),
        patients=_patients(material),
        remark="Pixels within the circle at 512 x 512, in % of each map's maximum; the darker, the more (logarithmic).",
    )
    panels = page.figure.subplots(len(roads(material)), len(methods), squeeze=False, sharex=True, sharey=True)
    for row, road in enumerate(roads(material)):
        for column, method in enumerate(methods):
            axes = panels[row][column]
            notes = _density(axes, material, road, method)
            heading(axes, f"{road.value}: {material.label(method)}", notes)
            last = row == len(roads(material)) - 1
            dress(axes, x="CTAC, %" if last else "", y="this map, %" if column == 0 else "", grid="")
            axes.tick_params(labelbottom=last)
    return page.figure


def _density(axes: Axes, material: Material, road: Road, method: Method) -> list[tuple[str, str]]:
    chosen = [record for record, _, _ in heart_pairs(material.main, road, Frame.OWN, method)]
    ours, theirs = (material.disks(chosen, road, Frame.OWN, one) for one in (method, Method.CTAC))
    inside = ~np.isnan(ours)
    x, y = theirs[inside], ours[inside]
    axes.hist2d(x, y, bins=_BINS, range=((0, 100), (0, 100)), norm=LogNorm(), cmap="Purples", rasterized=True)
    axes.plot((0, 100), (0, 100), color=INK, linewidth=0.7)
    axes.set_aspect("equal")
    apart = np.abs(x - y)
    words = f"distance {apart.mean():.2f} \N{PLUS-MINUS SIGN} {apart.std(ddof=1):.2f},  R = {pearson(x, y).r:.3f}"
    return [(words, METHOD_COLORS[method])]


def draw_deficits(material: Material) -> Figure:
    """Draw the total perfusion deficit of every network, and without correction, against CTAC's."""
    methods = _columns(material)
    page = new_page(
        (len(methods) * _PANEL_IN[0] + 0.3, len(roads(material)) * (_PANEL_IN[1] + 0.2) + 0.2),
        "Total perfusion deficit against CTAC",
        source=beyond(),
        patients=_patients(material),
        remark="One mark per scan, each image read for itself against normal limits of images like it.",
    )
    panels = page.figure.subplots(len(roads(material)), len(methods), squeeze=False, sharex=True, sharey=True)
    for row, road in enumerate(roads(material)):
        for column, method in enumerate(methods):
            axes = panels[row][column]
            heading(axes, f"{road.value}: {material.label(method)}", _deficit_panel(axes, material, road, method))
            dress(axes, x="TPD, CTAC, %", y="TPD, this map, %" if column == 0 else "", grid="")
    return page.figure


def _deficit_panel(axes: Axes, material: Material, road: Road, method: Method) -> list[tuple[str, str]]:
    pairs = heart_pairs(material.main, road, Frame.OWN, method)
    x, y = (np.array([one[side].tpd_percent for _, *one in pairs]) for side in (1, 0))
    axes.axline((0.0, 0.0), slope=1.0, color=FAINT, linewidth=0.8)
    axes.plot(x, y, "o", markersize=4, color=METHOD_COLORS[method], alpha=0.8)
    try:
        words = f"r = {pearson(x, y).r:.3f},  n = {len(x)} scans"
    except ValueError:
        words = f"n = {len(x)} scans"
    return [(words, METHOD_COLORS[method])]


def _columns(material: Material) -> tuple[Method, ...]:
    """Return what is shown, from left to right; raises Missing where a panel would have too few scans."""
    methods = (*networks(material), Method.UNIFORM, Method.NONE)
    if not networks(material):
        raise Missing("no network's images are in the records")
    least = min(len(heart_pairs(material.main, road, Frame.OWN, one)) for road in roads(material) for one in methods)
    if least < LEAST_SCANS:
        raise Missing(f"it compares scans: {least} are too few, {LEAST_SCANS} the least")
    return methods


def _patients(material: Material) -> int:
    return len({record.patient.number for record in material.main})
