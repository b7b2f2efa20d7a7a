"""Fetching what a rule needs: asked for once the scanner is quiet, whole or not at all, and said why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from dicomnode.config import DestinationSettings, FetchSettings, RuleSettings
from dicomnode.errors import TransientFault
from dicomnode.stages.fetch import Fetcher
from dicomnode.store.fetches import Fetches, FetchState
from dicomnode.study import FoundSeries, SeriesQuery, StudyState
from tests.dicomnode.stages.road import PACS, RULE, Road
from tests.factories import a_tomo, as_file, quick_dataset, setting
from tests.fakes import after

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def a_rule(needs: Sequence[str] = ("projections", "ct"), **fetch: object) -> RuleSettings:
    settings = FetchSettings.model_validate({"need": needs[-1], "source": "pacs", "retry_s": [30.0, 120.0], **fetch})
    return RULE.model_copy(update={"needs": tuple(needs), "fetch": (settings,), "when": {"image_type": "TOMO"}})


def a_slice(study: str, number: int) -> bytes:
    return as_file(
        quick_dataset(
            SOPClassUID=CT_CLASS, StudyInstanceUID=study, SeriesInstanceUID=f"{study}.7",
            SOPInstanceUID=f"{study}.7.{number}", Modality="CT",
        )
    )  # fmt: skip


@dataclass
class Archive:
    """Finds `found`, and sends so many of its instances to the road when it is asked for them."""

    road: Road
    rule: RuleSettings
    sends: int = 3
    away: bool = False
    queries: list[SeriesQuery] = field(default_factory=list)
    retrieved: int = 0
    companion: str | None = None

    def __post_init__(self) -> None:
        self.road.assembler = replace(self.road.assembler, rules=[self.rule])
        self.fetches = Fetches(self.road.journal)
        self.uid = self.road.receive(a_tomo(change=setting(PatientID="P1", StudyDate="20260302")))
        self.road.associations.closed("a1")

    def find(self, _source: DestinationSettings, _settings: FetchSettings, query: SeriesQuery) -> list[FoundSeries]:
        """Find a CT of three slices."""
        self.queries.append(query)
        if self.away:
            raise TransientFault("nobody answers")
        study = self.companion or self.uid
        return [FoundSeries(study, f"{study}.7", tuple(f"{study}.7.{number}" for number in range(3)))]

    def retrieve(self, _source: DestinationSettings, _settings: FetchSettings, series: FoundSeries) -> None:
        """Send what there is of it."""
        self.retrieved += 1
        for number in range(self.sends):
            self.road.receive(a_slice(series.study_instance_uid, number), "move")
        self.road.associations.closed("move")

    def step(self, seconds: float) -> StudyState:
        """Let both stages look at this moment after noon; return the study's state."""
        self.road.now = after(seconds)
        self.road.assembler.run_once(self.road.now)
        Fetcher(
            self.road.journal, self.fetches, [self.rule], PACS, self.find, self.retrieve, lambda: self.road.now,
            lambda: False,
        ).run_once(self.road.now)  # fmt: skip
        return self.road.study(self.uid).state

    def fetch_state(self) -> FetchState:
        """Return where the one fetch stands."""
        (fetch,) = self.fetches.of(self.road.study(self.uid))
        return fetch.state


def test_a_ct_is_fetched_once_the_scanner_is_quiet_and_the_study_then_goes_on_with_all_of_it(a_road: Road) -> None:
    archive = Archive(a_road, a_rule())
    archive.step(1)
    assert archive.queries == [], "the scanner may still send it"
    archive.step(31)
    assert archive.fetch_state() is FetchState.DONE
    assert archive.step(32) is StudyState.RECEIVING, "quiet is counted anew"
    assert archive.step(62) is StudyState.ROUTED
    assert a_road.study(archive.uid).instances == 4
    assert a_road.study(archive.uid).version == 1
    assert "CT from pacs: 3 instances" in [move.reason for move in a_road.journal.moves(archive.uid)]


def test_a_scanner_that_sends_the_ct_itself_is_not_overtaken(a_road: Road) -> None:
    archive = Archive(a_road, a_rule())
    a_road.now = after(20)
    a_road.receive(a_slice(archive.uid, 0))
    a_road.associations.closed("a1")
    archive.step(40)
    assert archive.step(51) is StudyState.ROUTED
    assert archive.queries == []


def test_a_part_of_a_ct_is_never_processed_as_if_it_were_all(a_road: Road) -> None:
    archive = Archive(a_road, a_rule(), sends=2)
    archive.step(31)
    assert archive.fetch_state() is FetchState.BEGUN
    assert archive.step(70) is StudyState.RECEIVING
    for seconds in (100, 200, 300, 400):
        assert archive.step(seconds) is StudyState.RECEIVING
    assert archive.fetch_state() is FetchState.GIVEN_UP
    assert archive.retrieved == 3
    assert archive.step(4000) is StudyState.HELD
    assert "1 of 3 instances did not come; 3 attempts" in a_road.study(archive.uid).reason


def test_what_did_not_come_at_first_is_fetched_by_the_schedule(a_road: Road) -> None:
    archive = Archive(a_road, a_rule(), sends=2)
    archive.step(31)
    archive.sends = 3
    archive.step(60)
    assert archive.fetch_state() is FetchState.BEGUN
    archive.step(62)
    assert archive.fetch_state() is FetchState.DONE
    archive.step(63)
    assert archive.step(93) is StudyState.ROUTED


def test_an_archive_that_is_away_holds_the_study_in_the_end_with_the_reason(a_road: Road) -> None:
    archive = Archive(a_road, a_rule(), away=True)
    for seconds in (31, 62, 200):
        archive.step(seconds)
    assert archive.fetch_state() is FetchState.GIVEN_UP
    assert archive.step(1000) is StudyState.RECEIVING, "the scanner still has its time"
    assert archive.step(1801) is StudyState.HELD
    assert "CT did not come" in a_road.study(archive.uid).reason
    assert "nobody answers" in a_road.study(archive.uid).reason


def test_more_than_is_allowed_is_not_fetched_at_all(a_road: Road) -> None:
    archive = Archive(a_road, a_rule(max_instances=2))
    archive.step(31)
    assert archive.fetch_state() is FetchState.GIVEN_UP
    assert archive.retrieved == 0


def test_a_fetch_that_a_restart_interrupted_is_made_again_at_once(a_road: Road) -> None:
    archive = Archive(a_road, a_rule(), sends=2)
    archive.step(31)
    archive.fetches.again_at_once(after(33))
    archive.sends = 3
    archive.step(33)
    assert archive.fetch_state() is FetchState.DONE


def test_a_new_version_of_the_study_fetches_anew(a_road: Road) -> None:
    archive = Archive(a_road, a_rule(max_instances=2))
    archive.step(31)
    archive.step(1801)
    a_road.receive(as_file(quick_dataset(StudyInstanceUID=archive.uid, SOPInstanceUID="1.2.99")))
    a_road.associations.closed("a1")
    archive.step(1832)
    assert len(archive.queries) == 2


# --- other studies of the patient


def rest_rule(**fetch: object) -> RuleSettings:
    return a_rule(("projections", "rest"), days=7, **fetch)


def test_another_study_is_looked_for_by_patient_and_date_and_not_processed_itself(a_road: Road) -> None:
    archive = Archive(a_road, rest_rule(), companion="1.2.77")
    archive.step(31)
    (query,) = archive.queries
    assert (query.patient_id, query.dates, query.other_studies) == ("P1", "20260223-20260309", True)
    assert "P1" not in repr(query), "a query may come into a log"
    archive.step(62)
    companion = a_road.study("1.2.77")
    assert companion.state is StudyState.IGNORED
    assert f"fetched for study {archive.uid}" in companion.reason


@pytest.mark.parametrize("changes", [{"PatientID": "P*"}, {"PatientID": ""}, {"StudyDate": ""}])
def test_no_other_study_is_looked_for_where_it_might_be_another_patients(
    a_road: Road, changes: dict[str, object]
) -> None:
    archive = Archive(a_road, rest_rule())
    a_road.receive(a_tomo(change=setting(**{"PatientID": "P1", "StudyDate": "20260302", "StudyInstanceUID": "1.2.8",
                                             "SOPInstanceUID": "1.2.8.1", **changes})))  # fmt: skip
    a_road.associations.closed("a1")
    archive.uid = "1.2.8"
    archive.step(31)
    assert archive.fetch_state() is FetchState.GIVEN_UP
    assert len(archive.queries) == 1, "the sound study's"
