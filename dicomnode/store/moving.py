"""Brings a journal from its SQLite file into a PostgreSQL database, whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, func, select, text, update

from dicomnode.errors import ConfigurationError, InvariantBroken
from dicomnode.store.faults import faults
from dicomnode.store.folder import DataFolder, take_lock
from dicomnode.store.postgres import tenure
from dicomnode.store.schema import metadata, moves, open_database, studies

_PORTION = 1000  # rows at a time


@dataclass(frozen=True)
class Moved:
    """How many rows of each table were brought over, and where the file is now."""

    rows: Mapping[str, int]
    former: Path


def move(folder: DataFolder, now: datetime) -> Moved:
    """Copy every row into the database in one transaction, count, and set the file aside. The node must not run.

    Raises ConfigurationError if there is no file or no database, the database holds a journal already, or a node runs;
    TransientFault if the database can't be reached.
    """
    if folder.database is None:
        raise ConfigurationError("node.journal: names no database; set the address that the journal is to be moved to")
    if not folder.holds_journal():
        raise ConfigurationError(f"{folder.journal}: there is no journal to move")
    with take_lock(folder.root / "node.lock"), faults():
        source, target = open_database(folder.journal), open_database(folder.database)
        try:
            with source.begin() as old, target.execution_options(writes=True).begin() as new:
                _refuse_used(new)
                counts = _copy(old, new)
                new.execute(update(tenure).values(folder=folder.set_mark(secrets.token_hex(8))))
        finally:
            source.dispose()
            target.dispose()
        former = folder.journal.with_name(f"journal.sqlite.moved-{now:%Y%m%dT%H%M%SZ}")
        folder.journal.rename(former)
    return Moved(counts, former)


def _refuse_used(new: Connection) -> None:
    used = new.execute(select(tenure.c.folder)).scalar_one()
    if used or new.execute(select(studies.c.state).limit(1)).first() is not None:
        raise ConfigurationError("node.journal: a node has worked with this database already; name an empty one")


def _copy(old: Connection, new: Connection) -> dict[str, int]:
    counts = {}
    for table in metadata.sorted_tables:
        for rows in old.execute(select(table)).mappings().partitions(_PORTION):
            new.execute(table.insert(), [dict(row) for row in rows])
        found = [one.execute(select(func.count()).select_from(table)).scalar_one() for one in (old, new)]
        if found[0] != found[1]:
            raise InvariantBroken(f"{found[0]} rows of {table.name} became {found[1]}; nothing was moved")
        counts[table.name] = found[0]
    # the next move is numbered after the last one
    sequence = "setval(pg_get_serial_sequence('moves', 'id'), (SELECT max(id) FROM moves))"
    if counts[moves.name]:
        new.execute(text(f"SELECT {sequence}"))
    return counts
