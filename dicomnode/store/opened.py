"""The journal and the outbox of a data folder, opened for a command that looks on or decides while the node runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox
from dicomnode.store.schema import open_database
from dicomnode.store.spool import Spool


@dataclass(frozen=True)
class Stores:
    """Both ends of the same database."""

    journal: Journal
    outbox: Outbox


@contextmanager
def existing(journal: Path, derived: Path) -> Iterator[Stores | None]:
    """Open what is there; None if no node has ever run on this folder, which is then left as it is."""
    if not journal.is_file():
        yield None
        return
    opened = Journal(open_database(journal))
    try:
        yield Stores(opened, Outbox(opened, Spool(derived)))
    finally:
        opened.close()
