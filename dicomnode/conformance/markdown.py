"""The little of Markdown that the statement needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def section(number: str, title: str, *parts: str) -> str:
    """Return a section; its depth is that of its number."""
    depth = number.count(".") + 2
    return "\n\n".join([f"{'#' * depth} {number} {title}", *parts])


def listed(lines: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(f"* {line}" for line in lines)
