"""Many who write at once, each on connections of its own as a process has them: nobody's work is lost or done twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from dicomnode.store.journal import Journal
from dicomnode.store.rows import Arrival
from dicomnode.store.schema import open_database
from dicomnode.store.trail import Trail
from dicomnode.study import Event
from tests.dicomnode.store.conftest import Where
from tests.fakes import NOON, after, an_instance

WRITERS = 4
STUDIES = 12
ROUTE = {"pipeline": "reconstruction", "rule": "all", "destinations": ["pacs"], "sources": ["1.2.3"], "next_at": NOON}


@pytest.fixture
def journals(where: Where) -> Iterator[list[Journal]]:
    opened = [Journal(open_database(where)) for _ in range(WRITERS)]
    yield opened
    for journal in opened:
        journal.close()


def at_once(journals: list[Journal], work: Callable[[Journal], None]) -> None:
    """Do the work on each journal, each in a thread of its own; an error of one is the test's."""
    errors: list[BaseException] = []

    def run(journal: Journal) -> None:
        try:
            work(journal)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=run, args=(journal,)) for journal in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def fill(journal: Journal) -> None:
    for number in range(STUDIES):
        journal.record_instance(an_instance(f"1.{number}.1", f"1.{number}", sha256=f"{number:064}"), NOON)
        study = journal.study(f"1.{number}")
        assert study is not None
        assert journal.decide(study, Event.WHOLE, "whole", NOON, **ROUTE)


def test_each_study_is_claimed_once(journals: list[Journal]) -> None:
    fill(journals[0])
    claimed: list[str] = []

    def claim_all(journal: Journal) -> None:
        while (claim := journal.claim(after(1), 60)) is not None:
            claimed.append(claim.study.study_instance_uid)

    at_once(journals, claim_all)
    assert Counter(claimed) == {f"1.{number}": 1 for number in range(STUDIES)}
    assert journals[0].counts() == {"PROCESSING": STUDIES}


def test_only_one_of_those_who_saw_a_study_as_it_was_may_decide(journals: list[Journal]) -> None:
    journals[0].record_instance(an_instance(), NOON)
    seen = journals[0].study("1.2")
    assert seen is not None
    decided: list[bool] = []
    at_once(journals, lambda journal: decided.append(journal.decide(seen, Event.WHOLE, "whole", NOON, **ROUTE)))
    assert sorted(decided) == [False] * (WRITERS - 1) + [True]


def test_each_instance_is_recorded_once_and_every_move_is_followed_in_order(journals: list[Journal]) -> None:
    trail, followed = Trail(journals[0], "test"), []
    ended, outcomes = threading.Event(), []

    def record(journal: Journal) -> None:
        for number in range(STUDIES):
            instance = an_instance(f"1.{number}.1", f"1.{number}", sha256=f"{number:064}")
            outcomes.append(journal.record_instance(replace(instance, path=f"{number}.dcm"), NOON))

    def follow() -> None:
        last = False
        while not last:
            last = ended.is_set()
            for step in trail.ahead():
                followed.append(step)
                trail.followed(step)

    follower = threading.Thread(target=follow)
    follower.start()
    at_once(journals[1:], record)
    ended.set()
    follower.join()
    assert Counter(outcomes) == {Arrival.NEW: STUDIES, Arrival.DUPLICATE: STUDIES * (WRITERS - 2)}
    assert Counter(step.study_instance_uid for step in followed) == {f"1.{number}": 1 for number in range(STUDIES)}
    assert [step.position for step in followed] == sorted(step.position for step in followed)
