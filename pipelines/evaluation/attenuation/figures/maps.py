"""Figure 4: slices of the measured map, of what the networks told, and where they differ."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from pipelines.evaluation.attenuation.arrays import Plane, ScanArrays
from pipelines.evaluation.attenuation.figures.methods import Missing, after, middle_scan, networks, who
from pipelines.evaluation.attenuation.material import Material
from pipelines.evaluation.attenuation.record import Method
from pipelines.evaluation.page import SMALL_PT, Page, bare, new_page
from pipelines.images import Array
from pipelines.report.colors import INK

HIGHEST_PER_CM = 0.20
HIGHEST_ERROR_PER_CM = 0.10
_PANEL_IN, _ROW_IN = 2.05, 1.95


def draw_maps(material: Material) -> Figure:
    """Draw a row per network and plane: the map in register, what was told, the absolute difference."""
    told = (*networks(material), Method.UNIFORM)
    if not networks(material):
        raise Missing("no network's map is in the records")
    records = [one for one in material.main if all(method.value in one.maps for method in told)]
    if not records:
        raise Missing("no scan has the maps of all networks")
    record = middle_scan(records, [one.maps[told[0].value].nmae for one in records])
    columns = len(told) + 1
    page = new_page(
        (columns * _PANEL_IN + 0.95, 4 * _ROW_IN + 0.1),
        f"Attenuation maps of the scan with the median NMAE: {who(record)}",
        source=after("Fig. 4"),
        patients=1,
        remark="Maps in 1/cm through the middle of the heart; from the head, and from the front. Each map has the "
        "measured table. Absolute differences are from the map in register, which is the first column.",
    )
    arrays = material.arrays(record)
    for row, plane in enumerate(Plane):
        _draw_plane(page, material, arrays, plane, told, row)
    return page.figure


def _draw_plane(
    page: Page, material: Material, arrays: ScanArrays, plane: Plane, told: tuple[Method, ...], row: int
) -> None:
    """Draw two rows: maps, and below them their differences; the emission image stands below the reference."""
    reference = _slice(arrays, plane, Method.CTAC)
    top = 2 * row * _ROW_IN + 0.05
    first = _panel(page, 0, top, reference, HIGHEST_PER_CM, "gray")
    _name(first, "map in register")
    emission = arrays.plane(plane, None)
    if emission is not None:
        below = _panel(page, 0, top + _ROW_IN, emission, float(emission.max()), "inferno")
        _name(below, "emission, not corrected")
    shown, error = None, None
    for column, method in enumerate(told, start=1):
        mine = _slice(arrays, plane, method)
        shown = _panel(page, column, top, mine, HIGHEST_PER_CM, "gray")
        _name(shown, material.label(method).replace("scatter window", "scatter w."))
        error = _panel(page, column, top + _ROW_IN, abs(mine - reference), HIGHEST_ERROR_PER_CM, "magma")
        _name(error, f"|difference|, mean {float(abs(mine - reference).mean()):.4f} 1/cm")
    for number, image in enumerate((shown, error)):
        if image is not None:
            bar = page.axes((len(told) + 1) * _PANEL_IN + 0.15, top + number * _ROW_IN + 0.22, 0.12, _ROW_IN - 0.45)
            scale = page.figure.colorbar(image.images[0], cax=bar)
            scale.ax.tick_params(labelsize=SMALL_PT, labelcolor=INK)
            scale.set_label("1/cm", fontsize=SMALL_PT, color=INK)


def _panel(page: Page, column: int, top_in: float, values: Array, highest: float, colors: str) -> Axes:
    axes = page.axes(column * _PANEL_IN + 0.05, top_in + 0.2, _PANEL_IN - 0.1, _ROW_IN - 0.25)
    image: AxesImage = axes.imshow(values, cmap=colors, vmin=0.0, vmax=highest, interpolation="nearest")
    image.set_clip_on(True)
    bare(axes)
    return axes


def _name(axes: Axes, words: str) -> None:
    axes.set_title(words, fontsize=SMALL_PT + 0.5, color=INK, pad=3)


def _slice(arrays: ScanArrays, plane: Plane, method: Method) -> Array:
    found = arrays.plane(plane, method)
    if found is None:
        raise Missing(f"the images hold no {plane.value} slice of {method.value}")
    return found
