"""What is fetched for studies that wait for it: one row per study version and need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import RowMapping, select, update

from dicomnode.store.journal import Journal
from dicomnode.store.schema import fetches, insert, instances, studies
from dicomnode.study import Event, Study, StudyState


class FetchState(Enum):
    """Where a fetch stands."""

    WANTED = "WANTED"  # nothing has been asked for yet, or all that was is over
    BEGUN = "BEGUN"  # instances may be on their way
    DONE = "DONE"
    GIVEN_UP = "GIVEN_UP"


@dataclass(frozen=True)
class Fetch:
    """One need of one study version, and what became of it."""

    study_instance_uid: str
    version: int
    need: str
    rule: str
    source: str
    state: FetchState
    attempts: int
    begun_at: datetime | None
    companion: str | None  # the other study of the patient that it was found in
    message: str

    @property
    def is_partial(self) -> bool:
        """Whether some of it may be here, and not all."""
        return self.state is FetchState.BEGUN or (self.state is FetchState.GIVEN_UP and self.begun_at is not None)


class Fetches:
    """The fetches of the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    # --- the assemble stage

    def want(self, study: Study, rule: str, needs: Iterable[tuple[str, str]], now: datetime) -> None:
        """Ask for (need, source) pairs; what was asked for already stays as it is."""
        rows = [
            {
                "study_instance_uid": study.study_instance_uid, "version": study.version, "need": need, "rule": rule,
                "source": source, "state": FetchState.WANTED.value, "attempts": 0, "next_at": now, "message": "",
            }
            for need, source in needs
        ]  # fmt: skip
        with self._journal.transaction() as connection:
            for row in rows:
                connection.execute(insert(connection, fetches).values(**row).on_conflict_do_nothing())

    def of(self, study: Study) -> list[Fetch]:
        """Return the fetches of a study's version."""
        mine = (fetches.c.study_instance_uid == study.study_instance_uid, fetches.c.version == study.version)
        with self._journal.reading() as connection:
            return [_fetch(row) for row in connection.execute(select(fetches).where(*mine)).mappings()]

    def that_brought(self, study: Study) -> Fetch | None:
        """Return the fetch by which this study came here as a whole; None if it came by itself."""
        if study.version > 1:  # somebody sent something to it since
            return None
        came = (fetches.c.companion == study.study_instance_uid, fetches.c.begun_at <= study.created_at)
        with self._journal.reading() as connection:
            row = connection.execute(select(fetches).where(*came)).mappings().first()
            return None if row is None else _fetch(row)

    # --- the fetch stage

    def due(self, source: str, now: datetime) -> list[Fetch]:
        """Return what is to be fetched from one source now, for studies that still wait for it."""
        query = (
            select(fetches)
            .join(studies, studies.c.study_instance_uid == fetches.c.study_instance_uid)
            .where(fetches.c.state.in_([FetchState.WANTED.value, FetchState.BEGUN.value]), fetches.c.next_at <= now)
            .where(fetches.c.source == source)
            .where(studies.c.state == StudyState.RECEIVING.value, studies.c.version == fetches.c.version)
            .order_by(studies.c.priority.desc(), fetches.c.next_at)
        )
        with self._journal.reading() as connection:
            return [_fetch(row) for row in connection.execute(query).mappings()]

    def begin(self, fetch: Fetch, companion: str | None, again_at: datetime, now: datetime) -> None:
        """Note that instances may come from now on, and from which study."""
        self._change(fetch, state=FetchState.BEGUN.value, companion=companion, begun_at=now, next_at=again_at)

    def postpone(self, fetch: Fetch, again_at: datetime, reason: str) -> None:
        """Note that an attempt failed, why, and when the next is."""
        self._change(fetch, next_at=again_at, message=reason, attempts=fetch.attempts + 1)

    def end(self, fetch: Fetch, state: FetchState, message: str, now: datetime) -> None:
        """Note that a fetch is over, in the study's story, too, and have the study looked at."""
        uid, receiving = fetch.study_instance_uid, StudyState.RECEIVING
        waits = (studies.c.study_instance_uid == uid, studies.c.state == receiving.value)
        with self._journal.transaction() as connection:
            values = {"state": state.value, "message": message, "attempts": fetch.attempts + 1}
            connection.execute(update(fetches).where(*_key(fetch)).values(**values))
            if connection.execute(update(studies).where(*waits).values(next_at=now)).rowcount:
                self._journal.note(connection, uid, Event.INSTANCE, receiving, message, now, version=fetch.version)

    def _change(self, fetch: Fetch, **values: Any) -> None:
        with self._journal.transaction() as connection:
            connection.execute(update(fetches).where(*_key(fetch)).values(**values))

    def absent(self, sop_instance_uids: Iterable[str]) -> set[str]:
        """Return which of these instances are not in the spool."""
        wanted = set(sop_instance_uids)
        here = select(instances.c.sop_instance_uid).where(instances.c.purged_at.is_(None))
        with self._journal.reading() as connection:
            for some in _portions(sorted(wanted)):
                wanted -= set(connection.execute(here.where(instances.c.sop_instance_uid.in_(some))).scalars())
        return wanted

    def again_at_once(self, now: datetime) -> None:
        """Make every fetch that was running due: the node was just started, and its peers have given up on it."""
        running = fetches.c.state == FetchState.BEGUN.value
        with self._journal.transaction() as connection:
            connection.execute(update(fetches).where(running).values(next_at=now))


def _key(fetch: Fetch) -> tuple[Any, Any, Any]:
    return (
        fetches.c.study_instance_uid == fetch.study_instance_uid,
        fetches.c.version == fetch.version,
        fetches.c.need == fetch.need,
    )


def _portions(uids: list[str], size: int = 500) -> list[list[str]]:
    """Return the UIDs in portions that one statement can hold."""
    return [uids[start : start + size] for start in range(0, len(uids), size)]


def _fetch(row: RowMapping) -> Fetch:
    plain = {name: row[name] for name in Fetch.__dataclass_fields__ if name != "state"}
    return Fetch(**plain, state=FetchState(row["state"]))
