"""An operator's decisions on a HELD or FAILED study: requeue, release, reject. For the command line and the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dicomnode.config import RuleSettings
from dicomnode.errors import StudyUnsuitable
from dicomnode.routing import force_route, route_columns, why_none
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox
from dicomnode.study import Event, Study, StudyState


def requeue(journal: Journal, rules: Sequence[RuleSettings], uid: str, actor: str, now: datetime) -> str:
    """Send a HELD or FAILED study through its pipeline again, with what is here; returns what was done, in words.

    Raises StudyUnsuitable if the study is in another state or no rule wants it.
    """
    study = _find(journal, uid, StudyState.HELD, StudyState.FAILED)
    instances = journal.instances(uid)
    route = force_route(rules, instances)
    if route is None:
        raise StudyUnsuitable(f"no rule holds for this study: {why_none(rules, instances)}")
    reason = f"requeued by {actor}; {route.reason}"
    if not journal.decide(study, Event.REQUEUED, reason, now, actor, **route_columns(route, now)):
        raise StudyUnsuitable("the study moved on in this moment; look again")
    return reason


def release(journal: Journal, outbox: Outbox, uid: str, actor: str, now: datetime) -> str:
    """Send what the guard withheld of a HELD study; returns what was done, in words.

    Raises StudyUnsuitable if the study is in another state or nothing was withheld.
    """
    _find(journal, uid, StudyState.HELD)
    number = outbox.release(uid, actor, now)
    if not number:
        raise StudyUnsuitable("nothing was derived of this study that could be released; requeue it instead")
    return f"released by {actor}: {number} deliveries"


def reject(journal: Journal, outbox: Outbox, uid: str, actor: str, now: datetime) -> str:
    """Close a HELD or FAILED study; nothing more of it is sent. Raises StudyUnsuitable if it is in another state."""
    _find(journal, uid, StudyState.HELD, StudyState.FAILED)
    outbox.reject(uid, actor, now)
    return f"rejected by {actor}"


def _find(journal: Journal, uid: str, *allowed: StudyState) -> Study:
    study = journal.study(uid)
    if study is None:
        raise StudyUnsuitable(f"there is no study {uid}")
    if study.state not in allowed:
        words = " or ".join(state.value for state in allowed)
        raise StudyUnsuitable(f"the study is {study.state.value}; this needs a study that is {words}")
    return study
