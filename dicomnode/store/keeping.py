"""Which files may go: marks rows as purged in one transaction and names the files that no row needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, or_, select, update

from dicomnode.store.journal import Journal
from dicomnode.store.outbox import OPEN, DeliveryState, names
from dicomnode.store.schema import deliveries, derived, instances, studies
from dicomnode.study import Event, Study, StudyState


@dataclass(frozen=True)
class Purged:
    """Files that may be deleted now: paths relative to the spool of received, and of derived, instances."""

    received: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


def purge_rows(
    journal: Journal, seen: Study, received: bool, derived_too: bool, now: datetime, promised_before: datetime
) -> Purged:
    """Mark a study's rows as purged, if it is still as it was seen; once all are, the study moves to PURGED.

    Left alone are derived instances that a destination does not have yet or has not promised to keep, and received
    ones whose keeping we promised to a scanner later than `promised_before`.
    """
    with journal.transaction() as connection:
        row = connection.execute(
            select(studies.c.state, studies.c.version).where(studies.c.study_instance_uid == seen.study_instance_uid)
        ).one()
        if (row.state, row.version) != (seen.state.value, seen.version):
            return Purged()
        gone = Purged(
            _mark(connection, instances, seen, now, _promise_is_over(promised_before)) if received else (),
            _mark(connection, derived, seen, now, _is_settled(seen)) if derived_too else (),
        )
        if received and derived_too and not any(_is_left(connection, table, seen) for table in (instances, derived)):
            journal.move(
                connection, seen.study_instance_uid, Event.KEPT_LONG_ENOUGH, "kept long enough", now, next_at=None
            )
        return gone


def _promise_is_over(promised_before: datetime) -> Any:
    return or_(instances.c.promised_at.is_(None), instances.c.promised_at <= promised_before)


def _is_settled(seen: Study) -> Any:
    """Return the condition that nothing is left to do for a derived instance; a rejected study's failures are known."""
    unsettled = OPEN if seen.state is StudyState.REJECTED else (*OPEN, DeliveryState.NOT_COMMITTED)
    query = select(deliveries.c.sop_instance_uid).where(
        deliveries.c.study_instance_uid == seen.study_instance_uid, deliveries.c.state.in_(names(unsettled))
    )
    return derived.c.sop_instance_uid.not_in(query)


def _mark(connection: Connection, table: Table, seen: Study, now: datetime, may_go: Any) -> tuple[str, ...]:
    mine = (table.c.study_instance_uid == seen.study_instance_uid, table.c.purged_at.is_(None), may_go)
    paths = tuple(connection.execute(select(table.c.path).where(*mine)).scalars())
    if paths:
        connection.execute(update(table).where(*mine).values(purged_at=now))
    return paths


def _is_left(connection: Connection, table: Table, seen: Study) -> bool:
    left = (table.c.study_instance_uid == seen.study_instance_uid, table.c.purged_at.is_(None))
    return connection.execute(select(table.c.path).where(*left)).first() is not None


def purged_paths(journal: Journal) -> set[str]:
    """Return the spool paths of purged instances; a crash between row and file leaves files to delete at start."""
    with journal.reading() as connection:
        return set(connection.execute(select(instances.c.path).where(instances.c.purged_at.is_not(None))).scalars())
