"""A copy of the journal, made while the node works, and put back; each is checked before it counts."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from dicomnode.errors import ConfigurationError
from dicomnode.store.folder import DataFolder, running
from dicomnode.store.spool import flush_folder

_PAGES = 256  # copied at a time; in between, others may write


_BY_ITS_OWN = (
    "node.journal: the journal is a PostgreSQL database, which has tools of its own: copy it with"
    " `pg_dump --format=custom --file=FILE DATABASE`, put it back with `pg_restore` while all nodes are stopped"
)


def back_up(data: DataFolder, folder: Path, now: datetime, keep: int) -> Path:
    """Copy the journal into `folder`, keep the newest `keep` copies there, and return the new one.

    What was committed before the call is in the copy. Raises ConfigurationError if there is no journal, or the copy
    does not hold together, or it is a PostgreSQL database; OSError if it can't be written.
    """
    if data.database is not None:
        raise ConfigurationError(_BY_ITS_OWN)
    journal = data.journal
    if not data.holds_journal():
        raise ConfigurationError(f"{journal}: there is no journal; no node has run on this folder yet")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"journal-{now:%Y%m%dT%H%M%SZ}.sqlite"
    half = target.with_suffix(".half")
    half.unlink(missing_ok=True)
    source = sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=10)
    with closing(source), closing(sqlite3.connect(half)) as copy:
        source.backup(copy, pages=_PAGES)
    check(half)
    _flush(half)
    half.rename(target)
    flush_folder(folder)
    for old in sorted(folder.glob("journal-*.sqlite"))[:-keep]:
        old.unlink()
    return target


def restore(copy: Path, folder: DataFolder, now: datetime) -> Path:
    """Put a copy in the journal's place and return where the former journal went. The node must not run.

    Instances that were received after the copy are in the spool and found there at the next start. Raises
    ConfigurationError if the node runs, the copy does not hold together, or the journal is a PostgreSQL database.
    """
    if folder.database is not None:
        raise ConfigurationError(_BY_ITS_OWN)
    if running(folder.lock) is not None:
        raise ConfigurationError(f"{folder.root}: the node is running; stop it first")
    check(copy)
    former = folder.journal.with_name(f"journal.sqlite.before-{now:%Y%m%dT%H%M%SZ}")
    half = folder.journal.with_suffix(".half")
    half.write_bytes(copy.read_bytes())
    _flush(half)
    if folder.journal.exists():
        folder.journal.rename(former)
        for suffix in ("-journal", "-wal", "-shm"):  # they belong to the former one, which they may still complete
            beside = folder.journal.with_name(folder.journal.name + suffix)
            if beside.exists():
                beside.rename(former.with_name(former.name + suffix))
    half.rename(folder.journal)
    flush_folder(folder.root)
    return former


def check(path: Path) -> None:
    """Raise ConfigurationError if the file is no journal that holds together."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            connection.execute("SELECT count(*) FROM studies").fetchone()
    except sqlite3.Error as error:
        raise ConfigurationError(f"{path}: is no copy of a journal ({error})") from None
    if found != "ok":
        raise ConfigurationError(f"{path}: the copy does not hold together ({found})")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
