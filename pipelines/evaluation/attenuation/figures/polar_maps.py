"""Figure 5: polar maps of one scan with every correction, numbers in the segments."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.agreement.polar_maps import percent_of
from pipelines.cardiac.polar_map import as_disk
from pipelines.cardiac.segments import RING_ENDS, SEGMENTS, segment_map
from pipelines.evaluation.attenuation.figures.methods import METHOD_COLORS, Missing, after, networks, roads, who
from pipelines.evaluation.attenuation.material import Material, segment_apes
from pipelines.evaluation.attenuation.record import Frame, Method, Road, ScanRecord
from pipelines.evaluation.page import HEAT, SMALL_PT, TEXT_PT, bare, new_page
from pipelines.report.colors import INK, PALE

_PANEL_IN = 2.1
_PIXELS = 360
_SPOKES_DEG = ((range(45, 360, 90), 0, 1), (range(0, 360, 60), 1, 3))  # angles, from and to which ring they run


def draw_polar_maps(material: Material) -> Figure:
    """Draw a row per road: CTAC, the networks, no correction."""
    told = networks(material)
    if not told:
        raise Missing("no network's images are in the records")
    methods = (Method.CTAC, *told, Method.UNIFORM, Method.NONE)
    record = _worst_without(material, methods)
    page = new_page(
        (len(methods) * _PANEL_IN + 0.4, len(roads(material)) * (_PANEL_IN + 0.35)),
        f"Polar maps of the scan that needs correction most: {who(record)}",
        source=after("Fig. 5"),
        patients=1,
        remark="Colors and numbers: counts in % of the map's maximum, means of the segments. Anterior up, septum left. "
        "The ventricle is found in each image anew.",
    )
    panels = page.figure.subplots(len(roads(material)), len(methods), squeeze=False)
    for row, road in enumerate(roads(material)):
        for column, method in enumerate(methods):
            _panel(panels[row][column], material, record, road, method)
            if column == 0:
                panels[row][column].set_ylabel(road.value, fontsize=TEXT_PT, color=INK, weight="bold")
    return page.figure


def _worst_without(material: Material, methods: tuple[Method, ...]) -> ScanRecord:
    """Return the scan whose segments differ most without correction, of those that every method was read in."""
    found: list[tuple[float, str, ScanRecord]] = []
    for record in material.main:
        readings = [record.reading(road, Frame.OWN, method) for road in roads(material) for method in methods]
        without, reference = (record.reading(Road.PRAC, Frame.OWN, one) for one in (Method.NONE, Method.CTAC))
        if all(readings) and without is not None and reference is not None:
            found.append((float(segment_apes(without, reference).mean()), record.name, record))
    if not found:
        raise Missing("there is no scan in which every method's image shows a ventricle")
    return max(found, key=lambda one: one[:2])[2]


def _panel(axes: Axes, material: Material, record: ScanRecord, road: Road, method: Method) -> None:
    counts = material.arrays(record).polar(road, Frame.OWN, method)
    figures = record.reading(road, Frame.OWN, method)
    reference = record.reading(road, Frame.OWN, Method.CTAC)
    if counts is None or figures is None:
        raise Missing(f"{record.name} has no polar map of {method.value}")
    disk = as_disk(percent_of(counts, float(counts.max())), _PIXELS)
    axes.imshow(disk, cmap=HEAT, vmin=0.0, vmax=100.0, extent=(-1.0, 1.0, -1.0, 1.0))
    _lines(axes)
    for (x, y), value in zip(_middles(), figures.segments_percent, strict=True):
        color = "white" if value < 70.0 else "black"
        axes.text(x, y, f"{value:.0f}", ha="center", va="center", fontsize=SMALL_PT, color=color)
    bare(axes)
    words = material.label(method).replace("scatter window", "scatter w.")
    axes.set_title(words, fontsize=SMALL_PT + 0.5, color=METHOD_COLORS[method], weight="bold", pad=3)
    said = f"TPD {figures.tpd_percent:.1f} %"
    if reference is not None and method is not Method.CTAC:
        said += f"   APE {segment_apes(figures, reference).mean():.1f} %"
    axes.set_xlabel(said, fontsize=SMALL_PT, color=PALE)


def _lines(axes: Axes) -> None:
    turn = np.radians(np.arange(361))
    for end in RING_ENDS:
        axes.plot(end * np.cos(turn), end * np.sin(turn), color=PALE, linewidth=0.6)
    for angles, inner, outer in _SPOKES_DEG:
        for angle in np.radians(list(angles)):
            ends = np.array([RING_ENDS[inner], RING_ENDS[outer]])
            axes.plot(ends * np.cos(angle), ends * np.sin(angle), color=PALE, linewidth=0.6)


def _middles() -> list[tuple[float, float]]:
    """Return the middle of each segment on a disk of radius 1."""
    members = as_disk(segment_map().astype(np.float64), 200, 0.0)
    line = (np.arange(200) + 0.5) / 100.0 - 1.0
    right, up = np.meshgrid(line, -line)
    return [
        (float(right[members == number].mean()), float(up[members == number].mean()))
        for number in range(1, SEGMENTS + 1)
    ]
