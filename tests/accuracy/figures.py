"""A measured figure with the tolerance it must meet, and tables of them. Needs nothing but the standard library."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured, what it came to, and the range in which it must lie."""

    group: str
    name: str
    measured: float
    low: float = -math.inf
    high: float = math.inf
    percent: bool = False

    @property
    def holds(self) -> bool:
        """Tell whether the figure lies in its range (a NaN does not)."""
        return self.low <= self.measured <= self.high

    def cells(self) -> tuple[str, str, str, str]:
        """Return group, name, tolerance and measured as text."""
        return self.group, self.name, self._tolerance(), self._number(self.measured)

    def _tolerance(self) -> str:
        if math.isinf(self.low):
            return f"≤ {self._number(self.high)}"
        if math.isinf(self.high):
            return f"≥ {self._number(self.low)}"
        return f"{self._number(self.low)} to {self._number(self.high)}"

    def _number(self, value: float) -> str:
        if self.percent:
            return f"{100 * value:.3g} %"
        if value != 0 and abs(value) < 1e-3:
            return f"{value:.0e}"
        return f"{value:.4g}"


def markdown(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| property | case | tolerance | measured |", "|---|---|---|---|"]
    previous = ""
    for figure in figures:
        group, name, tolerance, measured = figure.cells()
        mark = "" if figure.holds else " **fails**"
        lines.append(f"| {group if group != previous else ''} | {name} | {tolerance} | {measured}{mark} |")
        previous = group
    return "\n".join(lines)
