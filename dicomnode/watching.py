"""Wires what tells others how the node fares: metrics, audit trail, notifications."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog

from dicomnode.audit.messages import AuditEvent, EventId, EventType, Outcome, Participant, Role, Subject, as_xml
from dicomnode.audit.sinks import Write, open_sinks
from dicomnode.config import Config, OptionValue
from dicomnode.errors import TransientFault
from dicomnode.metrics import DestinationState, Metrics, NodeState, Stopwatch
from dicomnode.network.admission import Guest, Rejection, printable
from dicomnode.notify import Tell, open_channels
from dicomnode.stages.audit import Auditor
from dicomnode.stages.notify import Notifier
from dicomnode.stages.process import Engine
from dicomnode.store.journal import Journal
from dicomnode.store.looking import destination_facts
from dicomnode.store.outbox import Outbox
from dicomnode.store.spool import Spool
from dicomnode.store.trail import Trail
from dicomnode.study import StudyState
from dicomnode.web.door import Access, AccessKind
from pipelines.contract import PipelineInput, PipelineResult

log = structlog.get_logger(__name__)

AUDIT_TICK_S, NOTIFY_TICK_S = 5.0, 20.0
_LOGINS = {AccessKind.LOGGED_IN: EventType.LOGIN, AccessKind.LOG_IN_REFUSED: EventType.LOGIN,
           AccessKind.LOGGED_OUT: EventType.LOGOUT}  # fmt: skip


def now_utc() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Watch:
    """Looks on while the node works. `config` is asked anew each time, for it may be read again."""

    def __init__(
        self,
        config: Callable[[], Config],
        journal: Journal,
        outbox: Outbox,
        spool: Spool,
        open_associations: Callable[[], int],
        version: str,
    ) -> None:
        self._config, self._journal, self._outbox, self._spool = config, journal, outbox, spool
        self._open_associations = open_associations
        self._started_at = now_utc()
        self.metrics = Metrics(version, self._state, now_utc)
        self._audit_trail, self._notice_trail = Trail(journal, "audit"), Trail(journal, "notify")
        self.renew()

    def renew(self) -> None:
        """Take over the configuration as it is now."""
        config = self._config()
        self._write: Write | None = open_sinks(config.audit)
        self._tell: Tell | None = open_channels(config.notify, config.node.ae_title)
        self._auditor = None if self._write is None else self._make_auditor(self._write)
        self._notifier = None if self._tell is None else self._make_notifier(self._tell)

    def audit(self) -> None:
        """Write what happened to the studies since; where there is no audit trail, pass it by."""
        if self._auditor is None:
            _pass(self._audit_trail)
            return
        while self._auditor.run_once(now_utc()):
            pass

    def close(self) -> None:
        """Write what is left, and that the node stops; what can't be written now is written after the next start."""
        try:
            self.audit()
        except TransientFault as error:
            log.error("the audit trail is behind", error=str(error))
        self.application(EventType.STOP)

    def notify(self) -> None:
        """Tell what needs a person; where nobody is to be told, pass it by."""
        if self._notifier is None:
            _pass(self._notice_trail)
            return
        self._notifier.run_once(now_utc())

    def application(self, kind: EventType) -> None:
        """Write down that the node starts, stops or takes over another configuration."""
        us = Participant(self._title, self._title, role=Role.APPLICATION)
        what = EventId.SECURITY_ALERT if kind is EventType.SOFTWARE_CONFIGURATION else EventId.APPLICATION_ACTIVITY
        self._record(AuditEvent(what, "E", now_utc(), (us,), kind=kind))

    def access(self, access: Access) -> None:
        """Write down what a person did on the page."""
        log.info(access.kind.value, user=access.user, host=access.address, study=access.study)
        person = Participant(access.user, requestor=True, address=access.address)
        us = Participant(self._title, self._title, role=Role.APPLICATION)
        refused = access.kind is AccessKind.LOG_IN_REFUSED
        shown = access.kind is AccessKind.IDENTITY_SHOWN
        self._record(
            AuditEvent(
                EventId.INSTANCES_ACCESSED if shown else EventId.USER_AUTHENTICATION, "R" if shown else "E", access.at,
                (person, us), Outcome.MINOR_FAILURE if refused else Outcome.SUCCESS, _LOGINS.get(access.kind),
                access.kind.value, Subject(access.study) if access.study else None,
            )
        )  # fmt: skip

    def rejected(self, guest: Guest, reason: Rejection, times: int) -> None:
        """Write down that somebody was not let in, and how often; being full is no matter of an audit."""
        if reason in (Rejection.TEMPORARY_CONGESTION, Rejection.LOCAL_LIMIT_EXCEEDED):
            return
        title = printable(guest.calling_ae_title)
        peer = Participant(title, title, requestor=True, address=guest.host)
        us = Participant(self._title, self._title, role=Role.APPLICATION)
        words = reason.name.lower().replace("_", " ") + (f", {times} times" if times > 1 else "")
        self._record(
            AuditEvent(
                EventId.SECURITY_ALERT, "E", now_utc(), (us, peer), Outcome.MINOR_FAILURE,
                EventType.NODE_AUTHENTICATION, words,
            )
        )  # fmt: skip

    def engine(self, engine: Engine) -> Engine:
        """Return the engine with the time of each run measured."""
        return _MeasuredEngine(engine, self.metrics)

    @property
    def _title(self) -> str:
        return self._config().node.ae_title

    def _record(self, event: AuditEvent) -> None:
        if self._write is None:
            return
        try:
            self._write(as_xml(event, self._title), event.at)
        except TransientFault as error:
            log.error("an audit message is lost", error=str(error), kind=event.event.value.meaning)

    def _make_auditor(self, write: Write) -> Auditor:
        config = self._config()
        destinations = {destination.name: destination for destination in config.destinations}
        return Auditor(
            self._journal, self._outbox, self._audit_trail, write, self._title, destinations, config.audit.identity
        )

    def _make_notifier(self, tell: Tell) -> Notifier:
        config = self._config()
        names = tuple(destination.name for destination in config.destinations)
        return Notifier(
            self._journal, self._notice_trail, tell, config.notify, names, self._spool.free_gb, self._started_at
        )

    def _state(self) -> NodeState:
        names = [destination.name for destination in self._config().destinations]
        waiting = self._journal.studies(StudyState.ROUTED)
        return NodeState(
            studies=self._journal.counts(),
            oldest_waiting_at=min((study.updated_at for study in waiting), default=None),
            destinations={
                name: DestinationState(facts.waiting, facts.uncommitted, facts.oldest_at, facts.last_sent_at)
                for name, facts in destination_facts(self._journal, names).items()
            },
            free_bytes=self._spool.free_gb() * 1e9,
            open_associations=self._open_associations(),
        )


def _pass(trail: Trail) -> None:
    while steps := trail.ahead():
        trail.followed(steps[-1])


class _MeasuredEngine:
    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine, self._metrics = engine, metrics

    def version(self, pipeline: str, options: Mapping[str, OptionValue]) -> str:
        return self._engine.version(pipeline, options)

    def run(self, pipeline: str, pipeline_input: PipelineInput) -> PipelineResult:
        with Stopwatch(lambda outcome, seconds: self._metrics.job_ended(pipeline, outcome, seconds)):
            return self._engine.run(pipeline, pipeline_input)
