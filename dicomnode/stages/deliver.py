"""Sends what is due to one destination, backs off while it is away, and closes the studies that are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from dicomnode.config import DestinationSettings
from dicomnode.errors import TransientFault
from dicomnode.store.outbox import Delivery, Outbox, retry_at
from dicomnode.study import SendOutcome, SendReport

log = structlog.get_logger(__name__)

Send = Callable[[DestinationSettings, Sequence[Path]], Iterator[SendReport]]


@dataclass(frozen=True)
class Deliverer:
    """The stage, once per destination, so that one that is away does not keep the others waiting."""

    outbox: Outbox
    destination: DestinationSettings
    send: Send
    clock: Callable[[], datetime]
    stopping: Callable[[], bool]

    def run_once(self, now: datetime) -> int:
        """Send one batch over one Association; return how many instances were delivered."""
        due = [] if self.stopping() else self.outbox.due(self.destination.name, now)
        batch = [delivery for delivery in due if self._is_there(delivery)]
        delivered = self._send(batch) if batch else 0
        for uid in self.outbox.settle(self.clock()):
            log.info("study closed", study=uid)
        return delivered

    def _is_there(self, delivery: Delivery) -> bool:
        """Tell whether the file can be sent; one that is gone fails its study instead of stopping all others."""
        if self.outbox.spool.path(delivery.path).is_file():
            return True
        reason = "the derived file is missing from the outbox"
        self._record(delivery, SendReport(delivery.sop_instance_uid, SendOutcome.REFUSED, None, reason))
        return False

    def _send(self, batch: Sequence[Delivery]) -> int:
        unanswered = {delivery.sop_instance_uid: delivery for delivery in batch}
        paths = [self.outbox.spool.path(delivery.path) for delivery in batch]
        delivered = 0
        fault = "the Association ended before an answer came"
        try:
            for report in self.send(self.destination, paths):
                delivery = unanswered.pop(report.sop_instance_uid)
                self._record(delivery, report)
                delivered += report.outcome is SendOutcome.DELIVERED
        except TransientFault as error:
            fault = str(error)
        for delivery in unanswered.values():
            self._record(delivery, SendReport(delivery.sop_instance_uid, SendOutcome.TRANSIENT, None, fault))
        if unanswered:
            log.warning("destination failed", destination=self.destination.name, count=len(unanswered), reason=fault)
        return delivered

    def _record(self, delivery: Delivery, report: SendReport) -> None:
        now = self.clock()
        last_at = delivery.created_at + timedelta(hours=self.destination.give_up_h)
        give_up = now >= last_at
        again = min(retry_at(now, delivery.attempts + 1, self.destination.retry_s), last_at)
        self.outbox.record(delivery, report, again, give_up, now, self.destination.storage_commitment)
        log.info(
            "instance sent" if report.outcome is SendOutcome.DELIVERED else "instance not delivered",
            study=delivery.study_instance_uid,
            sop_instance=delivery.sop_instance_uid,
            destination=self.destination.name,
            outcome=report.outcome.value,
            status=None if report.status is None else f"0x{report.status:04X}",
        )
