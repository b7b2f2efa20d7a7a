"""Follows every study's story and writes the audit trail, also of what a command decided while the node was down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from dicomnode.audit.messages import (
    WITHHELD,
    AuditEvent,
    EventId,
    Outcome,
    Participant,
    Role,
    Subject,
    as_xml,
)
from dicomnode.config import DestinationSettings
from dicomnode.store.journal import Journal
from dicomnode.store.looking import identities
from dicomnode.store.outbox import FAILED, TAKEN, Delivery, DeliveryState, Outbox
from dicomnode.store.trail import Step, Trail
from dicomnode.study import Event

_RECEIVED = (Event.WHOLE, Event.NO_RULE, Event.INCOMPLETE)
_SENT = (Event.ALL_DELIVERED, Event.REFUSED)
_DECIDED = (Event.REQUEUED, Event.RELEASED, Event.REJECTED)


@dataclass(frozen=True)
class Auditor:
    """The stage: each step of the trail that an audit asks for becomes a message; a step is never left out.

    A crash between message and note writes the message once more: an audit trail may repeat, never forget.
    """

    journal: Journal
    outbox: Outbox
    trail: Trail
    write: Callable[[str, datetime], None]
    ae_title: str
    destinations: Mapping[str, DestinationSettings]
    identity: bool

    def run_once(self, now: datetime) -> int:
        """Write what happened since; return how many steps were followed. Raises TransientFault if that failed."""
        steps = self.trail.ahead()
        for step in steps:
            for event in self._events(step):
                self.write(as_xml(event, self.ae_title), event.at)
            self.trail.followed(step)
        return len(steps)

    def _events(self, step: Step) -> Iterator[AuditEvent]:
        if step.event in _RECEIVED:
            yield from self._received(step)
        elif step.event in _SENT:
            yield from self._sent(step)
        elif step.event in _DECIDED:
            operator = Participant(step.actor, requestor=True)
            action = "D" if step.event is Event.REJECTED else "U"
            yield AuditEvent(
                EventId.INSTANCES_ACCESSED, action, step.at, (operator, self._us()), description=step.reason,
                subject=self._subject(step),
            )  # fmt: skip
        elif step.event is Event.KEPT_LONG_ENOUGH:
            yield AuditEvent(
                EventId.STUDY_DELETED, "D", step.at, (self._us(requestor=True),), description=step.reason,
                subject=self._subject(step),
            )  # fmt: skip

    def _received(self, step: Step) -> Iterator[AuditEvent]:
        for peer, contents in self.trail.arrivals(step).items():
            sender = Participant(peer, peer, requestor=True, role=Role.SOURCE)
            yield AuditEvent(
                EventId.INSTANCES_TRANSFERRED, "C", step.at, (sender, self._us(Role.DESTINATION)),
                subject=self._subject(step, contents),
            )  # fmt: skip

    def _sent(self, step: Step) -> Iterator[AuditEvent]:
        classes = {
            row["sop_instance_uid"]: row["sop_class_uid"] for row in self.outbox.derived(step.study_instance_uid)
        }
        deliveries: dict[str, list[Delivery]] = {}
        for delivery in self.outbox.deliveries(step.study_instance_uid):
            deliveries.setdefault(delivery.destination, []).append(delivery)
        for name, mine in deliveries.items():
            settings = self.destinations.get(name)
            title, host = (settings.ae_title, settings.host) if settings is not None else (name, "")
            taken = Counter(classes[d.sop_instance_uid] for d in mine if d.state in TAKEN)
            failed = [d for d in mine if d.state in FAILED]
            participants = (
                self._us(Role.SOURCE, requestor=True),
                Participant(title, title, role=Role.DESTINATION, address=host),
            )
            yield AuditEvent(
                EventId.INSTANCES_TRANSFERRED, "C", step.at, participants,
                Outcome.SERIOUS_FAILURE if failed else Outcome.SUCCESS,
                description=_told(failed), subject=self._subject(step, taken),
            )  # fmt: skip

    def _us(self, role: Role = Role.APPLICATION, requestor: bool = False) -> Participant:
        return Participant(self.ae_title, self.ae_title, requestor, role)

    def _subject(self, step: Step, contents: Mapping[str, int] | None = None) -> Subject:
        uid = step.study_instance_uid
        patient_id = identities(self.journal, [uid])[uid].patient_id if self.identity else WITHHELD
        return Subject(uid, patient_id, tuple(sorted((contents or {}).items())))


def _told(failed: list[Delivery]) -> str:
    """Return what came of failed deliveries by their statuses: the peer's own comment may quote a patient's data."""
    if not failed:
        return ""
    lost = [d for d in failed if d.state is not DeliveryState.NOT_COMMITTED]
    statuses = sorted({"no answer" if d.status is None else f"0x{d.status:04X}" for d in lost})
    told = [f"{len(lost)} instance(s) not taken: {', '.join(statuses)}"] if lost else []
    if unpromised := len(failed) - len(lost):
        told.append(f"{unpromised} instance(s) taken, but not promised to be kept")
    return "; ".join(told)
