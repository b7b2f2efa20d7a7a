"""Fetches what a rule needs and a study lacks: finds it at a destination, has it come, checks that all is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from dicomnode.config import DestinationSettings, FetchSettings, RuleSettings
from dicomnode.errors import TransientFault
from dicomnode.store.fetches import Fetch, Fetches, FetchState
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import retry_at
from dicomnode.study import FoundSeries, SeriesQuery

log = structlog.get_logger(__name__)

MODALITIES = {"ct": "CT", "stress": "NM", "rest": "NM"}
WORDS = {"ct": "CT", "stress": "stress series", "rest": "rest series"}
WILDCARDS = frozenset("*?\\")

Find = Callable[[DestinationSettings, FetchSettings, SeriesQuery], Sequence[FoundSeries]]
Retrieve = Callable[[DestinationSettings, FetchSettings, FoundSeries], None]


@dataclass(frozen=True)
class Fetcher:
    """The stage, once per source: what was wanted -> instances in the spool, by the road that all instances take."""

    journal: Journal
    fetches: Fetches
    rules: Sequence[RuleSettings]
    source: DestinationSettings
    find: Find  # raises TransientFault
    retrieve: Retrieve  # raises TransientFault
    clock: Callable[[], datetime]
    stopping: Callable[[], bool]

    def run_once(self, now: datetime) -> int:
        """Make one attempt at everything that is due; return how much was fetched whole."""
        return sum(self._attempt(fetch) for fetch in self.fetches.due(self.source.name, now) if not self.stopping())

    def _attempt(self, fetch: Fetch) -> bool:
        settings = self._settings(fetch)
        if settings is None:
            self.fetches.end(fetch, FetchState.GIVEN_UP, "the rule that wanted it fetched is gone", self.clock())
            return False
        words = f"{WORDS[fetch.need]} from {fetch.source}"
        try:
            number = self._fetch(fetch, settings)
        except TransientFault as error:
            self._failed(fetch, settings, f"{words}: {error}")
            return False
        except _NotPossible as error:
            self._give_up(fetch, f"{words}: {error}")
            return False
        self.fetches.end(fetch, FetchState.DONE, f"{words}: {number} instances", self.clock())
        log.info("fetched", study=fetch.study_instance_uid, destination=fetch.source, count=number)
        return True

    def _settings(self, fetch: Fetch) -> FetchSettings | None:
        wanted = (fetch.rule, fetch.need, fetch.source)
        pairs = ((rule, one) for rule in self.rules for one in rule.fetch)
        return next((one for rule, one in pairs if (rule.name, one.need, one.source) == wanted), None)

    def _fetch(self, fetch: Fetch, settings: FetchSettings) -> int:
        """Return the number of instances that were found, all of which are here then."""
        found = self.find(self.source, settings, self._query(fetch, settings))
        if not found:
            raise TransientFault("nothing was found there")
        uids = [uid for series in found for uid in series.instances]
        if len(uids) > settings.max_instances:
            raise _NotPossible(f"{len(uids)} instances were found, more than max_instances = {settings.max_instances}")
        other = found[0].study_instance_uid
        companion = None if other == fetch.study_instance_uid else other
        now = self.clock()
        self.fetches.begin(fetch, companion, now + timedelta(seconds=settings.timeout_s), now)
        for series in found:
            if self.fetches.absent(series.instances):
                self.retrieve(self.source, settings, series)
        if missing := self.fetches.absent(uids):
            raise TransientFault(f"{len(missing)} of {len(uids)} instances did not come")
        return len(uids)

    def _query(self, fetch: Fetch, settings: FetchSettings) -> SeriesQuery:
        modality, pattern = MODALITIES[fetch.need], settings.series_description
        if not settings.days:
            return SeriesQuery(fetch.study_instance_uid, modality, pattern)
        known = self.journal.instances(fetch.study_instance_uid)[0].header.attributes
        patient_id, study_date = (known.get(keyword, ("",))[0] for keyword in ("PatientID", "StudyDate"))
        if not patient_id or WILDCARDS & set(patient_id):
            raise _NotPossible("the study has no Patient ID by which others of the patient can be found")
        issuer = known.get("IssuerOfPatientID", ("",))[0]
        dates = _range(study_date, settings.days)
        return SeriesQuery(fetch.study_instance_uid, modality, pattern, True, patient_id, issuer, study_date, dates)

    def _failed(self, fetch: Fetch, settings: FetchSettings, reason: str) -> None:
        attempts = fetch.attempts + 1
        if attempts > len(settings.retry_s):
            self._give_up(fetch, f"{reason}; {attempts} attempts")
            return
        now = self.clock()
        self.fetches.postpone(fetch, retry_at(now, attempts, settings.retry_s), reason)
        log.warning("not fetched", study=fetch.study_instance_uid, attempt=attempts, reason=reason)

    def _give_up(self, fetch: Fetch, reason: str) -> None:
        self.fetches.end(fetch, FetchState.GIVEN_UP, f"not fetched: {reason}", self.clock())
        log.warning("fetch given up", study=fetch.study_instance_uid, reason=reason)


class _NotPossible(Exception):
    """Trying again changes nothing; the text says why."""


def _range(study_date: str, days: int) -> str:
    """Return the DICOM date range around a date (PS3.4 C.2.2.2.5). Raises _NotPossible if it is no date."""
    try:
        middle = date.fromisoformat(study_date)
    except ValueError:
        raise _NotPossible("the study has no date around which others could be looked for") from None
    first, last = middle - timedelta(days=days), middle + timedelta(days=days)
    return f"{first:%Y%m%d}-{last:%Y%m%d}"
