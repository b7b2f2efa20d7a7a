"""A road whose destination is asked to promise that it keeps what it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dicomnode.config import DestinationSettings
from dicomnode.errors import TransientFault
from dicomnode.stages.commit import Committer, ReportRecorder
from dicomnode.stages.deliver import Deliverer
from dicomnode.store.commitments import Commitments
from dicomnode.store.outbox import DeliveryState
from dicomnode.study import CommitmentReport, CommitmentRequest, Reference, SendOutcome, StudyState
from tests.dicomnode.stages.road import PACS, Road, a_result
from tests.factories import a_tomo
from tests.fakes import FakeSender, after

ASKED = PACS.model_copy(update={"storage_commitment": True, "commitment_wait_s": 100.0})


@dataclass
class Promising:
    """A road whose destination is asked; `requests` are what it was asked, `away` makes it unreachable."""

    road: Road
    away: bool = False
    destination: DestinationSettings = ASKED
    requests: list[CommitmentRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commitments = Commitments(self.road.journal)
        self.road.answers.append(a_result())
        self.uid = self.road.process(a_tomo())

    def ask(self, _destination: object, request: CommitmentRequest) -> None:
        """Remember a request, as the network would make it."""
        if self.away:
            raise TransientFault("nobody answers")
        self.requests.append(request)

    def step(self, seconds: float) -> list[str]:
        """Send and ask what is due at this moment after noon; return the UIDs that were sent."""
        now = self.road.now = after(seconds)
        spool = self.road.outbox.spool
        uids = {spool.path(d.path): d.sop_instance_uid for d in self.road.outbox.deliveries(self.uid)}
        sender = FakeSender(uids, [SendOutcome.DELIVERED] * 10)
        deliverer = Deliverer(self.road.outbox, self.destination, sender, lambda: now, lambda: False)
        deliverer.run_once(now)
        Committer(self.commitments, self.destination, self.ask, lambda: now, lambda: False).run_once(now)
        return sender.sent

    def report(self, request: CommitmentRequest, failed: Sequence[tuple[Reference, int]] = ()) -> bool:
        """Report that all of a request is kept but what failed."""
        lost = [reference for reference, _ in failed]
        kept = tuple(reference for reference in request.references if reference not in lost)
        recorder = ReportRecorder(
            self.commitments, {"pacs": self.destination}, lambda: self.road.now, lambda name: None
        )
        known = recorder.record(CommitmentReport(request.transaction_uid, kept, tuple(failed)))
        self.road.outbox.settle(self.road.now)
        return known

    def states(self) -> list[DeliveryState]:
        """Return the states of the study's deliveries."""
        return [delivery.state for delivery in self.road.outbox.deliveries(self.uid)]

    def state(self) -> StudyState:
        """Return the study's state."""
        return self.road.study(self.uid).state
