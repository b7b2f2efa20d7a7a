"""One report page as a picture: slices, projections, facts, checks. Knows matplotlib and numpy, nothing of DICOM.

Transaxial slices are seen from the feet, coronal slices from the front, as physicians are used to; every picture
bears its marks. The same content gives the same pixels.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from numpy.typing import NDArray

from pipelines.images import Projections, Volume

WIDTH, HEIGHT = 1600, 1130  # pixels: A4 landscape
_DPI = 100
_INK, _PALE, _AMBER, _BLUE, _RED = "#1d2733", "#5b6b7b", "#b45309", "#1d4ed8", "#b91c1c"
_COLUMNS = 8
_LEFT, _PITCH, _SMALL, _LARGE = 0.02, 0.0785, 0.076, 0.1545  # of pictures, in shares of the page's width
_TALL = WIDTH / HEIGHT  # turns a share of the width into the share of the height that makes a square
_CAPTION = 0.022  # above each small picture, in shares of the height
_TEXT_LETTERS, _TEXT_LINES = 72, 54
_TITLE: dict[str, Any] = {"fontsize": 10, "fontweight": "bold"}
_SHOWN_MM = 130.0  # from the first to the last transaxial slice
_EDGE, _BRIGHT = 0.35, 0.6  # of the height, of the brightest: hearts are put in the middle of the field of view
_MU_SHOWN_PER_CM = 0.2
_CHEST_MM = ((-35.0, 135.0), (-105.0, 65.0))  # left-right and front-back extent about the axis that holds a heart


@dataclass(frozen=True)
class Block:
    """A titled paragraph of the page's right side; a line that starts with "!" is printed as a warning."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class PageContent:
    """All that stands on the page."""

    patient: str
    study: str
    title: str
    virtual: bool
    volumes: tuple[tuple[str, Volume], ...]  # name and emission volume; at most two are drawn
    mu_map: Volume | None = None
    projections: Projections | None = None
    blocks: tuple[Block, ...] = field(default=())


def draw_page(content: PageContent) -> NDArray[np.uint8]:
    """Return the page as RGB pixels `[row, column, 3]`."""
    figure = Figure(figsize=(WIDTH / _DPI, HEIGHT / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    _draw_head(figure, content)
    _draw_pictures(figure, content)
    _draw_blocks(figure, content.blocks)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _write(figure: Figure, x: float, y: float, words: str, **style: Any) -> None:
    """Write text whose upper left corner is at (x, y), in shares of the page from its lower left corner."""
    options: dict[str, Any] = {"va": "top", "ha": "left", "color": _INK, "fontsize": 9, "parse_math": False}
    figure.text(x, y, _printable(words), **(options | style))


def _printable(words: str) -> str:
    """Replace what the font has no glyph for: a name in another script must not break the page."""
    known = _glyphs()
    return "".join(letter if ord(letter) in known else "\N{WHITE SQUARE}" for letter in words)


@cache
def _glyphs() -> frozenset[int]:
    """Return the characters that matplotlib's own font can draw."""
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def _draw_head(figure: Figure, content: PageContent) -> None:
    _write(figure, 0.02, 0.983, content.patient, fontsize=15, fontweight="bold")
    _write(figure, 0.02, 0.955, content.study, fontsize=10, color=_PALE)
    _write(figure, 0.98, 0.983, content.title, fontsize=13, fontweight="bold", ha="right")
    banner = {"color": "white", "fontweight": "bold", "ha": "right"}
    _write(
        figure, 0.98, 0.951, "INVESTIGATIONAL - not for diagnosis",
        bbox={"facecolor": _AMBER, "edgecolor": "none", "pad": 4}, **banner,
    )  # fmt: skip
    if content.virtual:
        _write(
            figure, 0.78, 0.951, "VIRTUAL PATIENT - no real person",
            bbox={"facecolor": _BLUE, "edgecolor": "none", "pad": 4}, **banner,
        )  # fmt: skip
    line = figure.add_axes((0.02, 0.918, 0.96, 0.0012))
    line.set_facecolor(_PALE)
    _bare(line)


def _draw_pictures(figure: Figure, content: PageContent) -> None:
    """Draw the left side: slices of each volume, then the three planes, then projections."""
    volumes = content.volumes[:2]
    top = 0.897
    for name, volume in volumes:
        top = _draw_slices(figure, name, LpsVolume.of(volume), 3 - len(volumes), top) - 0.016
    if volumes:
        _draw_planes(figure, LpsVolume.of(volumes[-1][1]), content.mu_map, 0.578)
    if content.projections is not None:
        _draw_projections(figure, content.projections, 0.31)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _picture(
    figure: Figure, box: tuple[float, float, float, float], pixels: NDArray[np.float64], *, color_map: str,
    highest: float, aspect: float = 1.0, marks: str = "",
) -> Axes:  # fmt: skip
    """Draw one picture; `marks` are the letters at its left, right, upper and lower edge."""
    axes = figure.add_axes(box)
    axes.set_anchor("N")
    axes.imshow(pixels, cmap=color_map, vmin=0, vmax=max(highest, 1e-12), aspect=aspect, interpolation="bilinear")
    _bare(axes)
    color = _PALE if color_map.endswith("_r") else "#cfd8e3"
    places = ((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"), (0.5, 0.98, "center", "top"))
    for letter, (x, y, ha, va) in zip(marks, (*places, (0.5, 0.02, "center", "bottom")), strict=False):
        axes.text(x, y, letter, color=color, fontsize=8, ha=ha, va=va, transform=axes.transAxes)
    return axes


def _small_box(place: int, top: float) -> tuple[float, float, float, float]:
    """Return the box of the nth small picture of a block whose title stands at `top`."""
    row, column = divmod(place, _COLUMNS)
    height = _SMALL * _TALL
    return _LEFT + column * _PITCH, top - 0.015 - (row + 1) * (height + _CAPTION), _SMALL, height


@dataclass(frozen=True)
class LpsVolume:
    """A volume turned so that its axes run [feet to head, front to back, right to left], with its voxel size."""

    values: NDArray[np.float64]
    voxel_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]  # of the first voxel, (z, y, x)

    @classmethod
    def of(cls, volume: Volume) -> LpsVolume:
        """Turn a volume by whole quarter turns to the patient axes that its own are nearest to."""
        matrix = volume.grid.matrix
        steps = matrix[:3, 2::-1]  # columns: what a step along array axis z, y, x does to patient x, y, z
        order = [int(np.argmax(np.abs(steps[axis]))) for axis in (2, 1, 0)]
        if len(set(order)) < 3:
            order = [0, 1, 2]
        values = volume.values.astype(np.float64).transpose(order)
        sizes = [volume.grid.voxel_mm[k] for k in order]
        backward = [steps[axis, k] < 0 for axis, k in zip((2, 1, 0), order, strict=True)]
        values = np.flip(values, tuple(k for k, turned in enumerate(backward) if turned))
        last = volume.grid.position_mm(*(count - 1 for count in volume.grid.shape))
        first = volume.grid.position_mm(0, 0, 0)
        origin = [min(first[axis], last[axis]) for axis in (2, 1, 0)]
        return cls(values, (sizes[0], sizes[1], sizes[2]), (origin[0], origin[1], origin[2]))

    def span(self, axis: int, low_mm: float, high_mm: float) -> slice:
        """Return the voxels of an axis between two positions relative to the volume's middle."""
        count, size = self.values.shape[axis], self.voxel_mm[axis]
        middle = (count - 1) / 2
        return slice(max(int(middle + low_mm / size), 0), min(int(middle + high_mm / size) + 1, count))

    def heart(self) -> tuple[int, int, int]:
        """Return the voxel about which the brightest of the left front chest lie; a choice of slices, no finding."""
        y, x = self.span(1, *_CHEST_MM[1]), self.span(2, *_CHEST_MM[0])
        edge = round(self.values.shape[0] * _EDGE)  # beyond it thyroid, liver and gut may outshine the heart
        part = self.values[edge : self.values.shape[0] - edge, y, x]
        if part.size == 0 or part.max() <= 0:
            z, row, column = (count // 2 for count in self.values.shape)
            return z, row, column
        z, row, column = np.median(np.argwhere(part > _BRIGHT * part.max()), axis=0).astype(int)
        return int(z) + edge, int(row) + y.start, int(column) + x.start


def _draw_slices(figure: Figure, name: str, volume: LpsVolume, rows: int, top: float) -> float:
    """Draw transaxial slices through the left front chest, head first; return where they end."""
    y, x = volume.span(1, *_CHEST_MM[1]), volume.span(2, *_CHEST_MM[0])
    count = rows * _COLUMNS
    step = max(1, round(_SHOWN_MM / count / volume.voxel_mm[0]))
    middle = volume.heart()[0]
    first = min(middle + step * (count // 2), volume.values.shape[0] - 1)
    near = round(_SHOWN_MM / 4 / volume.voxel_mm[0])  # a hot gut further down must not darken the heart
    highest = float(volume.values[max(middle - near, 0) : middle + near + 1, y, x].max(initial=0))
    _write(figure, _LEFT, top, f"{name}: transaxial, left front chest, head to feet", **_TITLE)
    for place in range(min(count, first // step + 1)):
        z = first - step * place
        axes = _picture(
            figure, _small_box(place, top), volume.values[z, y, x], color_map="inferno", highest=highest,
            aspect=volume.voxel_mm[1] / volume.voxel_mm[2], marks="RLAP" if place == 0 else "",
        )  # fmt: skip
        axes.set_title(f"z {volume.origin_mm[0] + z * volume.voxel_mm[0]:.0f} mm", fontsize=7, color=_PALE, pad=2)
    return _small_box(count - 1, top)[1]


def _draw_planes(figure: Figure, volume: LpsVolume, mu_map: Volume | None, top: float) -> None:
    """Draw coronal and sagittal slice, the maximum seen from the front and, where there is one, the mu-map."""
    z, y, x = volume.heart()
    values, (high, deep, wide) = volume.values, volume.voxel_mm
    highest = float(values[z].max(initial=0))
    pictures = [
        ("coronal", values[::-1, y, :], high / wide, "RLHF", "inferno", highest),
        ("sagittal", values[::-1, :, x], high / deep, "APHF", "inferno", highest),
        ("maximum, from the front", values.max(axis=1)[::-1], high / wide, "RLHF", "gray_r", float(values.max())),
    ]
    if mu_map is None:
        pictures.append(("transaxial", values[z], deep / wide, "RLAP", "inferno", highest))
    else:
        turned = LpsVolume.of(mu_map)
        middle = min(z, turned.values.shape[0] - 1)
        aspect = turned.voxel_mm[1] / turned.voxel_mm[2]
        pictures.append(("attenuation map", turned.values[middle], aspect, "RLAP", "gray", _MU_SHOWN_PER_CM))
    for place, (name, pixels, aspect, marks, color_map, limit) in enumerate(pictures):
        left, height = _LEFT + place * 2 * _PITCH, _LARGE * _TALL
        _write(figure, left, top, name, **_TITLE)
        box = (left, top - 0.025 - height, _LARGE, height)
        _picture(figure, box, pixels, color_map=color_map, highest=limit, aspect=aspect, marks=marks)


def _draw_projections(figure: Figure, projections: Projections, top: float) -> None:
    """Draw photopeak projections at evenly spread views, gates summed, each by its own maximum."""
    counts = projections.photopeak_counts().sum(axis=0)
    geometry = projections.geometry
    chosen = np.unique(np.linspace(0, geometry.views - 1, 2 * _COLUMNS).round().astype(int))
    _write(figure, _LEFT, top, "Projections: photopeak, as seen from the camera", **_TITLE)
    aspect = geometry.pixel_size_mm[0] / geometry.pixel_size_mm[1]
    for place, view in enumerate(chosen):
        highest = float(counts[view].max(initial=0))
        box = _small_box(place, top)
        axes = _picture(figure, box, counts[view], color_map="gray_r", highest=highest, aspect=aspect)
        angle = geometry.angles_deg[view]
        axes.set_title(f"{angle:.0f}\N{DEGREE SIGN} {_side(angle)}", fontsize=8, color=_PALE, pad=2)


def _side(angle_deg: float) -> str:
    """Return the usual name of the direction that a view is taken from."""
    names = ("posterior", "LPO", "left", "LAO", "anterior", "RAO", "right", "RPO")
    return names[round(angle_deg / 45) % 8]


def _draw_blocks(figure: Figure, blocks: Sequence[Block]) -> None:
    """Write the right side; what doesn't fit is counted, not squeezed (all of it stands in the image comments)."""
    x, y, height = 0.67, 0.897, 0.0158
    left = _TEXT_LINES
    for block in blocks:
        lines = [
            (wrapped, _RED if line.startswith("!") else _INK)
            for line in block.lines
            for wrapped in textwrap.wrap(line.lstrip("! "), _TEXT_LETTERS, subsequent_indent="  ") or [""]
        ]
        if not lines or left < 3:
            continue
        _write(figure, x, y, block.title, fontsize=10.5, fontweight="bold")
        y -= height * 1.25
        room = left - 2
        shown = (
            lines if len(lines) <= room else [*lines[: room - 1], (f"... {len(lines) - room + 1} more lines", _PALE)]
        )
        for line, color in shown:
            _write(figure, x, y, line, fontsize=8.6, color=color)
            y -= height
        y -= height * 0.6
        left -= len(shown) + 2
