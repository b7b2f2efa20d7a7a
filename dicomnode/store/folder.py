"""The data folder: where everything lies that must outlive the node, and the lock that lets one node work on it."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from dicomnode.config import NodeSettings
from dicomnode.errors import ConfigurationError
from dicomnode.store.spool import SUFFIX, flush_folder

_LOCK_TRIES = 10
_FACTS_LETTERS = 4000


@dataclass(frozen=True)
class DataFolder:
    """The folder that holds all that must outlive the node; the journal may be in a PostgreSQL database instead.

    Such a folder several nodes may share, one of which works at a time. `node` is the name of this one.
    """

    root: Path
    database: str | None = None  # its address
    node: str = ""

    @classmethod
    def of(cls, settings: NodeSettings) -> DataFolder:
        """Return the folder that the configuration names."""
        return cls(settings.data_dir, settings.journal, settings.name or socket.gethostname())

    @property
    def spool(self) -> Path:
        """Received instances."""
        return self.root / "spool"

    @property
    def derived(self) -> Path:
        """Derived instances."""
        return self.root / "derived"

    @property
    def journal(self) -> Path:
        """The SQLite file, where the journal is none of PostgreSQL."""
        return self.root / "journal.sqlite"

    @property
    def lock(self) -> Path:
        """Held by the running node; holds what `status` tells of it.

        Nodes that share a folder have one each: which of them works is decided in the database.
        """
        return self.root / ("node.lock" if self.database is None else f"node-{self.node}.lock")

    @property
    def trial(self) -> Path:
        """What this node writes to see whether the folder can be written."""
        return self.root / f"node-{self.node}.trial"

    @property
    def _mark(self) -> Path:
        return self.root / "journal.id"

    def mark(self) -> str:
        """Return what tells to which journal of PostgreSQL the folder belongs; "" if to none."""
        return self._mark.read_text("utf-8").strip() if self._mark.is_file() else ""

    def set_mark(self, mark: str) -> str:
        """Make the folder that of one journal and return the mark."""
        half = self._mark.with_suffix(".half")
        with half.open("w", encoding="utf-8") as file:
            file.write(mark)
            file.flush()
            os.fsync(file.fileno())
        half.rename(self._mark)
        flush_folder(self.root)
        return mark

    def holds_journal(self) -> bool:
        """Tell whether the journal's file is there. Raises ConfigurationError if this user may not work with it."""
        with _allowed(self.root):
            there = self.journal.is_file()
            if there and not os.access(self.journal, os.R_OK | os.W_OK, effective_ids=True):
                raise PermissionError
        return there

    def is_used(self) -> bool:
        """Tell whether there are instances here, or a journal as a file."""
        instances = (path for folder in (self.spool, self.derived) for path in folder.rglob(f"*{SUFFIX}"))
        return self.journal.exists() or next(instances, None) is not None

    def create(self) -> None:
        """Make the folder, for this user alone.

        Raises ConfigurationError if that is not possible, or the folder belongs to a journal that is not named.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise ConfigurationError(
                f"node.data_dir: {self.root} can't be used ({error.strerror}); name a folder that this user may write"
            ) from error
        if self.database is None and self.mark():
            # a new journal would know none of the files here, and what it doesn't know is deleted or taken in anew
            raise ConfigurationError(
                f"node.data_dir: the journal of {self.root} is in a PostgreSQL database; name it in node.journal,"
                " as the other node does"
            )


def take_lock(path: Path) -> TextIO:
    """Make sure that only one node works on a data folder; the lock ends with the process.

    Raises ConfigurationError if another one does.
    """
    # made if it is not there, and never appended to: `write_facts` replaces what it says
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+", encoding="utf-8")
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            time.sleep(0.05)  # `status` holds the lock for an instant to see whether a node does
        except OSError as error:
            file.close()
            raise ConfigurationError(
                f"node.data_dir: files in {path.parent} can't be locked ({error.strerror}); mount it with locks"
            ) from error
    file.close()
    raise ConfigurationError(f"node.data_dir: another node is working on {path.parent}; stop it first")


def write_facts(lock: TextIO, facts: Mapping[str, object]) -> None:
    """Replace what the running node says of itself; padded, so that one write replaces all that is read."""
    lock.seek(0)
    lock.write(json.dumps(facts).ljust(_FACTS_LETTERS))
    lock.flush()
    lock.truncate()


def running(path: Path) -> dict[str, object] | None:
    """Return what the node that holds this lock says of itself; None if none is running.

    Raises ConfigurationError if this user may not read it.
    """
    try:
        with _allowed(path.parent), path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                return _facts(file.read())
    except FileNotFoundError:
        return None


@contextmanager
def _allowed(folder: Path) -> Iterator[None]:
    """Turn the refusal of the system into a sentence: the data folder is for the node's own user alone."""
    try:
        yield
    except PermissionError:
        owner = _user(lambda: folder.stat().st_uid)
        raise ConfigurationError(
            f"node.data_dir: {folder} can't be read by {_user(os.geteuid)}:"
            f" run it as the node's user (sudo -u {owner} dicomnode status)"
        ) from None


def _user(number: Callable[[], int]) -> str:
    try:
        return pwd.getpwuid(number()).pw_name
    except (KeyError, OSError):  # no such user any more; a folder that can't even be looked at
        return "dicomnode"


def _facts(text: str) -> dict[str, object]:
    try:
        facts = json.loads(text)
    except ValueError:  # a node that has just taken the lock has not said anything yet
        return {}
    return facts if isinstance(facts, dict) else {}
