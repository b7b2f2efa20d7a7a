"""Boards of pictures for the denoising figures: cells of one size in rows and columns, with labels and a color bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Colormap
from matplotlib.patches import Circle

from pipelines.evaluation.denoising.arrays import FULL_DOSE, NOISE_FREE, image_name
from pipelines.evaluation.denoising.figures.methods import (
    DOSE_WORDS,
    FULL_DOSE_COLOR,
    METHOD_COLORS,
    TRUTH_COLOR,
)
from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.evaluation.page import Page, bare
from pipelines.images import Array
from pipelines.report.colors import INK, PALE

GAP_IN, GROUP_IN = 0.03, 0.1  # between cells, and besides between groups of them
HEAD_IN, FOOT_IN = 0.42, 0.2  # for headings over the cells and color bars below them
BAR_IN = 1.2


@dataclass(frozen=True)
class Row:
    """A row of pictures of one image."""

    image: str  # its name among the arrays
    label: str
    group: str  # rows of one group stand together under one name
    color: str
    dose: Dose | None = None
    method: Method | None = None


def rows_by_method(methods: Sequence[Method], doses: Sequence[Dose] = tuple(Dose)) -> list[Row]:
    """Return full dose, then each method with its doses below each other, as the paper has them."""
    made = [
        Row(image_name(dose, method), DOSE_WORDS[dose], method.value, METHOD_COLORS[method], dose, method)
        for method in methods
        for dose in doses
    ]
    return [*references(), *made]


def rows_by_dose(methods: Sequence[Method], doses: Sequence[Dose] = tuple(Dose)) -> list[Row]:
    """Return full dose, then each dose with its methods below each other."""
    made = [
        Row(image_name(dose, method), method.value, DOSE_WORDS[dose], METHOD_COLORS[method], dose, method)
        for dose in doses
        for method in methods
    ]
    return [*references(), *made]


def references() -> list[Row]:
    """Return the rows that all others are compared with."""
    return [
        Row(FULL_DOSE, "full dose", "", FULL_DOSE_COLOR),
        Row(NOISE_FREE, "noise-free", "", TRUTH_COLOR),
    ]


@dataclass(frozen=True)
class Scale:
    """How values become colors."""

    colors: Colormap | str
    highest: float
    lowest: float = 0.0


@dataclass(frozen=True)
class Board:
    """Cells of one size: a row per image, columns in groups, space for labels at the left and headings at the top."""

    rows: tuple[Row, ...]
    groups: tuple[int, ...]  # how many columns each has
    cell_in: tuple[float, float]  # width, height
    gutter_in: float  # for the rows' labels

    @property
    def tops(self) -> list[float]:
        """Where each row begins, and where the last one ends."""
        tops, at = [], HEAD_IN
        for place, row in enumerate(self.rows):
            at += GROUP_IN if place and row.group != self.rows[place - 1].group else 0.0
            tops.append(at)
            at += self.cell_in[1] + GAP_IN
        return [*tops, at]

    @property
    def lefts(self) -> list[list[float]]:
        """Where the columns of each group begin."""
        lefts, at = [], self.gutter_in
        for number in self.groups:
            lefts.append([at + column * (self.cell_in[0] + GAP_IN) for column in range(number)])
            at += number * (self.cell_in[0] + GAP_IN) + GROUP_IN
        return lefts

    @property
    def size_in(self) -> tuple[float, float]:
        """Width and height with labels, headings and color bars."""
        return self.lefts[-1][-1] + self.cell_in[0] + 0.12, self.tops[-1] + FOOT_IN

    def label(self, page: Page, rows: Sequence[Row]) -> None:
        """Write the rows' labels left of them, and the groups' names beside these, upright."""
        height = self.cell_in[1]
        for row, top in zip(rows, self.tops, strict=False):
            place = (self.gutter_in - 0.07, top + height / 2)
            page.write(*place, row.label, ha="right", color=row.color, linespacing=1.2)
        for group in dict.fromkeys(row.group for row in rows if row.group):
            tops = [top for row, top in zip(rows, self.tops, strict=False) if row.group == group]
            colors = {row.color for row in rows if row.group == group}
            color = colors.pop() if len(colors) == 1 else INK
            middle = (tops[0] + tops[-1] + height) / 2
            page.write(0.2, middle, group, rotation=90, ha="center", weight="bold", color=color)

    def head(self, page: Page, group: int, title: str, remark: str = "", columns: Sequence[str] = ()) -> None:
        """Write over a group its title, and below it a remark or words over each column."""
        page.write(self.lefts[group][0], 0.12, title, weight="bold")
        page.write(self.lefts[group][0], 0.3, remark)
        for left, words in zip(self.lefts[group], columns, strict=False):
            page.write(left + self.cell_in[0] / 2, 0.3, words, ha="center")

    def paint(self, page: Page, row: int, group: int, pictures: Iterable[Array], scale: Scale) -> None:
        """Draw pictures `[row, column]` into the columns of a group."""
        for left, values in zip(self.lefts[group], pictures, strict=True):
            paint(page, left, self.tops[row], self.cell_in, values, scale)

    def color_bar(self, page: Page, group: int, scale: Scale, words: str) -> None:
        """Draw a color bar below a group."""
        color_bar(page, self.lefts[group][0] + 0.3, self.tops[-1] + 0.05, scale, words)


def paint(
    page: Page, left: float, top: float, size: tuple[float, float], values: Array, scale: Scale, round_: bool = False
) -> None:
    """Draw values `[row, column]` into a cell of (width, height), or into the disk within it."""
    axes = page.axes(left, top, *size)
    picture = axes.imshow(
        values, cmap=scale.colors, vmin=scale.lowest, vmax=scale.highest, aspect="auto", interpolation="bicubic",
        interpolation_stage="data",
    )  # fmt: skip
    if round_:
        picture.set_clip_path(Circle((0.5, 0.5), 0.496, transform=axes.transAxes))
    bare(axes)


def color_bar(page: Page, left: float, top: float, scale: Scale, words: str) -> None:
    """Draw a color bar with its ends' values, its meaning beside it."""
    axes = page.axes(left, top, BAR_IN, 0.09)
    steps = np.linspace(0.0, 1.0, 256)[None]
    axes.imshow(steps, cmap=scale.colors, aspect="auto")
    bare(axes)
    page.write(left - 0.05, top + 0.045, f"{scale.lowest:.3g}", ha="right", color=PALE)
    page.write(left + BAR_IN + 0.05, top + 0.045, f"{scale.highest:.3g}  {words}", ha="left", color=PALE)
