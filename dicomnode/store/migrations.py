"""Brings the journal of an older version up to this one's tables, with all that it holds.

The file keeps the version of its tables itself (PRAGMA user_version); files older than the numbering say 0 and have
the tables of version 1. New tables and indexes need no step: what is missing is made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, inspect

from dicomnode.errors import ConfigurationError

STEPS: Mapping[int, tuple[str, ...]] = {  # what leads to a version from the one before, as SQL
    2: (
        "ALTER TABLE deliveries ADD COLUMN transaction_uid VARCHAR(64)",
        "ALTER TABLE deliveries ADD COLUMN asks INTEGER DEFAULT '0' NOT NULL",
        "ALTER TABLE deliveries ADD COLUMN resends INTEGER DEFAULT '0' NOT NULL",
        "ALTER TABLE deliveries ADD COLUMN committed_at FLOAT",
        "ALTER TABLE instances ADD COLUMN promised_at FLOAT",
    ),
}


def version(steps: Mapping[int, tuple[str, ...]]) -> int:
    """Return the version of the tables that these steps lead to."""
    return max(steps, default=1)


def bring_up(engine: Engine, metadata: MetaData, path: Path, steps: Mapping[int, tuple[str, ...]] = STEPS) -> None:
    """Make the file's tables those of this version, in one transaction: a crash in between leaves them as they were.

    Before a step changes what is there, a copy is left beside the file. Raises ConfigurationError if a newer version
    of this program wrote the file.
    """
    newest = version(steps)
    with engine.begin() as connection:
        found = _found(connection)
    if found > newest:
        raise ConfigurationError(
            f"{path}: the journal has version {found}, this program knows up to {newest}; a newer version has worked on"
            " this folder: start that one, or put back the copy of the journal that it left beside it"
        )
    if 0 < found < newest:
        _copy(path, path.with_name(f"{path.name}.version-{found}"))
    with engine.execution_options(writes=True).begin() as connection:
        found = _found(connection)  # another command may have been quicker
        for number in range(found + 1, newest + 1) if found else ():
            for statement in steps[number]:
                connection.exec_driver_sql(statement)
        metadata.create_all(connection)
        for table in metadata.sorted_tables:
            for index in table.indexes:
                index.create(connection, checkfirst=True)
        if connection.exec_driver_sql("PRAGMA user_version").scalar_one() != newest:
            connection.exec_driver_sql(f"PRAGMA user_version = {newest}")


def _found(connection: Connection) -> int:
    """Return the version of what is there; 0: nothing."""
    if not inspect(connection).has_table("studies"):
        return 0
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one()) or 1


def _copy(path: Path, copy: Path) -> None:
    if copy.exists():
        return  # an earlier try made it, before anything was changed
    half = copy.with_name(f"{copy.name}.half")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(half)) as target:
        source.backup(target)
    half.rename(copy)
