"""The data folder: where everything lies that must outlive the node, and the lock that lets one node work on it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from dicomnode.errors import ConfigurationError

_LOCK_TRIES = 10
_FACTS_LETTERS = 4000


@dataclass(frozen=True)
class DataFolder:
    """The folder that holds all that must outlive the node."""

    root: Path

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
        """The SQLite file."""
        return self.root / "journal.sqlite"

    @property
    def lock(self) -> Path:
        """Held by the running node; holds what `status` tells of it."""
        return self.root / "node.lock"

    def create(self) -> None:
        """Make the folder, for this user alone. Raises ConfigurationError if that is not possible."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise ConfigurationError(
                f"node.data_dir: {self.root} can't be used ({error.strerror}); name a folder that this user may write"
            ) from error


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
    file.close()
    raise ConfigurationError(f"node.data_dir: another node is working on {path.parent}; stop it first")


def write_facts(lock: TextIO, facts: Mapping[str, object]) -> None:
    """Replace what the running node says of itself; padded, so that one write replaces all that is read."""
    lock.seek(0)
    lock.write(json.dumps(facts).ljust(_FACTS_LETTERS))
    lock.flush()
    lock.truncate()


def running(path: Path) -> dict[str, object] | None:
    """Return what the node that holds this lock says of itself; None if none is running."""
    try:
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                return _facts(file.read())
    except FileNotFoundError:
        return None


def _facts(text: str) -> dict[str, object]:
    try:
        facts = json.loads(text)
    except ValueError:  # a node that has just taken the lock has not said anything yet
        return {}
    return facts if isinstance(facts, dict) else {}
