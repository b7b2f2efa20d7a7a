"""Asks one destination to promise that it keeps what was sent to it, again until it does, and records its reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from dicomnode.config import DestinationSettings
from dicomnode.errors import TransientFault
from dicomnode.store.commitments import Commitments, Resending
from dicomnode.store.outbox import Delivery, retry_at
from dicomnode.study import CommitmentReport, CommitmentRequest

log = structlog.get_logger(__name__)

Ask = Callable[[DestinationSettings, CommitmentRequest], None]


@dataclass(frozen=True)
class Committer:
    """The stage, once per destination that is asked: UNCOMMITTED -> COMMITTED, WAITING again, or NOT_COMMITTED."""

    commitments: Commitments
    destination: DestinationSettings
    ask: Ask  # raises TransientFault
    clock: Callable[[], datetime]
    stopping: Callable[[], bool]

    def run_once(self, now: datetime) -> int:
        """Make one request for all that is due; return how many instances were asked for."""
        due = [] if self.stopping() else self.commitments.due(self.destination.name, now)
        batch = [delivery for delivery in due if not self._is_given_up(delivery, now)]
        return self._ask(batch) if batch else 0

    def _is_given_up(self, delivery: Delivery, now: datetime) -> bool:
        if now < self._deadline(delivery):
            return False
        reason = f"no promise within {self.destination.give_up_h:g} h, asked {delivery.asks} time(s)"
        self.commitments.give_up(delivery, f"{reason}; {delivery.message}")
        log.warning("commitment given up", destination=self.destination.name, study=delivery.study_instance_uid)
        return True

    def _deadline(self, delivery: Delivery) -> datetime:
        """Return until when a promise is waited for."""
        if delivery.sent_at is None:
            return datetime.max.replace(tzinfo=UTC)
        return delivery.sent_at + timedelta(hours=self.destination.give_up_h)

    def _ask(self, batch: Sequence[Delivery]) -> int:
        now = self.clock()
        last = min(self._deadline(delivery) for delivery in batch)  # then it is looked at in any case, to be given up
        # recorded first: a report may come at once, and one to a request that nobody remembers would be lost
        again = min(now + timedelta(seconds=self.destination.commitment_wait_s), last)
        request = self.commitments.begin(batch, again, now)
        try:
            self.ask(self.destination, request)
        except TransientFault as error:
            asks = max(delivery.asks for delivery in batch) + 1
            again = retry_at(self.clock(), asks, self.destination.retry_s)
            self.commitments.postpone(batch, min(again, last), str(error))
            log.warning("commitment not asked", destination=self.destination.name, reason=str(error))
            return 0
        log.info("commitment asked", destination=self.destination.name, count=len(batch))
        return len(batch)


@dataclass(frozen=True)
class ReportRecorder:
    """Takes the reports of all destinations, whichever way they come."""

    commitments: Commitments
    destinations: Mapping[str, DestinationSettings]
    clock: Callable[[], datetime]
    recorded: Callable[[str], None]  # wakes the deliveries of this destination

    def record(self, report: CommitmentReport) -> bool:
        """Record a report; False if nobody asked for it. Raises TransientFault if the journal is busy."""
        name = self.commitments.destination_of(report.transaction_uid)
        if name is None or name not in self.destinations:
            return False
        destination = self.destinations[name]
        resending = Resending(destination.commitment_resends, destination.retry_s)
        self.commitments.record(report, name, resending, self.clock())
        level = log.warning if report.failed else log.info
        level("commitment reported", destination=name, count=len(report.committed), outcome=_failures(report))
        self.recorded(name)
        return True


def _failures(report: CommitmentReport) -> str:
    reasons = sorted({f"0x{why:04X}" for _, why in report.failed})
    return f"{len(report.failed)} failed ({', '.join(reasons)})" if reasons else "all kept"
