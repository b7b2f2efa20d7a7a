"""The journal: every study, instance and move, one transaction each. The stages' conveyor belt and the only truth."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, RowMapping, and_, bindparam, func, or_, select, update

from dicomnode.errors import InvariantBroken, TransientFault
from dicomnode.store.faults import TenureLost, faults
from dicomnode.store.postgres import READING, epoch_of
from dicomnode.store.rows import Arrival, Claim, Copy, Move, claim_of, instance_of, instance_row, study_of
from dicomnode.store.schema import instances, moves, studies
from dicomnode.study import Event, Instance, Study, StudyState, next_state

NODE = "node"
_TURN = timedelta(seconds=60)  # a write may have waited so long for its turn; more is a clock that was set back


class Journal:
    """Writes go one at a time through `transaction`; each is on the disk when it returns.

    `epoch` is that of the active node of a shared journal (tenure.py): in a later one it writes nothing any more.
    """

    def __init__(self, engine: Engine, epoch: int | None = None) -> None:
        self._engine, self._epoch = engine, epoch
        self._writer = engine.execution_options(writes=True)
        self._reader = engine.execution_options(**(READING if engine.dialect.name == "postgresql" else {}))
        # the database lets one writer in; a lock of our own wakes the next at once, and saves it a connection
        self._turn = threading.RLock()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open the one write transaction; commits at the end, rolls back on an exception.

        Raises TransientFault if it can't be opened or committed; TenureLost if another node has taken over.
        """
        with self._turn, faults(), self._writer.begin() as connection:
            if self._epoch is not None and epoch_of(connection) != self._epoch:
                raise TenureLost("another node has become the active one of this journal")
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a consistent view for reading."""
        with faults(), self._reader.begin() as connection:
            yield connection

    # --- receive

    def copies(self, sop_instance_uid: str) -> list[Copy]:
        """Return all that came under this UID, each content once."""
        with self.reading() as connection:
            return [Copy(*row) for row in connection.execute(_COPIES, {"uid": sop_instance_uid})]

    def record_instance(
        self, new: Instance, now: datetime, quiet_at: datetime | None = None, purged: str | None = None
    ) -> Arrival:
        """Record a stored instance and move its study; returns what the instance turned out to be.

        A receiving study is to be looked at once; where the instance is but more of what the study has, at `quiet_at`.
        `purged` is the path that the instance had before it was purged, as it was known when the new one was chosen.
        Raises TransientFault if that has changed: then the new one may have been purged in between, too.
        """
        header = new.header
        with self.transaction() as connection:
            rows = connection.execute(_COPIES, {"uid": header.sop_instance_uid}).all()
            same = next((row for row in rows if row.sha256 == new.sha256), None)
            if same is not None and same.purged_at is None:
                return Arrival.DUPLICATE
            if same is not None and same.path != purged:
                raise TransientFault("the instance came again and was purged again in this moment")
            kept = same.kept if same is not None else not rows
            study = connection.execute(_STATE, {"uid": header.study_instance_uid}).first()
            version = 1 if study is None else study.version + (study.state != StudyState.RECEIVING.value)
            if study is None:
                self._insert_study(connection, new, now)
            if same is not None:
                again = {"purged_at": None, "path": new.path, "version": version, "received_at": now}
                connection.execute(_where_instance(update(instances), new).values(again))
            else:
                connection.execute(_NEW_INSTANCE, {**instance_row(new), "kept": kept, "version": version})
            self._move_for_arrival(connection, study, new, kept, version, now, quiet_at)
            return Arrival.NEW if kept else Arrival.CONFLICT

    def _insert_study(self, connection: Connection, new: Instance, now: datetime) -> None:
        connection.execute(
            studies.insert().values(
                study_instance_uid=new.header.study_instance_uid, state=StudyState.RECEIVING.value, version=1,
                reason="", calling_ae_title=new.calling_ae_title, created_at=now, updated_at=now,
                last_instance_at=now, next_at=now,
            )
        )  # fmt: skip

    def _move_for_arrival(
        self,
        connection: Connection,
        study: Row[Any, Any, Any] | None,  # _STATE
        new: Instance,
        kept: bool,
        version: int,
        now: datetime,
        quiet_at: datetime | None,
    ) -> None:
        uid = new.header.study_instance_uid
        if not kept:
            reason = (
                f"instance {new.header.sop_instance_uid} came again with other content; the first copy is kept "
                f"and used, the second lies in {new.path}"
            )
            self.move(
                connection, uid, Event.CONFLICT, reason, now, version=version, last_instance_at=now, next_at=None,
            )  # fmt: skip
        elif study is None:
            self.note(connection, uid, Event.FIRST_INSTANCE, None, f"first instance from {new.calling_ae_title}", now)
        elif study.state == StudyState.RECEIVING.value:
            look_at = now
            if quiet_at is not None and _has_such(connection, new):  # each look reads the whole study
                look_at = quiet_at if study.next_at > now else study.next_at  # what is due is not put off
            arrived = {"uid": uid, "last_instance_at": now, "next_at": look_at, "updated_at": now}
            connection.execute(_CHANGED_STUDY, arrived)
        elif study.state == StudyState.HELD.value and self._has_conflict(connection, uid):
            connection.execute(_where(uid).values(last_instance_at=now, updated_at=now, version=version))
        else:
            reason = f"{new.header.content.value} instance arrived after the study was {study.state}"
            self.move(
                connection, uid, Event.LATE_INSTANCE, reason, now, version=version, last_instance_at=now, next_at=now,
                claim=None, lease_until=None, attempts=0,
            )  # fmt: skip

    def _has_conflict(self, connection: Connection, uid: str) -> bool:
        query = select(instances.c.path).where(instances.c.study_instance_uid == uid, instances.c.kept.is_(False))
        return connection.execute(query).first() is not None

    # --- moves

    def move(
        self,
        connection: Connection,
        uid: str,
        event: Event,
        reason: str,
        now: datetime,
        actor: str = NODE,
        **changes: Any,
    ) -> StudyState:
        """Make one move of house table 4 inside `connection`'s transaction and return the new state.

        Raises InvariantBroken where the table has no such move.
        """
        row = self._study_row(connection, uid)
        if row is None:
            raise InvariantBroken(f"a move of the unknown study {uid}")
        if now < row["updated_at"] < now + _TURN:  # another thread looked at the clock later, and wrote sooner
            now = row["updated_at"]
        before = StudyState(row["state"])
        after = next_state(before, event)
        values = {"state": after.value, "reason": reason, "updated_at": now, **changes}
        connection.execute(_where(uid).values(**values))
        self.note(connection, uid, event, before, reason, now, actor, after, changes.get("version", row["version"]))
        return after

    def note(
        self, connection: Connection, uid: str, event: Event, before: StudyState | None, reason: str, now: datetime,
        actor: str = NODE, after: StudyState = StudyState.RECEIVING, version: int = 1,
    ) -> None:  # fmt: skip
        """Write one line of a study's story."""
        connection.execute(
            moves.insert().values(
                study_instance_uid=uid, version=version, at=now, event=event.name,
                from_state=before.value if before else None, to_state=after.value, reason=reason, actor=actor,
            )
        )  # fmt: skip

    def set_waiting(self, seen: Study, until: datetime, reason: str) -> None:
        """Record why a receiving study still waits, and when to look again; no move, no story line."""
        with self.transaction() as connection:
            # what came since and may change the decision has set next_at to its own arrival: that look is not put off
            unchanged = studies.c.next_at == seen.next_at
            receiving = studies.c.state == StudyState.RECEIVING.value
            connection.execute(
                _where(seen.study_instance_uid).where(unchanged, receiving).values(next_at=until, reason=reason)
            )

    def decide(
        self, seen: Study, event: Event, reason: str, now: datetime, actor: str = NODE, **changes: Any
    ) -> bool:  # fmt: skip
        """Make a move only if the study is still as it was seen; tells whether it was made."""
        with self.transaction() as connection:
            row = self._study_row(connection, seen.study_instance_uid)
            same = row is not None and (row["state"], row["version"], row["last_instance_at"]) == (
                seen.state.value, seen.version, seen.last_instance_at,
            )  # fmt: skip
            if same:
                self.move(connection, seen.study_instance_uid, event, reason, now, actor, **changes)
            return same

    # --- process

    def claim(self, now: datetime, lease_s: float) -> Claim | None:
        """Take the most urgent routed study that is due; the attempt counts from now on, whatever becomes of it."""
        due = and_(
            studies.c.state == StudyState.ROUTED.value,
            or_(studies.c.next_at.is_(None), studies.c.next_at <= now),
        )
        query = select(studies).where(due).order_by(studies.c.priority.desc(), studies.c.created_at).limit(1)
        with self.reading() as connection:  # most ticks find nothing, and need no write lock for that
            if connection.execute(query).first() is None:
                return None
        with self.transaction() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            token = secrets.token_hex(16)
            attempt = row["attempts"] + 1
            self.move(
                connection, row["study_instance_uid"], Event.CLAIMED, f"attempt {attempt} of {row['pipeline']}", now,
                claim=token, lease_until=now + timedelta(seconds=lease_s), attempts=attempt,
            )  # fmt: skip
            this = studies.c.study_instance_uid == row["study_instance_uid"]
            return claim_of(connection.execute(select(studies, _INSTANCES).where(this)).mappings().one())

    def holds(self, connection: Connection, claim: Claim) -> bool:
        """Tell whether the attempt still owns the study: the fence against a late twin."""
        row = self._study_row(connection, claim.study.study_instance_uid)
        return row is not None and row["claim"] == claim.token and row["state"] == StudyState.PROCESSING.value

    def outrun(self, connection: Connection, claim: Claim) -> StudyState | None:
        """Return the state of a study that a late instance took away from its attempt; None if that is not so."""
        row = self._study_row(connection, claim.study.study_instance_uid)
        on_the_road = (StudyState.RECEIVING.value, StudyState.ROUTED.value, StudyState.PROCESSING.value)
        if row is None or row["version"] <= claim.study.version or row["state"] not in on_the_road:
            return None
        return StudyState(row["state"])

    def end_attempt(
        self,
        claim: Claim,
        event: Event,
        reason: str,
        now: datetime,
        next_at: datetime | None = None,
        uncounted: bool = False,
    ) -> bool:
        """Give a claimed study back without derived instances; tells whether the claim still held."""
        with self.transaction() as connection:
            if not self.holds(connection, claim):
                return False
            changes: dict[str, Any] = {"claim": None, "lease_until": None, "next_at": next_at}
            if uncounted:
                changes["attempts"] = claim.study.attempts - 1
            self.move(connection, claim.study.study_instance_uid, event, reason, now, **changes)
            return True

    def renew(self, claim: Claim, until: datetime) -> None:
        """Let a claim's lease run until then; a claim that was lost stays lost."""
        with self.transaction() as connection:
            if self.holds(connection, claim):
                connection.execute(_where(claim.study.study_instance_uid).values(lease_until=until))

    def expired_claims(self, now: datetime | None) -> list[Claim]:
        """Return the claims whose lease ran out by `now`; None: all of them (the node was just started)."""
        condition = studies.c.state == StudyState.PROCESSING.value
        if now is not None:
            condition = and_(condition, studies.c.lease_until <= now)
        with self.reading() as connection:
            rows = connection.execute(select(studies, _INSTANCES).where(condition)).mappings().all()
        return [claim_of(row) for row in rows]

    # --- reading

    def study(self, uid: str) -> Study | None:
        """Return one study."""
        return next(iter(self.matching(studies.c.study_instance_uid == uid)), None)

    def studies(self, state: StudyState | None = None) -> list[Study]:
        """Return all studies, the newest first."""
        return self.matching(None if state is None else studies.c.state == state.value)

    def due(self, state: StudyState, now: datetime) -> list[Study]:
        """Return the studies of one state whose time to be looked at has come."""
        return self.matching(and_(studies.c.state == state.value, studies.c.next_at <= now))

    def matching(self, condition: Any) -> list[Study]:
        """Return the studies of which a condition on their row holds (None: all), the newest first."""
        query = select(studies, _INSTANCES).order_by(studies.c.created_at.desc())
        with self.reading() as connection:
            rows = connection.execute(query if condition is None else query.where(condition)).mappings().all()
        return [study_of(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return the number of studies per state."""
        with self.reading() as connection:
            rows = connection.execute(select(studies.c.state, func.count()).group_by(studies.c.state))
            return {row[0]: row[1] for row in rows}

    def instances(self, uid: str, kept: bool = True) -> list[Instance]:
        """Return the instances of a study whose files are here, in order of arrival."""
        query = select(instances).where(
            instances.c.study_instance_uid == uid, instances.c.kept.is_(kept), instances.c.purged_at.is_(None)
        )
        with self.reading() as connection:  # row by row: a study may have thousands
            return [instance_of(row) for row in connection.execute(query.order_by(instances.c.received_at)).mappings()]

    def found(self, instance: Instance) -> None:
        """Note under which path an instance was found that is recorded under another, at which there is nothing."""
        here = instances.c.purged_at.is_(None)
        with self.transaction() as connection:
            connection.execute(_where_instance(update(instances), instance).where(here).values(path=instance.path))

    def update_header(self, instance: Instance) -> None:
        """Replace what is known of an instance's header: the rules may look at other keywords than when it came."""
        values = {name: instance_row(instance)[name] for name in ("attributes", "content", "flaw")}
        with self.transaction() as connection:
            connection.execute(_where_instance(update(instances), instance).values(**values))

    def moves(self, uid: str) -> list[Move]:
        """Return a study's story, the oldest move first."""
        query = select(moves).where(moves.c.study_instance_uid == uid).order_by(moves.c.id)
        with self.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Move(**{name: row[name] for name in Move.__dataclass_fields__}) for row in rows]

    def known_paths(self) -> set[str]:
        """Return the spool path of every instance that should have a file."""
        with self.reading() as connection:
            return set(connection.execute(select(instances.c.path).where(instances.c.purged_at.is_(None))).scalars())

    def _study_row(self, connection: Connection, uid: str) -> RowMapping | None:
        """Return a study without the number of its instances: each move asks, and to count them takes longer."""
        return connection.execute(_STUDY, {"uid": uid}).mappings().first()


# What each arrival asks and writes: statements that are built once, for to build one takes longer than to execute it.
_THIS_INSTANCE = instances.c.sop_instance_uid == bindparam("uid")
_THIS_STUDY = studies.c.study_instance_uid == bindparam("uid")
_COPIES = select(*(instances.c[name] for name in Copy.__dataclass_fields__)).where(_THIS_INSTANCE)
_ONE_LIKE_IT = (
    select(instances.c.path)
    .where(instances.c.study_instance_uid == bindparam("study"), instances.c.content == bindparam("content"))
    .where(instances.c.sop_instance_uid != bindparam("uid"))
    .limit(1)
)
_NEW_INSTANCE = instances.insert()
_STUDY = select(studies).where(_THIS_STUDY)
_STATE = select(studies.c.state, studies.c.version, studies.c.next_at).where(_THIS_STUDY)
_CHANGED_STUDY = update(studies).where(_THIS_STUDY)  # the columns are those of the parameters

_INSTANCES = (
    select(func.count())
    .where(instances.c.study_instance_uid == studies.c.study_instance_uid, instances.c.kept)
    .correlate(studies)
    .scalar_subquery()
    .label("instances")
)


def _has_such(connection: Connection, new: Instance) -> bool:
    """Tell whether the study had an instance of this content before this one."""
    header = new.header
    asked = {"study": header.study_instance_uid, "content": header.content.name, "uid": header.sop_instance_uid}
    return connection.execute(_ONE_LIKE_IT, asked).first() is not None


def _where(uid: str) -> Any:
    return update(studies).where(studies.c.study_instance_uid == uid)


def _where_instance(statement: Any, new: Instance) -> Any:
    return statement.where(
        instances.c.sop_instance_uid == new.header.sop_instance_uid, instances.c.sha256 == new.sha256
    )
