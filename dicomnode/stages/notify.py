"""Looks for what needs a person and tells it once: studies that are held or failed, destinations, disk, silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from dicomnode.config import NotifySettings
from dicomnode.notify import Notice, Tell
from dicomnode.store.journal import Journal
from dicomnode.store.looking import Wanted, destination_facts, find_studies
from dicomnode.store.trail import Step, Trail
from dicomnode.study import Event, StudyState

log = structlog.get_logger(__name__)

_OCCASIONS = {StudyState.HELD: "held", StudyState.FAILED: "failed"}


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong now and will be told once, and once more when it is over."""

    key: str
    occasion: str
    subject: str
    over: str


@dataclass
class Notifier:
    """The stage. What stays wrong over a restart of the node is told once more after it."""

    journal: Journal
    trail: Trail
    tell: Tell
    settings: NotifySettings
    destinations: tuple[str, ...]
    free_gb: Callable[[], float]
    started_at: datetime
    _told: dict[str, Trouble] = field(default_factory=dict)

    def run_once(self, now: datetime) -> int:
        """Tell what is new; return how many notices were sent. Raises TransientFault if one could not be."""
        return self._tell_studies() + self._tell_troubles(now)

    def _tell_studies(self) -> int:
        steps = self.trail.ahead()
        if not steps:
            return 0
        wanted = [step for step in steps if _OCCASIONS.get(step.to_state) in self.settings.on]
        if wanted:
            self.tell(_about(wanted))
        self.trail.followed(steps[-1])
        return 1 if wanted else 0

    def _tell_troubles(self, now: datetime) -> int:
        found = {trouble.key: trouble for trouble in self._troubles(now) if trouble.occasion in self.settings.on}
        sent = 0
        for key, trouble in found.items():
            if key not in self._told:
                self.tell(Notice(trouble.occasion, trouble.subject, f"{trouble.subject}\n"))
                self._told[key] = trouble
                sent += 1
        for key in set(self._told) - set(found):
            gone = self._told[key]
            self.tell(Notice(gone.occasion, gone.over, f"{gone.over}\n"))
            del self._told[key]
            sent += 1
        return sent

    def _troubles(self, now: datetime) -> Iterator[Trouble]:
        yield from self._destinations_down(now)
        if (free_gb := self.free_gb()) < self.settings.disk_low_gb:
            yield Trouble(
                "disk", "disk_low", f"{free_gb:.1f} GB free, less than {self.settings.disk_low_gb:g} GB",
                "there is room on the disk again",
            )  # fmt: skip
        if self.settings.silent_h and now - self._last_received() > timedelta(hours=self.settings.silent_h):
            yield Trouble(
                "silent", "silent", f"nothing was received for {self.settings.silent_h:g} hours",
                "instances are received again",
            )  # fmt: skip

    def _destinations_down(self, now: datetime) -> Iterator[Trouble]:
        patience = timedelta(seconds=self.settings.destination_down_s)
        for name, facts in destination_facts(self.journal, self.destinations).items():
            if facts.trouble and facts.oldest_at is not None and now - facts.oldest_at > patience:
                since = f"{facts.oldest_at:%Y-%m-%d %H:%M} UTC"
                subject = f"{facts.waiting} instance(s) could not be sent to {name} since {since}"
                yield Trouble(f"destination {name}", "destination_down", subject, f"{name} takes instances again")

    def _last_received(self) -> datetime:
        newest = find_studies(self.journal, Wanted(limit=1))
        return max([self.started_at, *(study.last_instance_at for study in newest)])


def _about(steps: list[Step]) -> Notice:
    """Return one notice about all of them; a destination's own words are left out, for they may name a patient."""
    states: Mapping[str, int] = {
        state.value: sum(step.to_state is state for step in steps) for state in (StudyState.HELD, StudyState.FAILED)
    }
    subject = ", ".join(f"{number} study {state}" if number == 1 else f"{number} studies {state}"
                        for state, number in states.items() if number)  # fmt: skip
    lines = [
        f"{step.at:%Y-%m-%d %H:%M:%S} UTC  {step.to_state.value}  {step.study_instance_uid}\n"
        f"    {'a destination did not take it' if step.event is Event.REFUSED else step.reason}"
        for step in steps
    ]
    text = "\n".join([*lines, "", "dicomnode show UID tells the whole story.", ""])
    return Notice(_OCCASIONS[steps[0].to_state], subject, text, tuple(step.study_instance_uid for step in steps))
