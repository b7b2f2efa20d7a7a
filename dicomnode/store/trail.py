"""Every move of every study in order, for those who follow them: the audit trail and the notifications."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from dicomnode.store.journal import Journal
from dicomnode.store.schema import insert, instances, moves, readers
from dicomnode.study import Event, StudyState


@dataclass(frozen=True)
class Step:
    """One move of one study; `position` orders all of them."""

    position: int
    study_instance_uid: str
    version: int
    at: datetime
    event: Event
    to_state: StudyState
    reason: str
    actor: str


class Trail:
    """The moves that one reader has not followed yet. A new reader begins with what happens from now on."""

    def __init__(self, journal: Journal, reader: str) -> None:
        self._journal = journal
        self._reader = reader
        with journal.transaction() as connection:
            newest = connection.execute(select(func.max(moves.c.id))).scalar() or 0
            connection.execute(
                insert(connection, readers).values(name=reader, position=newest).on_conflict_do_nothing()
            )

    def ahead(self, limit: int = 200) -> list[Step]:
        """Return the next moves, the oldest first."""
        position = select(readers.c.position).where(readers.c.name == self._reader).scalar_subquery()
        query = select(moves).where(moves.c.id > position).order_by(moves.c.id).limit(limit)
        with self._journal.reading() as connection:
            return [
                Step(
                    row["id"], row["study_instance_uid"], row["version"], row["at"], Event[row["event"]],
                    StudyState(row["to_state"]), row["reason"], row["actor"],
                )
                for row in connection.execute(query).mappings()
            ]  # fmt: skip

    def followed(self, step: Step) -> None:
        """Note that this move and all before it are done with."""
        with self._journal.transaction() as connection:
            connection.execute(readers.update().where(readers.c.name == self._reader).values(position=step.position))

    def arrivals(self, step: Step) -> dict[str, dict[str, int]]:
        """Return how many instances of each SOP Class each peer sent for a step's version; purged ones count, too."""
        kinds = (instances.c.calling_ae_title, instances.c.sop_class_uid)
        query = select(*kinds, func.count()).where(
            instances.c.study_instance_uid == step.study_instance_uid, instances.c.version == step.version
        )
        found: dict[str, dict[str, int]] = {}
        with self._journal.reading() as connection:
            for peer, sop_class_uid, number in connection.execute(query.group_by(*kinds)):
                found.setdefault(peer, {})[sop_class_uid] = number
        return found
