"""What the database says when it is busy, full or away, as the fault that every stage knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import InternalError, OperationalError, TimeoutError

from dicomnode.errors import TransientFault


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


class TenureLost(TransientFault):
    """Another node has become the active one; nothing that this one still wants to write counts any more."""
