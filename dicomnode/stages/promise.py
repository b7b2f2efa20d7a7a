"""Answers scanners that ask whether we keep what they sent: what is on the disk and in the journal, we do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from dicomnode.config import PeerSettings
from dicomnode.errors import TransientFault
from dicomnode.store.outbox import retry_at
from dicomnode.store.promises import Promise, Promises
from dicomnode.study import CommitmentReport, CommitmentRequest

log = structlog.get_logger(__name__)

ANSWER_FIRST_S = 0.5  # the answer to the request should be there before the report is
RETRY_S = (5.0, 30.0, 120.0, 600.0, 3600.0)
GIVE_UP = timedelta(hours=72)

Report = Callable[[PeerSettings, CommitmentReport], None]


@dataclass(frozen=True)
class Promiser:
    """The stage: a recorded request -> a report to its peer."""

    promises: Promises
    peers: Sequence[PeerSettings]
    report: Report  # raises TransientFault
    clock: Callable[[], datetime]
    stopping: Callable[[], bool]

    def asked(self, peer: str, request: CommitmentRequest) -> None:
        """Record a request; when this returns, it survives a power cut. Raises TransientFault."""
        now = self.clock()
        self.promises.record(peer, request, now + timedelta(seconds=ANSWER_FIRST_S), now)
        log.info("commitment requested", peer=peer, count=len(request.references))

    def run_once(self, now: datetime) -> int:
        """Answer all requests that are due; return how many peers were told."""
        return sum(self._answer(promise) for promise in self.promises.due(now) if not self.stopping())

    def _answer(self, promise: Promise) -> bool:
        peer = next((one for one in self.peers if one.name == promise.peer and one.port is not None), None)
        if peer is None:
            self.promises.give_up(promise, "the peer is no longer configured with an address")
            return False
        report = self.promises.promise(promise.request, self.clock())
        try:
            self.report(peer, report)
        except TransientFault as error:
            self._failed(promise, str(error))
            return False
        self.promises.reported(promise, self.clock())
        log.info("commitment promised", peer=peer.name, count=len(report.committed), limit=len(report.failed))
        return True

    def _failed(self, promise: Promise, reason: str) -> None:
        now = self.clock()
        if now >= promise.asked_at + GIVE_UP:
            self.promises.give_up(promise, reason)
        else:
            self.promises.postpone(promise, retry_at(now, promise.attempts + 1, RETRY_S), reason)
        log.warning("commitment report not delivered", peer=promise.peer, attempt=promise.attempts + 1, reason=reason)
