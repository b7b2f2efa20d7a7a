"""The journal and the outbox of a data folder, opened for a command that looks on or decides while the node runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dicomnode.store.faults import faults
from dicomnode.store.folder import DataFolder
from dicomnode.store.journal import Journal
from dicomnode.store.migrations import is_of_today
from dicomnode.store.outbox import Outbox
from dicomnode.store.schema import connect, open_database
from dicomnode.store.spool import Spool


@dataclass(frozen=True)
class Stores:
    """Both ends of the same database."""

    journal: Journal
    outbox: Outbox


@contextmanager
def existing(folder: DataFolder) -> Iterator[Stores | None]:
    """Open what is there; None if no node has ever run on this folder, which is then left as it is.

    Raises TransientFault if the journal can't be reached, ConfigurationError if it is not for this version to read.
    """
    if (opened := _open(folder)) is None:
        yield None
        return
    try:
        yield Stores(opened, Outbox(opened, Spool(folder.derived)))
    finally:
        opened.close()


def _open(folder: DataFolder) -> Journal | None:
    if folder.database is None:
        return Journal(open_database(folder.journal)) if folder.holds_journal() else None
    engine = connect(folder.database)
    with faults():
        there = is_of_today(engine, folder.database)
    if not there:
        engine.dispose()
    return Journal(engine) if there else None
