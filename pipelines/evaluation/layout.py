"""Tables of the denoising evaluation as values: one Table is written both as Markdown and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NOTHING = "–"


@dataclass(frozen=True)
class Number:
    """One value."""

    value: float
    digits: int = 2
    sign: bool = False

    def text(self) -> str:
        """Return the value rounded."""
        return f"{self.value:{'+' if self.sign else ''}.{self.digits}f}"

    def plain(self) -> object:
        """Return the value as JSON holds it."""
        return self.value if math.isfinite(self.value) else None


@dataclass(frozen=True)
class Probability:
    """A p value."""

    value: float

    def text(self) -> str:
        """Return the value rounded; one too small for the digits is not called 0."""
        return "< 0.0001" if self.value < 1e-4 else f"{self.value:.4f}"

    def plain(self) -> object:
        """Return the value as JSON holds it."""
        return self.value


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over patients."""

    mean: float
    sd: float
    digits: int = 2

    def text(self) -> str:
        """Return both, rounded."""
        return f"{self.mean:.{self.digits}f} ± {self.sd:.{self.digits}f}"

    def plain(self) -> object:
        """Return both as JSON holds them."""
        return {"mean": self.mean, "sd": self.sd}


@dataclass(frozen=True)
class Between:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float
    digits: int = 2

    def text(self) -> str:
        """Return all three, rounded."""
        value, low, high = (f"{one:.{self.digits}f}" for one in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"

    def plain(self) -> object:
        """Return all three as JSON holds them."""
        return {"value": self.value, "low": self.low, "high": self.high}


Cell = str | Number | Probability | Spread | Between | None  # None: there is nothing to say


@dataclass(frozen=True)
class Table:
    """Rows of cells; `key` names the table in JSON, where a row is what its columns' names say of it."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: str = ""  # what must be known to read it

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows) or len(set(self.columns)) != len(self.columns):
            raise ValueError(f"{self.key}: a row needs one cell for each of {len(self.columns)} distinct columns")

    def as_markdown(self) -> str:
        """Return title, notes and rows."""
        lines = [f"## {self.title}", ""]
        lines += [self.notes, ""] if self.notes else []
        lines += [_line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([_text(cell) for cell in row]) for row in self.rows]
        return "\n".join(lines) + "\n"

    def as_json(self) -> dict[str, object]:
        """Return the same as values that JSON holds."""
        rows = [{column: _plain(cell) for column, cell in zip(self.columns, row, strict=True)} for row in self.rows]
        return {"title": self.title, "notes": self.notes, "rows": rows}


def spread(values: Sequence[float], digits: int = 2) -> Spread | None:
    """Return mean and sd; None for fewer than 2 values."""
    if len(values) < 2:
        return None
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)), digits)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(cell: Cell) -> str:
    if cell is None:
        return NOTHING
    return cell if isinstance(cell, str) else cell.text()


def _plain(cell: Cell) -> object:
    return cell if cell is None or isinstance(cell, str) else cell.plain()
