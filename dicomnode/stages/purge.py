"""Deletes the files of studies that ended long enough ago; their rows and stories stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from dicomnode.store.journal import Journal
from dicomnode.store.keeping import WHENEVER, Terms, purge_rows, purgeable
from dicomnode.store.outbox import Outbox
from dicomnode.store.spool import Spool
from dicomnode.study import Study, StudyState

log = structlog.get_logger(__name__)

ENDED = (StudyState.DELIVERED, StudyState.IGNORED, StudyState.REJECTED)


@dataclass(frozen=True)
class Purger:
    """The stage: DELIVERED, IGNORED, REJECTED -> PURGED.

    What waits for a person or a destination is never touched, nor is what we promised a scanner to keep.
    """

    journal: Journal
    spool: Spool
    outbox: Outbox
    received_days: float
    derived_days: float
    promised_days: float = 0.0  # longer for received instances whose keeping we promised
    early_below_gb: float = 0.0  # less room than this: ended studies go before their time

    def run_once(self, now: datetime) -> int:
        """Purge every study whose time has come; return how many files were deleted."""
        days = (self.received_days, self.derived_days, self.promised_days)
        terms = Terms(*(now - timedelta(days=one) for one in days))
        return sum(self._purge(study, terms, now) for state in ENDED for study in purgeable(self.journal, state, terms))

    def make_room(self, now: datetime) -> int:
        """While the disk is short of room, purge studies that have ended, the oldest first; return how many files."""
        if self.spool.free_gb() >= self.early_below_gb:
            return 0
        terms = Terms(WHENEVER, WHENEVER, now - timedelta(days=self.promised_days))
        ended = [study for state in ENDED for study in purgeable(self.journal, state, terms)]
        count = 0
        for study in sorted(ended, key=lambda study: study.updated_at):
            count += self._purge(study, terms, now)
            if self.spool.free_gb() >= self.early_below_gb:
                break
        if count:
            log.warning("files purged before their time", count=count, free_gb=round(self.spool.free_gb(), 2))
        return count

    def _purge(self, study: Study, terms: Terms, now: datetime) -> int:
        received, derived = study.updated_at <= terms.received_before, study.updated_at <= terms.derived_before
        # rows first: should we die in between, the next start knows by the rows that the files may go; and what comes
        # again from here on gets another name, however late the files go
        gone = purge_rows(self.journal, study, received, derived, now, terms.promised_before)
        for path in gone.received:
            self.spool.remove(path)
        for path in gone.derived:
            self.outbox.spool.remove(path)
        count = len(gone.received) + len(gone.derived)
        if count:
            log.info("files purged", study=study.study_instance_uid, count=count)
        return count
