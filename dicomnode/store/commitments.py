"""Which deliveries a destination has promised to keep, which it was asked about, and what its reports change."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from dicomnode.store.journal import Journal
from dicomnode.store.outbox import DELIVERIES, Delivery, DeliveryState, delivery_of, retry_at
from dicomnode.store.schema import commitments, deliveries
from dicomnode.study import CommitmentReport, CommitmentRequest, Reference

FAILURE_REASONS = {  # PS3.3 C.14.1.1
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0119: "another SOP Class under this UID",
    0x0122: "SOP Class not supported",
    0x0131: "duplicate Transaction UID",
    0x0213: "out of resources",
}
FOR_GOOD = (0x0119, 0x0122)  # sending again changes nothing


@dataclass(frozen=True)
class Resending:
    """How often, and after how long each, an instance that a destination does not have is sent again."""

    times: int
    schedule_s: Sequence[float]


class Commitments:
    """The UNCOMMITTED deliveries of the journal. `next_at` is when to ask, or to ask again."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def due(self, destination: str, now: datetime, limit: int = 500) -> list[Delivery]:
        """Return what this destination is to be asked about now."""
        query = (
            DELIVERIES.where(deliveries.c.destination == destination, deliveries.c.next_at <= now)
            .where(deliveries.c.state == DeliveryState.UNCOMMITTED.value)
            .order_by(deliveries.c.created_at)
            .limit(limit)
        )
        with self._journal.reading() as connection:
            return [delivery_of(row) for row in connection.execute(query).mappings()]

    def begin(self, batch: Sequence[Delivery], again_at: datetime, now: datetime) -> CommitmentRequest:
        """Record a request before it is made, so that its report finds us, whatever happens; return it.

        `again_at` is when the destination is asked once more if nothing was reported until then.
        """
        request = CommitmentRequest(
            f"2.25.{uuid.uuid4().int}",  # UUID-derived (PS3.5 B.2)
            tuple(Reference(one.sop_class_uid, one.sop_instance_uid) for one in batch),
        )
        values = {"transaction_uid": request.transaction_uid, "next_at": again_at, "message": "asked to commit"}
        with self._journal.transaction() as connection:
            connection.execute(
                insert(commitments).values(
                    transaction_uid=request.transaction_uid, destination=batch[0].destination, asked_at=now
                )
            )
            for one in batch:
                self._change(connection, one, asks=one.asks + 1, **values)
        return request

    def postpone(self, batch: Sequence[Delivery], again_at: datetime, reason: str) -> None:
        """Note that a destination could not be asked, why, and when to try again."""
        with self._journal.transaction() as connection:
            for one in batch:
                self._change(connection, one, next_at=again_at, message=reason)

    def give_up(self, one: Delivery, reason: str) -> None:
        """Note that a destination will not be asked again."""
        with self._journal.transaction() as connection:
            self._change(connection, one, state=DeliveryState.NOT_COMMITTED.value, message=reason)

    def _change(self, connection: Connection, one: Delivery, **values: Any) -> None:
        uncommitted = deliveries.c.state == DeliveryState.UNCOMMITTED.value
        connection.execute(
            update(deliveries).where(*_key(one.sop_instance_uid, one.destination), uncommitted).values(**values)
        )

    # --- reports

    def destination_of(self, transaction_uid: str) -> str | None:
        """Return the destination that was asked under this UID; None if none was."""
        query = select(commitments.c.destination).where(commitments.c.transaction_uid == transaction_uid)
        with self._journal.reading() as connection:
            return connection.execute(query).scalar()

    def is_reported(self, transaction_uid: str) -> bool:
        """Tell whether a report to this request has come."""
        query = select(commitments.c.reported_at).where(commitments.c.transaction_uid == transaction_uid)
        with self._journal.reading() as connection:
            return connection.execute(query).scalar() is not None

    def record(self, report: CommitmentReport, destination: str, resending: Resending, now: datetime) -> None:
        """Record what a destination keeps, and have sent again what it does not have, as often as allowed.

        A promise counts whenever it comes. A failure counts only in answer to the latest request: after an older one,
        the instance may have been sent again.
        """
        with self._journal.transaction() as connection:
            connection.execute(
                update(commitments)
                .where(commitments.c.transaction_uid == report.transaction_uid)
                .values(reported_at=now)
            )
            for reference in report.committed:
                self._promise(connection, reference, destination, now)
            for reference, why in report.failed:
                self._failure(connection, reference, why, report.transaction_uid, destination, resending, now)

    def _promise(self, connection: Connection, reference: Reference, destination: str, now: datetime) -> None:
        asked = deliveries.c.sent_at.is_not(None)
        connection.execute(
            update(deliveries)
            .where(*_key(reference.sop_instance_uid, destination), asked)
            .where(deliveries.c.state.not_in([DeliveryState.COMMITTED.value, DeliveryState.WITHDRAWN.value]))
            .values(state=DeliveryState.COMMITTED.value, committed_at=now, message="committed")
        )

    def _failure(
        self,
        connection: Connection,
        reference: Reference,
        why: int,
        transaction_uid: str,
        destination: str,
        resending: Resending,
        now: datetime,
    ) -> None:
        current = (
            *_key(reference.sop_instance_uid, destination),
            deliveries.c.transaction_uid == transaction_uid,
            deliveries.c.state == DeliveryState.UNCOMMITTED.value,
        )
        row: RowMapping | None = connection.execute(select(deliveries).where(*current)).mappings().first()
        if row is None:
            return
        message = f"not committed: {FAILURE_REASONS.get(why, 'failure')} (0x{why:04X})"
        values: dict[str, Any]
        if row["resends"] >= resending.times or why in FOR_GOOD:
            values = {"state": DeliveryState.NOT_COMMITTED.value, "message": message}
        else:
            resends = row["resends"] + 1
            again = retry_at(now, resends, resending.schedule_s)
            message = f"{message}; to be sent again, {resends} of {resending.times}"
            values = {
                "state": DeliveryState.WAITING.value, "resends": resends, "next_at": again, "message": message,
                "created_at": now,
            }  # fmt: skip
        connection.execute(update(deliveries).where(*current).values(**values))

    # --- when the node starts or its configuration changes

    def ask_again(self, now: datetime) -> int:
        """Make every open request due: its report may have come while the node was away. Returns how many."""
        asked = (deliveries.c.state == DeliveryState.UNCOMMITTED.value, deliveries.c.next_at > now)
        with self._journal.transaction() as connection:
            return int(connection.execute(update(deliveries).where(*asked).values(next_at=now)).rowcount)

    def waive(self, destination: str) -> int:
        """Take what was sent for delivered: the configuration no longer asks this destination. Returns how many."""
        mine = (deliveries.c.state == DeliveryState.UNCOMMITTED.value, deliveries.c.destination == destination)
        values = {"state": DeliveryState.SENT.value, "message": "commitment is no longer asked for"}
        with self._journal.reading() as connection:  # asked again and again: others must not wait for nothing
            if connection.execute(select(deliveries.c.destination).where(*mine).limit(1)).first() is None:
                return 0
        with self._journal.transaction() as connection:
            return int(connection.execute(update(deliveries).where(*mine).values(**values)).rowcount)


def _key(sop_instance_uid: str, destination: str) -> tuple[Any, Any]:
    return deliveries.c.sop_instance_uid == sop_instance_uid, deliveries.c.destination == destination
