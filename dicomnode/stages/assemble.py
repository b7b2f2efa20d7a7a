"""Is the study whole? Takes what stands in RECEIVING; routes, holds or ignores it, or says what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from dicomnode.config import RuleSettings
from dicomnode.errors import InstanceRejected
from dicomnode.objects.header import read_header
from dicomnode.routing import Arrival, Decision, Hold, Ignore, Route, Wait, assess, route_columns
from dicomnode.store.fetches import Fetch, Fetches, FetchState
from dicomnode.store.journal import Journal
from dicomnode.store.spool import Spool
from dicomnode.study import Event, Study, StudyState

log = structlog.get_logger(__name__)

LOOK_AGAIN_S = 1.0  # while a peer is still sending there is no moment to wait for


@dataclass(frozen=True)
class Assembler:
    """The stage: RECEIVING -> ROUTED, IGNORED or HELD."""

    journal: Journal
    rules: Sequence[RuleSettings]
    quiet_s: float
    is_sending: Callable[[str], bool]  # whoever asks is woken when that ends
    fetches: Fetches
    started_at: datetime  # quiet is counted from here at the earliest: what was sent while we were away is not known

    def run_once(self, now: datetime) -> int:
        """Look at every receiving study that is due; return how many moved on."""
        return sum(self._look_at(study, now) for study in self.journal.due(StudyState.RECEIVING, now))

    def _look_at(self, study: Study, now: datetime) -> bool:
        uid = study.study_instance_uid
        decision = self._decision(study, now)
        match decision:
            case Wait(reason=reason, whole=True):
                if reason != study.reason:
                    self.journal.set_waiting(study, study.next_at or now, reason)  # stays due: the next look may be it
                return False
            case Wait(until, reason):
                if decision.fetch:
                    wishes = [(fetch.need, fetch.source) for fetch in decision.fetch]
                    self.fetches.want(study, decision.rule, wishes, now)
                self.journal.set_waiting(study, max(until, now + timedelta(seconds=LOOK_AGAIN_S)), reason)
                return False
            case Ignore(reason):
                moved = self.journal.decide(study, Event.NO_RULE, reason, now, next_at=None)
            case Hold(reason, rule, pipeline):
                moved = self.journal.decide(
                    study, Event.INCOMPLETE, reason, now, rule=rule, pipeline=pipeline, next_at=None
                )
            case Route():
                moved = self.journal.decide(study, Event.WHOLE, decision.reason, now, **route_columns(decision, now))
        if moved:
            log.info("study assembled", study=uid, outcome=type(decision).__name__, reason=decision.reason)
        return moved

    def _decision(self, study: Study, now: datetime) -> Decision:
        uid = study.study_instance_uid
        if (fetch := self.fetches.that_brought(study)) is not None:
            return self._companion(study, fetch, now)
        fetches = self.fetches.of(study)
        companions = [one.companion for one in fetches if one.companion is not None]
        # a start that is yet to come was before the clock was set back; from then on nothing would ever be quiet
        started_at = self.started_at if self.started_at <= now else study.last_instance_at
        arrival = Arrival(
            self.journal.instances(uid),
            max(study.last_instance_at, started_at),
            self.is_sending(uid),
            study.version,
            [instance for companion in companions for instance in self.journal.instances(companion)],
            frozenset(one.need for one in fetches if one.state is FetchState.BEGUN),
            frozenset(one.need for one in fetches if one.is_partial),
            {one.need: one.message for one in fetches if one.message},
        )
        return assess(self.rules, arrival, now, self.quiet_s)

    def _companion(self, study: Study, fetch: Fetch, now: datetime) -> Decision:
        """Decide on a study that is here only because another one needs it: it is not processed for its own sake."""
        quiet_at = study.last_instance_at + timedelta(seconds=self.quiet_s)
        words = f"fetched for study {fetch.study_instance_uid}"
        if fetch.state is FetchState.BEGUN or now < quiet_at or self.is_sending(study.study_instance_uid):
            return Wait(max(quiet_at, now), f"being {words}")
        return Ignore(f"{words}, which needs it; not processed on its own")


def refresh_headers(journal: Journal, spool: Spool, keywords: frozenset[str]) -> None:
    """Read the headers of unrouted studies again: the rules may look at other keywords than before the restart."""
    for study in journal.studies(StudyState.RECEIVING):
        for instance in journal.instances(study.study_instance_uid):
            try:
                header = read_header(spool.path(instance.path), keywords)
            except (InstanceRejected, OSError) as error:
                log.error("an instance of the spool can't be read", file=instance.path, error=str(error))
                continue
            if header != instance.header:
                journal.update_header(replace(instance, header=header))
