"""Which files may go: marks rows as purged in one transaction and names the files that no row needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, select, update

from dicomnode.store.journal import Journal
from dicomnode.store.schema import derived, instances, studies
from dicomnode.study import Event, Study


@dataclass(frozen=True)
class Purged:
    """Files that may be deleted now: paths relative to the spool of received, and of derived, instances."""

    received: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


def purge_rows(journal: Journal, seen: Study, received: bool, derived_too: bool, now: datetime) -> Purged:
    """Mark a study's rows as purged, if it is still as it was seen; with both kinds the study moves to PURGED."""
    with journal.transaction() as connection:
        row = connection.execute(
            select(studies.c.state, studies.c.version).where(studies.c.study_instance_uid == seen.study_instance_uid)
        ).one()
        if (row.state, row.version) != (seen.state.value, seen.version):
            return Purged()
        gone = Purged(
            _mark(connection, instances, seen, now) if received else (),
            _mark(connection, derived, seen, now) if derived_too else (),
        )
        if received and derived_too:
            journal.move(
                connection, seen.study_instance_uid, Event.KEPT_LONG_ENOUGH, "kept long enough", now, next_at=None
            )
        return gone


def _mark(connection: Any, table: Table, seen: Study, now: datetime) -> tuple[str, ...]:
    mine = (table.c.study_instance_uid == seen.study_instance_uid, table.c.purged_at.is_(None))
    paths = tuple(connection.execute(select(table.c.path).where(*mine)).scalars())
    if paths:
        connection.execute(update(table).where(*mine).values(purged_at=now))
    return paths


def purged_paths(journal: Journal) -> set[str]:
    """Return the spool paths of purged instances; a crash between row and file leaves files to delete at start."""
    with journal.reading() as connection:
        return set(connection.execute(select(instances.c.path).where(instances.c.purged_at.is_not(None))).scalars())
