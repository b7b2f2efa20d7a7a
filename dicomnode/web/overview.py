"""What the first page shows, read from the journal in one go."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from dicomnode.config import DestinationSettings
from dicomnode.engine.gpu import Gpu
from dicomnode.store.looking import DestinationFacts, Identity, Wanted, destination_facts, find_studies, identities
from dicomnode.study import Study, StudyState
from dicomnode.web.access import Viewer
from dicomnode.web.discretion import Discretion
from dicomnode.web.door import Door

ATTENTION = (StudyState.HELD, StudyState.FAILED)
ON_THE_ROAD = (StudyState.RECEIVING, StudyState.ROUTED, StudyState.PROCESSING, StudyState.DELIVERING)
PAGE = 50
_MOST_PAGES = 10_000
_MOST_LETTERS = 64


@dataclass(frozen=True)
class Filter:
    """What a viewer asked to see: a state, "attention", "road" or "" for all; words; which page."""

    state: str = ""
    words: str = ""
    page: int = 1

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Filter:
        """Return the filter of a query string; what makes no sense counts as not said."""
        state = asked.get("state", "")
        known = {"attention", "road", *(state.value for state in StudyState)}
        page = asked.get("page", "1")
        number = int(page) if page.isdecimal() and len(page) < 6 else 1
        return cls(
            state if state in known else "", asked.get("words", "").strip()[:_MOST_LETTERS],
            min(max(number, 1), _MOST_PAGES),
        )  # fmt: skip

    @property
    def states(self) -> tuple[StudyState, ...]:
        """The states to show; none: all."""
        if self.state == "attention":
            return ATTENTION
        if self.state == "road":
            return ON_THE_ROAD
        return (StudyState(self.state),) if self.state else ()


@dataclass(frozen=True)
class Row:
    """One study as a viewer may see it; `identity` is None for who may not see one."""

    study: Study
    reason: str
    identity: Identity | None


@dataclass(frozen=True)
class Disk:
    """The disk of the spool in 10^9 bytes; below `mark_gb` free the node refuses instances."""

    free_gb: float
    total_gb: float
    mark_gb: float

    @property
    def used_gb(self) -> float:
        """What is taken."""
        return self.total_gb - self.free_gb

    @property
    def low(self) -> bool:
        """Whether instances are refused now."""
        return self.free_gb < self.mark_gb


@dataclass(frozen=True)
class Overview:
    """The whole first page."""

    counts: Mapping[str, int]
    rows: tuple[Row, ...]
    more: bool
    attention: tuple[Row, ...]
    working: tuple[Study, ...]
    destinations: tuple[tuple[DestinationSettings, DestinationFacts], ...]
    disk: Disk
    gpus: tuple[Gpu, ...]

    @property
    def attention_count(self) -> int:
        """How many studies wait for a person."""
        return sum(self.counts.get(state.value, 0) for state in ATTENTION)

    @property
    def road_count(self) -> int:
        """How many studies are on their way."""
        return sum(self.counts.get(state.value, 0) for state in ON_THE_ROAD)


def look(door: Door, asked: Filter, viewer: Viewer, now: datetime) -> Overview:
    """Read the first page as this viewer may see it."""
    config = door.config()
    wanted = Wanted(asked.states, asked.words, viewer.identity, (asked.page - 1) * PAGE, PAGE + 1)
    found = find_studies(door.journal, wanted)
    at_home = not asked.state and not asked.words and asked.page == 1
    waiting = find_studies(door.journal, Wanted(ATTENTION, limit=5)) if at_home else []
    whose = identities(door.journal, {study.study_instance_uid for study in (*found[:PAGE], *waiting)})
    facts = _told(destination_facts(door.journal, [destination.name for destination in config.destinations]), viewer)
    return Overview(
        counts=door.journal.counts(),
        rows=tuple(_row(study, whose, viewer) for study in found[:PAGE]),
        more=len(found) > PAGE,
        attention=tuple(_row(study, whose, viewer) for study in waiting),
        working=tuple(find_studies(door.journal, Wanted((StudyState.PROCESSING,), limit=5))),
        destinations=tuple((destination, facts[destination.name]) for destination in config.destinations),
        disk=disk(door),
        gpus=tuple(door.gpus(now)),
    )


def _told(facts: Mapping[str, DestinationFacts], viewer: Viewer) -> Mapping[str, DestinationFacts]:
    """Return the facts without what a peer wrote itself, for who may not see identity."""
    discretion = Discretion(Identity(), viewer.identity)
    return {name: replace(found, trouble=discretion.tell(found.trouble)) for name, found in facts.items()}


def _row(study: Study, whose: Mapping[str, Identity], viewer: Viewer) -> Row:
    identity = whose[study.study_instance_uid]
    reason = Discretion(identity, viewer.identity).tell(study.reason)
    return Row(study, reason, identity if viewer.identity else None)


def disk(door: Door) -> Disk:
    """Return how much room is left."""
    usage = shutil.disk_usage(door.spool.root)
    return Disk(usage.free / 1e9, usage.total / 1e9, door.config().node.min_free_gb)
