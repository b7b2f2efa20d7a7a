"""The journal: one copy, one story, one owner of an attempt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from dicomnode.store.journal import Journal
from dicomnode.store.rows import Arrival
from dicomnode.store.schema import open_database
from dicomnode.study import Event, Instance, InstanceContent, Study, StudyState
from tests.dicomnode.store.conftest import Where
from tests.fakes import NOON, after, an_instance

ROUTE = {"pipeline": "reconstruction", "rule": "all", "destinations": ["pacs"], "sources": ["1.2.3"], "next_at": NOON}


@pytest.fixture
def a_journal(where: Where) -> Iterator[Journal]:
    journal = Journal(open_database(where))
    yield journal
    journal.close()


def routed(journal: Journal) -> None:
    journal.record_instance(an_instance(), NOON)
    study = journal.study("1.2")
    assert study is not None
    assert journal.decide(study, Event.WHOLE, "whole", NOON, **ROUTE)


def state(journal: Journal, uid: str = "1.2") -> StudyState:
    study = journal.study(uid)
    assert study is not None
    return study.state


def test_an_instance_is_found_again_as_it_was_recorded(a_journal: Journal) -> None:
    instance = an_instance(Modality="NM", ImageType=("ORIGINAL", "PRIMARY", "TOMO", "EMISSION"), flaw="one frame short")
    assert a_journal.record_instance(instance, NOON) is Arrival.NEW
    assert a_journal.instances("1.2") == [instance]


def test_the_same_instance_again_changes_nothing(a_journal: Journal) -> None:
    a_journal.record_instance(an_instance(), NOON)
    before = a_journal.study("1.2")
    assert a_journal.record_instance(an_instance(), after(5)) is Arrival.DUPLICATE
    assert a_journal.study("1.2") == before


def test_other_content_under_a_taken_uid_holds_the_study_and_keeps_both(a_journal: Journal) -> None:
    routed(a_journal)
    other = an_instance(sha256="b" * 64)
    assert a_journal.record_instance(other, after(5)) is Arrival.CONFLICT
    assert state(a_journal) is StudyState.HELD
    assert [i.sha256 for i in a_journal.instances("1.2")] == ["a" * 64]
    assert [i.sha256 for i in a_journal.instances("1.2", kept=False)] == ["b" * 64]
    assert "came again with other content" in a_journal.moves("1.2")[-1].reason
    assert a_journal.record_instance(other, after(6)) is Arrival.DUPLICATE


def test_a_uid_that_another_study_took_holds_the_newcomer_and_leaves_the_other_alone(a_journal: Journal) -> None:
    routed(a_journal)
    assert a_journal.record_instance(an_instance(study="9.9", sha256="b" * 64), NOON) is Arrival.CONFLICT
    assert state(a_journal) is StudyState.ROUTED
    assert state(a_journal, "9.9") is StudyState.HELD


def test_a_late_instance_makes_a_new_version_of_the_study(a_journal: Journal) -> None:
    routed(a_journal)
    late = an_instance("1.2.4", content=InstanceContent.CT, sha256="c" * 64)
    a_journal.record_instance(late, after(60))
    study = a_journal.study("1.2")
    assert study is not None
    assert (study.state, study.version, study.instances) == (StudyState.RECEIVING, 2, 2)
    a_journal.record_instance(replace(late, path="x", header=replace(late.header, sop_instance_uid="1.2.5")), after(61))
    study = a_journal.study("1.2")
    assert study is not None
    assert study.version == 2


def test_a_decision_on_what_has_changed_meanwhile_is_not_carried_out(a_journal: Journal) -> None:
    a_journal.record_instance(an_instance(), NOON)
    seen = a_journal.study("1.2")
    assert seen is not None
    a_journal.record_instance(an_instance("1.2.4", sha256="c" * 64), after(1))
    assert not a_journal.decide(seen, Event.NO_RULE, "nobody wants it", after(2))
    assert state(a_journal) is StudyState.RECEIVING


def an_other(number: int) -> Instance:
    """Return an instance that completes nothing by itself."""
    return an_instance(f"1.2.{number}", content=InstanceContent.OTHER, sha256=f"{number:064}")


def looks_due(journal: Journal, moment: datetime) -> list[Study]:
    return journal.due(StudyState.RECEIVING, moment)


def test_more_of_the_same_has_a_study_looked_at_when_it_is_quiet_and_what_is_new_to_it_at_once(
    a_journal: Journal,
) -> None:
    a_journal.record_instance(an_other(1), NOON, quiet_at=after(30))
    (seen,) = looks_due(a_journal, NOON)  # the first of all
    a_journal.set_waiting(seen, after(30), "waits")
    for second in range(1, 20):
        a_journal.record_instance(an_other(second + 1), after(second), quiet_at=after(second + 30))
    assert looks_due(a_journal, after(48)) == []
    assert len(looks_due(a_journal, after(49))) == 1
    slice_of_ct = an_instance("1.2.90", content=InstanceContent.CT, sha256="c" * 64)
    a_journal.record_instance(slice_of_ct, after(20), quiet_at=after(50))
    assert len(looks_due(a_journal, after(20))) == 1


def test_what_may_complete_a_study_has_it_looked_at_at_once_and_more_of_the_rest_does_not_put_that_off(
    a_journal: Journal,
) -> None:
    a_journal.record_instance(an_other(1), NOON, quiet_at=after(30))
    (seen,) = looks_due(a_journal, NOON)
    a_journal.set_waiting(seen, after(30), "waits")
    a_journal.record_instance(an_instance("1.2.90"), after(1))
    a_journal.record_instance(an_other(2), after(2), quiet_at=after(32))
    assert len(looks_due(a_journal, after(2))) == 1


def test_a_look_counts_although_more_of_the_same_came_meanwhile_and_not_if_more_came_than_that(
    a_journal: Journal,
) -> None:
    a_journal.record_instance(an_other(1), NOON, quiet_at=after(30))
    (seen,) = looks_due(a_journal, NOON)
    a_journal.record_instance(an_other(2), after(1), quiet_at=after(31))
    a_journal.set_waiting(seen, after(30), "waits")
    assert looks_due(a_journal, after(29)) == []
    (seen,) = looks_due(a_journal, after(30))
    a_journal.record_instance(an_instance("1.2.90"), after(30.5))
    a_journal.set_waiting(seen, after(60), "waits")
    assert len(looks_due(a_journal, after(31))) == 1


def test_an_attempt_counts_from_its_claim_and_only_its_owner_may_end_it(a_journal: Journal) -> None:
    routed(a_journal)
    first = a_journal.claim(NOON, 60)
    assert first is not None
    assert first.study.attempts == 1
    assert a_journal.claim(NOON, 60) is None
    assert [claim.token for claim in a_journal.expired_claims(after(61))] == [first.token]
    assert a_journal.end_attempt(first, Event.ATTEMPT_FAILED, "lost", after(61), next_at=after(61))
    second = a_journal.claim(after(62), 60)
    assert second is not None
    assert second.study.attempts == 2
    assert not a_journal.end_attempt(first, Event.ATTEMPT_FAILED, "the late twin", after(63))
    assert state(a_journal) is StudyState.PROCESSING


def test_a_story_does_not_run_backwards_when_a_thread_waited_for_its_turn(a_journal: Journal) -> None:
    routed(a_journal)
    claim = a_journal.claim(after(10.398), 60)
    assert claim is not None
    assert a_journal.end_attempt(claim, Event.ATTEMPT_FAILED, "lost", after(10.381), next_at=after(20))
    assert [move.at for move in a_journal.moves("1.2")] == [NOON, NOON, after(10.398), after(10.398)]


def test_a_clock_that_was_set_back_is_told_as_it_is(a_journal: Journal) -> None:
    routed(a_journal)
    claim = a_journal.claim(after(3600), 60)
    assert claim is not None
    assert a_journal.end_attempt(claim, Event.ATTEMPT_FAILED, "lost", after(10), next_at=after(20))
    assert a_journal.moves("1.2")[-1].at == after(10)


def test_the_most_urgent_study_is_claimed_first_and_none_before_its_time(a_journal: Journal) -> None:
    for number, (priority, due) in enumerate([(0, 0), (5, 0), (9, 100)]):
        a_journal.record_instance(an_instance(f"1.{number}.1", f"1.{number}", sha256=str(number) * 64), after(number))
        study = a_journal.study(f"1.{number}")
        assert study is not None
        a_journal.decide(study, Event.WHOLE, "whole", NOON, **{**ROUTE, "priority": priority, "next_at": after(due)})
    order = [claim.study.study_instance_uid for claim in iter(lambda: a_journal.claim(after(10), 60), None)]
    assert order == ["1.1", "1.0"]


def test_many_associations_at_once_record_every_instance_once(a_journal: Journal) -> None:
    outcomes: list[Arrival] = []

    def send(number: int) -> None:
        for index in range(10):
            instance = an_instance(f"1.2.{index}", sha256=f"{index:064}")
            outcomes.append(a_journal.record_instance(replace(instance, path=f"{index}.dcm"), after(number)))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(Arrival.NEW) == 10
    assert outcomes.count(Arrival.DUPLICATE) == 70
    assert len(a_journal.instances("1.2")) == 10


def test_what_was_committed_is_there_after_the_journal_was_opened_anew(where: Where) -> None:
    first = Journal(open_database(where))
    routed(first)
    second = Journal(open_database(where))
    assert state(second) is StudyState.ROUTED
    assert [move.event for move in second.moves("1.2")] == ["FIRST_INSTANCE", "WHOLE"]
    first.close()
    second.close()


def test_the_file_is_flushed_at_every_commit(tmp_path: Path) -> None:
    journal = Journal(open_database(tmp_path / "journal.sqlite"))
    with journal.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    journal.close()
