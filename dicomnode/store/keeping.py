"""Which files may go: marks rows as purged in one transaction and names the files that no row needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, exists, or_, select, update

from dicomnode.store.journal import Journal
from dicomnode.store.outbox import OPEN, DeliveryState, names
from dicomnode.store.schema import deliveries, derived, instances, studies
from dicomnode.study import Event, Study, StudyState

WHENEVER = datetime.max.replace(tzinfo=UTC)  # a time before which everything was


@dataclass(frozen=True)
class Terms:
    """What has been kept long enough: of studies that have changed last before a time, and what was promised before."""

    received_before: datetime
    derived_before: datetime
    promised_before: datetime


@dataclass(frozen=True)
class Purged:
    """Files that may be deleted now: paths relative to the spool of received, and of derived, instances."""

    received: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


def purgeable(journal: Journal, state: StudyState, terms: Terms) -> list[Study]:
    """Return the studies of a state of which something may go; a promise may last for years, a destination be away."""
    received_due = studies.c.updated_at <= terms.received_before
    derived_due = studies.c.updated_at <= terms.derived_before
    received = and_(instances.c.study_instance_uid == studies.c.study_instance_uid, instances.c.purged_at.is_(None))
    made = and_(derived.c.study_instance_uid == studies.c.study_instance_uid, derived.c.purged_at.is_(None))
    something = or_(
        and_(received_due, exists().where(received, _promise_is_over(terms.promised_before))),
        and_(derived_due, exists().where(made, _is_settled(state))),
        and_(received_due, derived_due, ~exists().where(received), ~exists().where(made)),  # only the move is left
    )
    return journal.matching(and_(studies.c.state == state.value, or_(received_due, derived_due), something))


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
            _mark(connection, derived, seen, now, _is_settled(seen.state)) if derived_too else (),
        )
        if received and derived_too and not any(_is_left(connection, table, seen) for table in (instances, derived)):
            journal.move(
                connection, seen.study_instance_uid, Event.KEPT_LONG_ENOUGH, "kept long enough", now, next_at=None
            )
        return gone


def _promise_is_over(promised_before: datetime) -> Any:
    return or_(instances.c.promised_at.is_(None), instances.c.promised_at <= promised_before)


def _is_settled(state: StudyState) -> Any:
    """Return the condition that nothing is left to do for a derived instance; a rejected study's failures are known."""
    unsettled = OPEN if state is StudyState.REJECTED else (*OPEN, DeliveryState.NOT_COMMITTED)
    its = deliveries.c.sop_instance_uid == derived.c.sop_instance_uid
    return ~exists().where(its, deliveries.c.state.in_(names(unsettled))).correlate(derived)


def _mark(connection: Connection, table: Table, seen: Study, now: datetime, may_go: Any) -> tuple[str, ...]:
    mine = (table.c.study_instance_uid == seen.study_instance_uid, table.c.purged_at.is_(None), may_go)
    paths = tuple(connection.execute(select(table.c.path).where(*mine)).scalars())
    if paths:
        connection.execute(update(table).where(*mine).values(purged_at=now))
    return paths


def _is_left(connection: Connection, table: Table, seen: Study) -> bool:
    left = (table.c.study_instance_uid == seen.study_instance_uid, table.c.purged_at.is_(None))
    return connection.execute(select(table.c.path).where(*left)).first() is not None


def was_purged(journal: Journal, path: str) -> bool:
    """Tell whether a path is that of a purged instance: a crash between row and file leaves one to delete at start."""
    purged = select(instances.c.path).where(instances.c.path == path, instances.c.purged_at.is_not(None))
    with journal.reading() as connection:
        return connection.execute(purged).first() is not None
