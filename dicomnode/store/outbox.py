"""Derived instances and their way to PACS: one delivery per instance and destination, kept until it ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import Connection, RowMapping, exists, func, select, update

from dicomnode.store.journal import Journal
from dicomnode.store.rows import Claim
from dicomnode.store.schema import deliveries, derived, insert, studies
from dicomnode.store.spool import Spool
from dicomnode.study import PRIVATE_COPY, PROJECTIONS, DerivedInstance, Event, SendOutcome, SendReport, StudyState


class DeliveryState(Enum):
    """Where one derived instance stands on its way to one destination."""

    WAITING = "WAITING"
    SENT = "SENT"  # and no promise to keep it was asked for
    UNCOMMITTED = "UNCOMMITTED"  # sent; the destination has not promised yet to keep it
    COMMITTED = "COMMITTED"
    NOT_COMMITTED = "NOT_COMMITTED"  # sent, but the destination would not promise
    REFUSED = "REFUSED"  # for good
    GIVEN_UP = "GIVEN_UP"  # the destination was away for too long
    WITHHELD = "WITHHELD"  # the guard said no; an operator may release it
    WITHDRAWN = "WITHDRAWN"  # an operator rejected it


ASK_AFTER = timedelta(seconds=2)  # so that one request for commitment names all of a study
OPEN = (DeliveryState.WAITING, DeliveryState.UNCOMMITTED)
FAILED = (DeliveryState.REFUSED, DeliveryState.GIVEN_UP, DeliveryState.NOT_COMMITTED)
DONE = (DeliveryState.SENT, DeliveryState.COMMITTED)
TAKEN = (*DONE, DeliveryState.UNCOMMITTED, DeliveryState.NOT_COMMITTED)  # the destination has it, whatever it promised
_COMMENT = re.compile(r"(?<=\(0x[0-9A-F]{4}\)): .*", re.DOTALL)  # a peer's own, after its DIMSE status


def in_our_words(sentence: str) -> str:
    """Return what came of a delivery without the comment that a peer wrote itself: it may name a patient."""
    return _COMMENT.sub("", sentence)


def names(states: Iterable[DeliveryState]) -> list[str]:
    """Return the states as the rows have them."""
    return [state.value for state in states]


@dataclass(frozen=True)
class Stored:
    """One derived instance that lies on disk: ready to be recorded."""

    instance: DerivedInstance
    path: str
    sha256: str
    derivation_key: str


@dataclass(frozen=True)
class Delivery:
    """One derived instance to one destination."""

    study_instance_uid: str
    sop_instance_uid: str
    destination: str
    sop_class_uid: str
    kind: str
    path: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_at: datetime
    sent_at: datetime | None
    status: int | None
    message: str
    transaction_uid: str | None
    asks: int
    resends: int
    committed_at: datetime | None


class Outbox:
    """The derived instances of the journal, and their files in `spool`.

    `keep_private` tells which destinations want projections with the camera's private elements in place of plain ones.
    """

    def __init__(self, journal: Journal, spool: Spool, keep_private: Callable[[], frozenset[str]] = frozenset) -> None:
        self._journal = journal
        self.spool = spool
        self.keep_private = keep_private

    # --- filled by the process stage

    def has(self, derivation_key: str) -> bool:
        """Tell whether this derivation was made before, so that the work need not be done again."""
        query = select(derived.c.path).where(derived.c.derivation_key == derivation_key, derived.c.purged_at.is_(None))
        with self._journal.reading() as connection:
            return connection.execute(query).first() is not None

    def commit(self, claim: Claim, made: Sequence[Stored], held: str | None, reason: str, now: datetime) -> bool:
        """Record the derived instances of one attempt and move the study; tells whether the claim still held.

        `held` is the guard's sentence if nothing may leave without an operator's release. Derived instances have UIDs
        that follow from their sources, so what an earlier attempt recorded is left as it is.
        """
        uid = claim.study.study_instance_uid
        with self._journal.transaction() as connection:
            if not self._journal.holds(connection, claim):
                return self._commit_outrun(connection, claim, made, held, now)
            self._insert(connection, claim, made, held, now)
            self._offer_again(connection, uid, claim.study.destinations, now)
            withheld = self._count(connection, uid, DeliveryState.WITHHELD)
            event = Event.QUARANTINED if withheld else Event.DERIVED
            sentence = held or "derived instances of an earlier version wait for an operator's release"
            self._journal.move(
                connection, uid, event, sentence if withheld else reason, now, claim=None, lease_until=None, next_at=now
            )
            return True

    def _commit_outrun(
        self, connection: Connection, claim: Claim, made: Sequence[Stored], held: str | None, now: datetime
    ) -> bool:
        """Keep the work of an attempt whose study grew meanwhile: what came later changes nothing in it."""
        state = self._journal.outrun(connection, claim)
        if state is None:
            return False
        uid, version = claim.study.study_instance_uid, claim.study.version
        self._insert(connection, claim, made, held, now)
        reason = f"{len(made)} derived instances of version {version}, while a newer version is on its way"
        self._journal.note(connection, uid, Event.DERIVED, state, reason, now, after=state, version=version)
        return True

    def _insert(
        self, connection: Connection, claim: Claim, made: Sequence[Stored], held: str | None, now: datetime
    ) -> None:
        uid = claim.study.study_instance_uid
        kinds = {(stored.derivation_key, stored.instance.kind) for stored in made}
        for stored in made:
            row = _derived_row(uid, claim, stored, now)
            # what is there stays, but counts to the run that made it last, as what that run made besides does
            again = {"derivation_key": stored.derivation_key}
            connection.execute(
                insert(connection, derived)
                .values(**row)
                .on_conflict_do_update(index_elements=["sop_instance_uid"], set_=again)
            )
            has_copy = (stored.derivation_key, PRIVATE_COPY) in kinds
            for destination in self._takers(claim.study.destinations, stored.instance.kind, has_copy):
                row = _delivery_row(uid, stored.instance.sop_instance_uid, destination, bool(held), now)
                connection.execute(insert(connection, deliveries).values(**row).on_conflict_do_nothing())

    def _offer_again(self, connection: Connection, uid: str, destinations: Iterable[str], now: datetime) -> None:
        """Let failed deliveries start afresh (the study was requeued), and add those of a new destination."""
        fresh = {
            "state": DeliveryState.WAITING.value, "attempts": 0, "resends": 0, "created_at": now, "next_at": now,
        }  # fmt: skip
        mine = deliveries.c.study_instance_uid == uid
        connection.execute(update(deliveries).where(mine, deliveries.c.state.in_(names(FAILED))).values(**fresh))
        known = select(derived.c.sop_instance_uid, derived.c.derivation_key, derived.c.kind).where(
            derived.c.study_instance_uid == uid, derived.c.purged_at.is_(None)
        )
        rows = connection.execute(known).all()
        kinds = {(key, kind) for _, key, kind in rows}
        for sop_instance_uid, key, kind in rows:
            states = set(
                connection.execute(
                    select(deliveries.c.state).where(deliveries.c.sop_instance_uid == sop_instance_uid)
                ).scalars()
            )
            if states & {DeliveryState.WITHHELD.value, DeliveryState.WITHDRAWN.value}:
                continue
            for destination in self._takers(destinations, kind, (key, PRIVATE_COPY) in kinds):
                row = _delivery_row(uid, sop_instance_uid, destination, False, now)
                connection.execute(insert(connection, deliveries).values(**row).on_conflict_do_nothing())

    def _takers(self, destinations: Iterable[str], kind: str, has_copy: bool) -> list[str]:
        """Return who gets an instance of this kind; `has_copy`: its run made a copy with private elements."""
        asking = self.keep_private()
        if kind == PRIVATE_COPY:
            return [destination for destination in destinations if destination in asking]
        if kind == PROJECTIONS and has_copy:
            return [destination for destination in destinations if destination not in asking]
        return list(destinations)

    # --- emptied by the deliver stage

    def due(self, destination: str, now: datetime, limit: int = 200) -> list[Delivery]:
        """Return what is to be sent now, the most urgent study first; studies that wait for a person are left out."""
        paused = (StudyState.HELD.value, StudyState.REJECTED.value)
        query = (
            DELIVERIES.join(studies, studies.c.study_instance_uid == deliveries.c.study_instance_uid)
            .where(deliveries.c.destination == destination, deliveries.c.state == DeliveryState.WAITING.value)
            .where(deliveries.c.next_at <= now, studies.c.state.not_in(paused))
            .order_by(studies.c.priority.desc(), deliveries.c.created_at)
            .limit(limit)
        )
        with self._journal.reading() as connection:
            return [delivery_of(row) for row in connection.execute(query).mappings()]

    def record(
        self,
        delivery: Delivery,
        report: SendReport,
        retry_at: datetime,
        give_up: bool,
        now: datetime,
        to_be_committed: bool = False,
    ) -> None:
        """Record how one attempt to send ended; `to_be_committed`: sent is not enough, a promise must follow."""
        state = {
            SendOutcome.DELIVERED: DeliveryState.UNCOMMITTED if to_be_committed else DeliveryState.SENT,
            SendOutcome.REFUSED: DeliveryState.REFUSED,
            SendOutcome.TRANSIENT: DeliveryState.GIVEN_UP if give_up else DeliveryState.WAITING,
        }[report.outcome]
        values: dict[str, Any] = {
            "state": state.value, "attempts": delivery.attempts + 1, "next_at": retry_at,
            "status": report.status, "message": report.message,
        }  # fmt: skip
        if report.outcome is SendOutcome.DELIVERED:
            values |= {"sent_at": now, "next_at": now + ASK_AFTER, "asks": 0}
        waiting = DeliveryState.WAITING.value
        with self._journal.transaction() as connection:
            connection.execute(_where_delivery(delivery).where(deliveries.c.state == waiting).values(**values))

    def hasten(self, destination: str, now: datetime) -> None:
        """Let all that waits for a destination be due: its address or its schedule is another one now."""
        waits = (deliveries.c.destination == destination, deliveries.c.state == DeliveryState.WAITING.value)
        with self._journal.transaction() as connection:
            connection.execute(update(deliveries).where(*waits, deliveries.c.next_at > now).values(next_at=now))

    def settle(self, now: datetime) -> list[str]:
        """Close every delivering study of which nothing waits any more; returns their UIDs."""
        closed = []
        waits = exists().where(
            deliveries.c.study_instance_uid == studies.c.study_instance_uid, deliveries.c.state.in_(names(OPEN))
        )
        delivering = studies.c.state == StudyState.DELIVERING.value
        with self._journal.reading() as connection:  # while a destination is away, thousands of studies wait for it
            done = connection.execute(select(studies.c.study_instance_uid).where(delivering, ~waits)).scalars().all()
        for uid in done:
            with self._journal.transaction() as connection:
                state = connection.execute(select(studies.c.state).where(studies.c.study_instance_uid == uid)).scalar()
                if state == StudyState.DELIVERING.value and self._close(connection, uid, now):
                    closed.append(uid)
        return closed

    def _close(self, connection: Connection, uid: str, now: datetime) -> bool:
        if self._count(connection, uid, *OPEN):
            return False
        mine = deliveries.c.study_instance_uid == uid
        failed = connection.execute(DELIVERIES.where(mine, deliveries.c.state.in_(names(FAILED)))).mappings().all()
        if failed:
            first = delivery_of(failed[0])
            words = f"{_FAILURE_WORDS[first.state]} {len(failed)} instance(s): {in_our_words(first.message)}"
            self._journal.move(connection, uid, Event.REFUSED, f"{first.destination} {words}", now)
        else:
            committed = self._count(connection, uid, DeliveryState.COMMITTED)
            reason = f"{self._count(connection, uid, *DONE)} deliveries done"
            reason += f", {committed} of them committed" if committed else ""
            self._journal.move(connection, uid, Event.ALL_DELIVERED, reason, now)
        return True

    def _count(self, connection: Connection, uid: str, *states: DeliveryState) -> int:
        mine = deliveries.c.study_instance_uid == uid
        query = select(func.count()).where(mine, deliveries.c.state.in_(names(states)))
        return connection.execute(query).scalar_one()

    # --- an operator's decisions, and reading

    def release(self, uid: str, actor: str, now: datetime) -> int:
        """Send what the guard withheld; returns the number of deliveries, 0 if nothing was withheld."""
        with self._journal.transaction() as connection:
            number = self._count(connection, uid, DeliveryState.WITHHELD)
            if number:
                self._flip(connection, uid, DeliveryState.WITHHELD, DeliveryState.WAITING, now)
                self._journal.move(connection, uid, Event.RELEASED, f"released by {actor}", now, actor, next_at=now)
            return number

    def reject(self, uid: str, actor: str, now: datetime) -> None:
        """Withdraw whatever of the study has not been sent."""
        with self._journal.transaction() as connection:
            for state in (DeliveryState.WITHHELD, DeliveryState.WAITING):
                self._flip(connection, uid, state, DeliveryState.WITHDRAWN, now)
            self._journal.move(connection, uid, Event.REJECTED, f"rejected by {actor}", now, actor, next_at=now)

    def _flip(self, connection: Connection, uid: str, old: DeliveryState, new: DeliveryState, now: datetime) -> None:
        mine = update(deliveries).where(deliveries.c.study_instance_uid == uid, deliveries.c.state == old.value)
        connection.execute(mine.values(state=new.value, next_at=now, created_at=now))

    def deliveries(self, uid: str) -> list[Delivery]:
        """Return every delivery of a study."""
        query = DELIVERIES.where(deliveries.c.study_instance_uid == uid).order_by(deliveries.c.created_at)
        with self._journal.reading() as connection:
            return [delivery_of(row) for row in connection.execute(query).mappings()]

    def waiting(self, state: DeliveryState = DeliveryState.WAITING) -> Mapping[str, int]:
        """Return the number of deliveries in a state per destination; by default those that wait to be sent."""
        query = select(deliveries.c.destination, func.count()).where(deliveries.c.state == state.value)
        with self._journal.reading() as connection:
            rows = connection.execute(query.group_by(deliveries.c.destination))
            return {row[0]: row[1] for row in rows}

    def known_paths(self) -> set[str]:
        """Return the path of every derived instance that should have a file."""
        with self._journal.reading() as connection:
            return set(connection.execute(select(derived.c.path).where(derived.c.purged_at.is_(None))).scalars())

    def derived(self, uid: str) -> list[Mapping[str, Any]]:
        """Return the derived instances of a study: UID, series, SOP class, kind, path, time, version."""
        query = select(derived).where(derived.c.study_instance_uid == uid).order_by(derived.c.created_at)
        with self._journal.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


_FAILURE_WORDS = {
    DeliveryState.REFUSED: "refused",
    DeliveryState.GIVEN_UP: "could not be reached for",
    DeliveryState.NOT_COMMITTED: "took, but did not commit to keep,",
}
DELIVERIES = select(deliveries, derived.c.path, derived.c.kind, derived.c.sop_class_uid).join(
    derived, derived.c.sop_instance_uid == deliveries.c.sop_instance_uid
)


def _where_delivery(delivery: Delivery) -> Any:
    return update(deliveries).where(
        deliveries.c.sop_instance_uid == delivery.sop_instance_uid,
        deliveries.c.destination == delivery.destination,
    )


def delivery_of(row: RowMapping) -> Delivery:
    """Return a row of DELIVERIES as a value."""
    plain = {name: row[name] for name in Delivery.__dataclass_fields__ if name != "state"}
    return Delivery(**plain, state=DeliveryState(row["state"]))


def _derived_row(uid: str, claim: Claim, stored: Stored, now: datetime) -> dict[str, Any]:
    instance = stored.instance
    return {
        "sop_instance_uid": instance.sop_instance_uid, "study_instance_uid": uid,
        "series_instance_uid": instance.series_instance_uid, "sop_class_uid": instance.sop_class_uid,
        "kind": instance.kind, "derivation_key": stored.derivation_key, "path": stored.path, "sha256": stored.sha256,
        "created_at": now, "version": claim.study.version,
    }  # fmt: skip


def _delivery_row(uid: str, sop_instance_uid: str, destination: str, withheld: bool, now: datetime) -> dict[str, Any]:
    state = DeliveryState.WITHHELD if withheld else DeliveryState.WAITING
    return {
        "sop_instance_uid": sop_instance_uid, "destination": destination, "study_instance_uid": uid,
        "state": state.value, "attempts": 0, "created_at": now, "next_at": now, "message": "",
    }  # fmt: skip


def retry_at(now: datetime, attempts: int, schedule_s: Sequence[float]) -> datetime:
    """Return when to try again after `attempts` failures: the schedule, then hourly."""
    return now + timedelta(seconds=schedule_s[attempts - 1] if attempts <= len(schedule_s) else 3600.0)
