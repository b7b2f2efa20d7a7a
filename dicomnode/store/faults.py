"""What the database says when it is busy, full or away, as the fault that every stage knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DatabaseError, InternalError, OperationalError, TimeoutError

from dicomnode.errors import ConfigurationError, TransientFault

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REMEDY = "stop the node and bring back a backup: dicomnode restore COPY"


@contextmanager
def faults() -> Iterator[None]:
    """Turn a busy, full or absent database into a TransientFault: nothing was committed, the same may succeed later."""
    try:
        yield
    except (OperationalError, InternalError) as error:
        # InternalError is how PostgreSQL tells of a transaction that it has ended, or that it may only be read now
        reason = " ".join(str(error.orig).split())
        raise TransientFault(f"the journal can't be used at the moment ({reason})") from error
    except TimeoutError as error:
        raise TransientFault("the journal can't be used at the moment (too many read it at once)") from error
    except DatabaseError as error:
        if not is_damage(error.orig):
            raise
        raise TransientFault(f"the journal is damaged ({error.orig}); {_REMEDY}") from error


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that is no sound journal into a ConfigurationError that names it."""
    try:
        yield
    except (sqlite3.DatabaseError, DatabaseError) as error:
        said = error.orig if isinstance(error, DatabaseError) else error
        if not is_damage(said):
            raise
        raise ConfigurationError(f"{path}: the journal is damaged ({said}); {_REMEDY}") from error


def is_damage(error: BaseException | None) -> bool:
    """Tell whether SQLite says that the file is none of its own, or does not hold together."""
    return isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


class TenureLost(TransientFault):
    """Another node has become the active one; nothing that this one still wants to write counts any more."""
