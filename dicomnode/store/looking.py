"""What the page and `status` ask of the journal: studies, destinations, identities, the active node.

Each reads as much as it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select

from dicomnode.store.journal import Journal
from dicomnode.store.outbox import DeliveryState
from dicomnode.store.rows import study_of
from dicomnode.store.schema import deliveries, instances, studies
from dicomnode.store.tenure import Holder, holder_of
from dicomnode.study import Study, StudyState

_SEARCHED = ("study_instance_uid", "calling_ae_title", "rule", "pipeline")


@dataclass(frozen=True)
class Wanted:
    """Which studies to show, the newest first: of these states (none named: of all), holding these words.

    Reasons are searched only if `in_reasons`: they may quote a name, and who finds by it knows it.
    """

    states: tuple[StudyState, ...] = ()
    words: str = ""
    in_reasons: bool = False
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True)
class Identity:
    """Whom a study is of, as its first instance says; "" where it says nothing."""

    name: str = ""
    patient_id: str = ""
    accession: str = ""


@dataclass(frozen=True)
class DestinationFacts:
    """How deliveries to one destination stand; `trouble` is the last answer of one that was tried and waits."""

    waiting: int = 0
    uncommitted: int = 0  # taken, and not promised yet
    oldest_at: datetime | None = None
    next_at: datetime | None = None
    last_sent_at: datetime | None = None
    trouble: str = ""


def find_studies(journal: Journal, wanted: Wanted) -> list[Study]:
    """Return one page of studies."""
    newest_first = (studies.c.created_at.desc(), studies.c.study_instance_uid)
    shown = select(studies.c.study_instance_uid).order_by(*newest_first).limit(wanted.limit).offset(wanted.offset)
    if wanted.states:
        shown = shown.where(studies.c.state.in_([state.value for state in wanted.states]))
    if wanted.words:
        columns = (studies.c[name] for name in (*_SEARCHED, *(("reason",) if wanted.in_reasons else ())))
        shown = shown.where(or_(*(column.icontains(wanted.words, autoescape=True) for column in columns)))
    count = (
        select(func.count())
        .where(instances.c.study_instance_uid == studies.c.study_instance_uid, instances.c.kept)
        .correlate(studies)
        .scalar_subquery()
        .label("instances")
    )
    query = select(studies, count).where(studies.c.study_instance_uid.in_(shown)).order_by(*newest_first)
    with journal.reading() as connection:
        return [study_of(row) for row in connection.execute(query).mappings()]


def identities(journal: Journal, uids: Iterable[str]) -> Mapping[str, Identity]:
    """Return whom these studies are of; kept in memory for the page alone, never logged."""
    with journal.reading() as connection:
        return {uid: _identity(connection, uid) for uid in uids}


def _identity(connection: Connection, uid: str) -> Identity:
    query = select(instances.c.attributes).where(instances.c.study_instance_uid == uid).limit(1)
    attributes = connection.execute(query).scalar() or {}
    return Identity(*("\\".join(attributes.get(key, ())) for key in ("PatientName", "PatientID", "AccessionNumber")))


def destination_facts(journal: Journal, names: Iterable[str]) -> Mapping[str, DestinationFacts]:
    """Return how deliveries to these destinations stand."""
    with journal.reading() as connection:
        return {name: _destination_facts(connection, name) for name in names}


def _destination_facts(connection: Connection, name: str) -> DestinationFacts:
    here: ColumnElement[bool] = deliveries.c.destination == name
    waits = deliveries.c.state == DeliveryState.WAITING.value
    row = connection.execute(
        select(func.count(), func.min(deliveries.c.created_at), func.min(deliveries.c.next_at)).where(here, waits)
    ).one()
    last_sent = connection.execute(
        select(deliveries.c.sent_at)
        .where(here, deliveries.c.sent_at.is_not(None))
        .order_by(deliveries.c.sent_at.desc())
        .limit(1)
    ).scalar()
    unpromised = deliveries.c.state == DeliveryState.UNCOMMITTED.value
    uncommitted = connection.execute(select(func.count()).where(here, unpromised)).scalar_one()
    tried = select(deliveries.c.message).where(here, waits, deliveries.c.attempts > 0)
    trouble = connection.execute(tried.order_by(deliveries.c.next_at.desc()).limit(1)).scalar()
    return DestinationFacts(row[0], uncommitted, row[1], row[2], last_sent, trouble or "")


def active_node(journal: Journal) -> Holder | None:
    """Return who became the active node of a shared journal last; None where the journal is a file."""
    with journal.reading() as connection:
        return holder_of(connection) if connection.dialect.name == "postgresql" else None
