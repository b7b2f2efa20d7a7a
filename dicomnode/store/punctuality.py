"""What waits in the journal for a moment that a clock which was set back since will not show for a long time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update

from dicomnode.store.fetches import FetchState
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import OPEN, names
from dicomnode.store.promises import PromiseState
from dicomnode.store.schema import deliveries, fetches, promises, studies
from dicomnode.study import StudyState

_UNFETCHED = (FetchState.WANTED.value, FetchState.BEGUN.value)
# each a moment, and the rows in which something is still to happen then, or is counted from then
_AWAITED = (
    (studies.c.next_at, studies.c.state.in_((StudyState.RECEIVING.value, StudyState.ROUTED.value))),
    (studies.c.last_instance_at, studies.c.state == StudyState.RECEIVING.value),
    (deliveries.c.next_at, deliveries.c.state.in_(names(OPEN))),
    (promises.c.next_at, promises.c.state == PromiseState.WAITING.value),
    (fetches.c.next_at, fetches.c.state.in_(_UNFETCHED)),
)


def is_ahead(journal: Journal, now: datetime) -> bool:
    """Tell whether the journal knows of a move that is yet to come: the clock was set back after it."""
    with journal.reading() as connection:
        latest: datetime | None = connection.execute(select(func.max(studies.c.updated_at))).scalar()
    return latest is not None and latest > now


def make_due(journal: Journal, now: datetime) -> int:
    """Make all that waits due at once, for how long it should have waited is no longer known; return how much it was.

    What is tried before its time does no harm; a study that an hour was added to does.
    """
    with journal.transaction() as connection:
        return sum(
            connection.execute(update(moment.table).where(waits, moment > now).values({moment: now})).rowcount
            for moment, waits in _AWAITED
        )
