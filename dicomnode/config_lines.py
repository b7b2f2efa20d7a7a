"""Where in config.toml a mistake stands, and how it is told: tomllib and pydantic keep no lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

Location = tuple[str | int, ...]  # of a key: tables, indices, names
Lines = Mapping[Location, int]

_TABLE = re.compile(r"^\s*\[(\[)?\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+(?:\s*\.\s*[A-Za-z0-9_\-]+)*|\"[^\"]*\")\s*=")


def key_lines(text: str) -> dict[Location, int]:
    """Return the line of each table and key; tomllib keeps no positions, and a mistake must name its line."""
    lines: dict[Location, int] = {}
    counts: dict[str, int] = {}
    table: Location = ()
    for number, line in enumerate(text.splitlines(), 1):
        if found := _TABLE.match(line):
            parts: Location = tuple(part.strip() for part in found[2].split("."))
            if found[1]:
                counts[found[2]] = counts.get(found[2], -1) + 1
                parts = (*parts, counts[found[2]])
            elif parts[0] in counts:
                parts = (parts[0], counts[str(parts[0])], *parts[1:])
            table = parts
            lines.setdefault(table, number)
        elif found := _KEY.match(line):
            lines.setdefault((*table, *(part.strip().strip('"') for part in found[1].split("."))), number)
    return lines


def line_of(lines: Lines, location: Location) -> int:
    """Return the line of a key, or of the nearest table around it that is written in the file."""
    while location:
        if location in lines:
            return lines[location]
        location = location[:-1]
    return 1


def told(path: Path, lines: Lines, item: Any, model: type[BaseModel]) -> str:
    """Return one of pydantic's errors on `model` as `file:line: key: what is wrong`."""
    location = tuple(item["loc"])
    key = ".".join(str(part) for part in location)
    if item["type"] == "extra_forbidden":
        message = f"unknown key; {_known_keys(location, model)}"
    elif item["type"] == "missing":
        message = "is missing and has no default; add it"
    elif item["type"] == "value_error":  # in our own words
        message = f"{item['ctx']['error']} (found {item['input']!r})"
    else:
        message = f"{item['msg']} (found {item['input']!r})"
    return f"{path}:{line_of(lines, location)}: {key}: {message}"


def told_syntax(path: Path, text: str, error: ValueError) -> str:
    """Return what tomllib says of a file that is no TOML in the form of all other mistakes."""
    words, _, place = str(error).partition(" (at ")
    found = re.match(r"line (\d+), column (\d+)", place)  # else at the end of the document
    line, column = (found[1], f", column {found[2]}") if found else (max(len(text.splitlines()), 1), "")
    return f"{path}:{line}: is not valid TOML: {words}{column}; mend this line or the one before it"


def _known_keys(location: Location, model: Any) -> str:
    for part in location[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _section_of(model.model_fields[part].annotation)
        if model is None:
            return "remove it"
    return f"known here are: {', '.join(model.model_fields)}"


def _section_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if (found := _section_of(part)) is not None:
            return found
    return None
