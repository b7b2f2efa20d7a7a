"""What scanners asked us to keep: recorded until they were told, and what we may promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from dicomnode.store.journal import Journal
from dicomnode.store.schema import insert, instances, promises
from dicomnode.store.spool import Spool
from dicomnode.study import CommitmentReport, CommitmentRequest, Reference

NO_SUCH_INSTANCE, OTHER_CLASS = 0x0112, 0x0119  # Failure Reasons, PS3.3 C.14.1.1

PORTION = 200  # instances in one transaction: scanners that are sending must not wait for a long request


class PromiseState(Enum):
    """Where a scanner's request stands."""

    WAITING = "WAITING"
    REPORTED = "REPORTED"
    GIVEN_UP = "GIVEN_UP"  # the scanner could not be told


@dataclass(frozen=True)
class Promise:
    """One request of a scanner."""

    peer: str
    request: CommitmentRequest
    attempts: int
    asked_at: datetime


class Promises:
    """The requests of the journal, answered from it and from the spool."""

    def __init__(self, journal: Journal, spool: Spool) -> None:
        self._journal = journal
        self._spool = spool

    def record(self, peer: str, request: CommitmentRequest, due_at: datetime, now: datetime) -> None:
        """Record a request; one that comes again is answered again. When this returns, it survives a power cut."""
        values = {
            "wanted": [[one.sop_class_uid, one.sop_instance_uid] for one in request.references],
            "state": PromiseState.WAITING.value, "attempts": 0, "asked_at": now, "next_at": due_at, "message": "",
        }  # fmt: skip
        key = {"peer": peer, "transaction_uid": request.transaction_uid}
        with self._journal.transaction() as connection:
            statement = insert(connection, promises).values(**key, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))

    def due(self, now: datetime, limit: int = 20) -> list[Promise]:
        """Return the requests that are to be answered now."""
        waiting = (promises.c.state == PromiseState.WAITING.value, promises.c.next_at <= now)
        query = select(promises).where(*waiting).order_by(promises.c.next_at).limit(limit)
        with self._journal.reading() as connection:
            return [_promise(row) for row in connection.execute(query).mappings()]

    def promise(self, request: CommitmentRequest, now: datetime) -> CommitmentReport:
        """Say what of a request is on the disk and in the journal; from now on its files are kept as promised."""
        found = []
        for start in range(0, len(request.references), PORTION):
            found += self._promise_some(request.references[start : start + PORTION], now)
        committed = tuple(reference for reference, why in found if why is None)
        failed = tuple((reference, why) for reference, why in found if why is not None)
        return CommitmentReport(request.transaction_uid, committed, failed)

    def _promise_some(self, references: Sequence[Reference], now: datetime) -> list[tuple[Reference, int | None]]:
        """Return each with the Failure Reason, None where it was promised."""
        with self._journal.transaction() as connection:
            found = [(reference, self._why_not(connection, reference)) for reference in references]
            for reference, why in found:
                if why is None:
                    connection.execute(update(instances).where(*_here(reference)).values(promised_at=now))
            return found

    def _why_not(self, connection: Connection, reference: Reference) -> int | None:
        """Return the Failure Reason for an instance that can't be promised; None for one that can."""
        query = select(instances.c.sop_class_uid, instances.c.path, instances.c.size_bytes).where(*_here(reference))
        rows = connection.execute(query).all()
        if not rows or not all(self._is_whole(row.path, row.size_bytes) for row in rows):
            return NO_SUCH_INSTANCE
        return None if all(row.sop_class_uid == reference.sop_class_uid for row in rows) else OTHER_CLASS

    def _is_whole(self, path: str, size_bytes: int) -> bool:
        file = self._spool.path(path)
        return file.is_file() and file.stat().st_size == size_bytes

    def reported(self, promise: Promise, now: datetime) -> None:
        """Note that the scanner was told."""
        self._end(promise, state=PromiseState.REPORTED.value, reported_at=now)

    def postpone(self, promise: Promise, again_at: datetime, reason: str) -> None:
        """Note that the scanner could not be told, why, and when to try again."""
        self._end(promise, next_at=again_at, message=reason)

    def give_up(self, promise: Promise, reason: str) -> None:
        """Note that the scanner will not be told; it still has its instances, and may ask again."""
        self._end(promise, state=PromiseState.GIVEN_UP.value, message=reason)

    def _end(self, promise: Promise, **values: object) -> None:
        mine = (
            promises.c.peer == promise.peer,
            promises.c.transaction_uid == promise.request.transaction_uid,
            promises.c.asked_at == promise.asked_at,  # a request that came again meanwhile stays open
        )
        with self._journal.transaction() as connection:
            connection.execute(update(promises).where(*mine).values(attempts=promise.attempts + 1, **values))


def _here(reference: Reference) -> tuple[Any, Any]:
    return instances.c.sop_instance_uid == reference.sop_instance_uid, instances.c.purged_at.is_(None)


def _promise(row: RowMapping) -> Promise:
    references = tuple(Reference(sop_class, sop_instance) for sop_class, sop_instance in row["wanted"])
    request = CommitmentRequest(row["transaction_uid"], references)
    return Promise(row["peer"], request, row["attempts"], row["asked_at"])
