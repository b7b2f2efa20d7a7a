"""The folder of an evaluation: what decides its numbers, so that only the same run goes on there, and its tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pipelines.networks.weights import WeightsError, write_whole

TABLES = "tables.md"
Models = TypeVar("Models")


class OtherRun(ValueError):
    """The folder holds records of another run; the message says in what they differ."""


class UnusableNetworks(ValueError):
    """The networks to be judged can't be used; the message names the file and the remedy."""


def usable(load: Callable[[], Models]) -> Models:
    """Return the networks that are to be judged. Raises UnusableNetworks if weights are missing or damaged."""
    try:
        return load()
    except WeightsError as error:
        raise UnusableNetworks(str(error)) from None


def begin(folder: Path, stated: Mapping[str, object], rooms: Sequence[str] = (), name: str = "run.json") -> None:
    """Begin a run in a folder with these rooms for its records, or go on with the same one.

    `stated` is all that decides the numbers, as JSON holds it. Raises OtherRun if the folder holds another run.
    """
    path = folder / name
    if path.exists():
        _compare(path, stated)
    for room in ("", *rooms):
        (folder / room).mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(stated, indent=2) + "\n").encode())


def _compare(path: Path, stated: Mapping[str, object]) -> None:
    try:
        before = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise OtherRun(f"{path} can't be read ({error}): choose another folder") from None
    other = [name for name in stated if before.get(name) != stated[name]]
    if other:
        raise OtherRun(
            f"{path.parent} holds another run: {', '.join(other)} differ{'s' if len(other) == 1 else ''} from those of "
            "this run. Choose another folder, or delete that one"
        )


def write_tables(folder: Path, document: Mapping[str, object], markdown: str) -> None:
    """Write tables as values (tables.json) and to be read (tables.md)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tables.json").write_text(json.dumps(document, indent=2) + "\n")
    (folder / TABLES).write_text(markdown)
