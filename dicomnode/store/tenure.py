"""Which of the nodes that share a PostgreSQL journal is the active one: a lock, and the epoch that stands behind it.

The active node holds an advisory lock on a connection of its own. It ends with the process, and PostgreSQL itself ends
it when nothing was said on that connection for `silence_s`: then the node is frozen or cut off. Who gets the lock next
counts the epoch up by one. Every transaction that writes compares the epoch with the one that its node began with
(`Journal.transaction`), and waits its turn on the same row, so a node that wakes up late can't write into the journal
of its successor, whatever it believes. The lock decides who is next; the epoch alone decides who may write.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from sqlalchemy import Connection, inspect, select, update

from dicomnode.errors import ConfigurationError, TransientFault
from dicomnode.store.faults import TenureLost, faults
from dicomnode.store.folder import DataFolder
from dicomnode.store.migrations import bring_up
from dicomnode.store.postgres import tenure
from dicomnode.store.schema import connect, metadata

# one lock for each journal, also where several lie in schemas of one database
_LOCK = "hashtextextended('dicomnode ' || current_schema(), 0)"

_OLDEST = (14,)  # the first that ends a connection on which nothing is said


class Place(Enum):
    """How the place of the active node stands."""

    TAKEN = "a node holds it"
    LEFT = "nobody holds it, and nobody will come back to it"
    LOST = "nobody holds it at the moment; the last holder may have lost no more than its connection"


@dataclass(frozen=True)
class Holder:
    """The node that became the active one last."""

    name: str
    since: datetime


class Tenure:
    """One node's place among those that share the journal of `folder`. Used by one thread at a time.

    All methods raise TransientFault while the database is away.
    """

    def __init__(self, folder: DataFolder, silence_s: float) -> None:
        assert folder.database is not None  # noqa: S101 - a file is locked as a file
        self._folder, self._address, self._silence_s = folder, folder.database, silence_s
        self.engine = connect(self._address)
        self._connection: Connection | None = None  # that the lock is on
        self._has_lock = False
        self.epoch: int | None = None  # since this node became the active one

    def take(self, now: datetime) -> bool:
        """Become the active node if nobody else is; the tables are brought up. Tells whether it became so.

        Raises ConfigurationError if the data folder does not belong to the journal, or a newer version wrote it.
        """
        if not self._lock():
            return False
        try:
            with faults():
                bring_up(self.engine, metadata, self._address)
                self.epoch = self._begin(now)
        except BaseException:
            self.release()  # another one may do better
            raise
        return True

    def place(self) -> Place:
        """Look without taking: a node that is alive and lost its connection must find its place free when it is back.

        What this node itself lost in an earlier life it may have back at once.
        """
        if not self._lock():
            return Place.TAKEN
        with faults():
            try:
                connection = self._open()
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_LOCK})")
                self._has_lock = False
                last = holder_of(connection) if inspect(connection).has_table(tenure.name) else None
            except BaseException:
                self._forget()
                raise
        return Place.LEFT if last is None or last.name == self._folder.node else Place.LOST

    def renew(self) -> None:
        """Say that this node lives, and take the lock again if the connection was lost and nobody took it meanwhile.

        Raises TenureLost if another node has become the active one.
        """
        with faults():
            if not self._has_lock:
                self._lock()
            try:
                connection = self._open()
                row = connection.execute(select(tenure.c.epoch, tenure.c.holder)).one()
            except BaseException:
                self._forget()
                raise
        if row.epoch != self.epoch:
            raise TenureLost(f"{row.holder} has become the active node")

    def holder(self) -> Holder | None:
        """Return who became the active node last; None if nobody did, or it has left its place in good order."""
        with faults(), self.engine.begin() as connection:
            return holder_of(connection) if inspect(connection).has_table(tenure.name) else None

    def release(self) -> None:
        """Give up the lock, and leave open whether this node comes back."""
        self._forget()

    def leave(self) -> None:
        """Give up the place in good order: another node may take over at once."""
        if self._has_lock and self.epoch is not None:
            mine = update(tenure).where(tenure.c.epoch == self.epoch).values(since=None)
            with suppress(TransientFault), faults():  # then the other one waits a little
                self._open().execute(mine)
        self._forget()

    def close(self) -> None:
        """Leave the place and close all connections."""
        self.leave()
        self.engine.dispose()

    def _lock(self) -> bool:
        with faults():
            try:
                connection = self._open()
                self._has_lock = connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK})").scalar_one()
            except BaseException:
                self._forget()
                raise
        return self._has_lock

    def _open(self) -> Connection:
        """Return the connection of the lock, on which every statement stands for itself."""
        if self._connection is None:
            self._connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if (found := self.engine.dialect.server_version_info or ()) < _OLDEST:
                raise ConfigurationError(
                    f"node.journal: PostgreSQL {_OLDEST[0]} or newer is needed, this is {found[0]}"
                )
            milliseconds = round(self._silence_s * 1000)
            self._connection.exec_driver_sql(f"SET idle_session_timeout = {milliseconds}")
        return self._connection

    def _forget(self) -> None:
        self._has_lock = False
        if self._connection is not None:
            self._connection.invalidate()  # closed, not kept for others: the lock ends with it
            self._connection.close()
            self._connection = None

    def _begin(self, now: datetime) -> int:
        """Count the epoch up; from now on nothing that an earlier node writes is taken."""
        with self.engine.execution_options(writes=True).begin() as connection:
            mark = connection.execute(select(tenure.c.folder)).scalar_one()
            mine = self._mark(mark)
            values = {"holder": self._folder.node, "since": now.timestamp(), "folder": mine}
            statement = update(tenure).values(epoch=tenure.c.epoch + 1, **values).returning(tenure.c.epoch)
            return int(connection.execute(statement).scalar_one())

    def _mark(self, expected: str) -> str:
        """Return the mark of the data folder, which must be the journal's; a new journal and a new folder get one."""
        root, found = self._folder.root, self._folder.mark()
        if expected and found == expected:
            return expected
        if expected:
            raise ConfigurationError(
                f"node.data_dir: {root} is not the folder of this journal ({_said(found)}, the journal wants"
                f" {expected}); is the shared storage mounted there?"
            )
        if self._folder.is_used():
            raise ConfigurationError(
                f"node.data_dir: {root} holds instances or a journal, and the journal at node.journal is new; bring the"
                " file's studies there with `dicomnode move-journal`, or name an empty folder"
            )
        return found or self._folder.set_mark(secrets.token_hex(8))


def holder_of(connection: Connection) -> Holder | None:
    """Return who became the active node last, as a journal of PostgreSQL has it; None if nobody did, or it has left."""
    row = connection.execute(select(tenure.c.holder, tenure.c.since)).first()
    return None if row is None or row.since is None else Holder(row.holder, datetime.fromtimestamp(row.since, UTC))


def _said(mark: str) -> str:
    return f"it is marked {mark}" if mark else "it bears no mark"
