"""Brings the journal of an older version up to this one's tables, with all that it holds.

A SQLite file keeps the version of its tables itself (PRAGMA user_version); files older than the numbering say 0 and
have the tables of version 1. In PostgreSQL the row that nodes share keeps it. New tables and indexes need no step: what
is missing is made. From version 3 on, a step must be SQL that both understand.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, inspect

from dicomnode.errors import ConfigurationError
from dicomnode.store import postgres

STEPS: Mapping[int, tuple[str, ...]] = {  # what leads to a version from the one before, as SQL
    2: (
        "ALTER TABLE deliveries ADD COLUMN transaction_uid VARCHAR(64)",
        "ALTER TABLE deliveries ADD COLUMN asks INTEGER DEFAULT '0' NOT NULL",
        "ALTER TABLE deliveries ADD COLUMN resends INTEGER DEFAULT '0' NOT NULL",
        "ALTER TABLE deliveries ADD COLUMN committed_at FLOAT",
        "ALTER TABLE instances ADD COLUMN promised_at FLOAT",
    ),
}

# where the version stands
_NOTED = {"sqlite": "PRAGMA user_version", "postgresql": "SELECT version FROM tenure"}
_NOTE = {"sqlite": "PRAGMA user_version = {}", "postgresql": "UPDATE tenure SET version = {}"}


def version(steps: Mapping[int, tuple[str, ...]]) -> int:
    """Return the version of the tables that these steps lead to."""
    return max(steps, default=1)


def bring_up(
    engine: Engine, metadata: MetaData, where: Path | str, steps: Mapping[int, tuple[str, ...]] = STEPS
) -> None:
    """Make the journal's tables those of this version, in one transaction: a crash in between leaves them as they were.

    Before a step changes a file, a copy is left beside it. Raises ConfigurationError if a newer version of this program
    wrote the journal.
    """
    newest = version(steps)
    if isinstance(where, str):
        postgres.prepare(engine)
    with engine.begin() as connection:
        found = _found(connection)
    if found > newest:
        raise ConfigurationError(
            f"{where}: the journal has version {found}, this program knows up to {newest}; a newer version has worked"
            " on it: start that one, or put back a copy of before (of a file, one was left beside it)"
        )
    if isinstance(where, Path) and 0 < found < newest:
        _copy(where, where.with_name(f"{where.name}.version-{found}"))
    with engine.execution_options(writes=True).begin() as connection:
        found = _found(connection)  # another command may have been quicker
        for number in range(found + 1, newest + 1) if found else ():
            for statement in steps[number]:
                connection.exec_driver_sql(statement)
        metadata.create_all(connection)
        for table in metadata.sorted_tables:
            for index in table.indexes:
                index.create(connection, checkfirst=True)
        if _noted(connection) != newest:
            connection.exec_driver_sql(_NOTE[connection.dialect.name].format(newest))


def is_of_today(engine: Engine, where: str) -> bool:
    """Tell whether there is a journal at an address; for those who must not bring it up, since a node works on it.

    Raises ConfigurationError if it is one of another version.
    """
    with engine.begin() as connection:
        found = _found(connection)
    if found not in (0, newest := version(STEPS)):
        raise ConfigurationError(
            f"{where}: the journal has version {found}, this program reads version {newest};"
            " use the program of the active node's version"
        )
    return found > 0


def _found(connection: Connection) -> int:
    """Return the version of what is there; 0: nothing."""
    return (_noted(connection) or 1) if inspect(connection).has_table("studies") else 0


def _noted(connection: Connection) -> int:
    return int(connection.exec_driver_sql(_NOTED[connection.dialect.name]).scalar_one())


def _copy(path: Path, copy: Path) -> None:
    if copy.exists():
        return  # an earlier try made it, before anything was changed
    half = copy.with_name(f"{copy.name}.half")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(half)) as target:
        source.backup(target)
    half.rename(copy)
