"""Writes the table of all keys of config.toml from the models: `python -m release.configuration docs/...md`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dicomnode.config import Config

HEAD = """# All keys of config.toml

Made from the program's own models by `make configuration`; what the keys are for is told in
[configuration.md](configuration.md). Keys marked * have no default. A table that is left out takes its defaults;
`[tls]` and `[notify.mail]` have no effect unless they are there.
"""
_COMMENT = re.compile(r"^    (\w+): .*?\s#\s(?!noqa|fmt)(.*)$", re.MULTILINE)


def reference() -> str:
    """Return the whole document."""
    return "\n".join([HEAD, *_tables(Config, "")])


def _tables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner, many = _section(field.annotation)
        if inner is None:
            continue
        title = f"{prefix}{name}"
        yield f"## {'[[' if many else '['}{title}{']]' if many else ']'}\n\n{_purpose(inner)}\n"
        yield "| key | value | default | |\n|---|---|---|---|"
        yield from _rows(inner)
        yield ""
        yield from _tables(inner, f"{title}.")


def _rows(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema()
    comments = dict(_COMMENT.findall(inspect.getsource(model)))
    for name, field in model.model_fields.items():
        if _section(field.annotation)[0] is not None:
            continue
        kind = _kind(schema["properties"][name], schema.get("$defs", {}))
        star, default = ("*", "") if field.is_required() else ("", _shown(schema["properties"][name].get("default")))
        yield f"| `{name}`{star} | {kind} | {default} | {comments.get(name, '').replace('|', '&#124;')} |"


def _purpose(model: type[BaseModel]) -> str:
    text = " ".join((model.__doc__ or "").partition(": ")[2].split())
    return text[:1].upper() + text[1:]


def _section(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the model of a nested table, and whether there may be many of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    many = getattr(annotation, "__origin__", None) is tuple
    for part in getattr(annotation, "__args__", ()):
        if (found := _section(part)[0]) is not None:
            return found, many
    return None, False


def _kind(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _kind(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        kinds = [_kind(part, definitions) for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return ", ".join(f"`{_toml(value)}`" for value in schema["enum"])
    if schema.get("type") == "array":
        items: dict[str, Any] = schema.get("items") or next(iter(schema.get("prefixItems", [])), {})
        return f"list of {_kind(items, definitions)}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false",
             "object": "table"}  # fmt: skip
    kind = "path" if schema.get("format") == "path" else words.get(schema.get("type", ""), "text")
    return f"{kind}{_limits(schema)}"


def _limits(schema: dict[str, Any]) -> str:
    low, above, high = schema.get("minimum"), schema.get("exclusiveMinimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    if above is not None:
        return f", more than {above:g}"
    return f", at least {low:g}" if low is not None else ""


def _shown(default: Any) -> str:
    return "" if default is None else f"`{_toml(default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{}"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), "utf-8")
