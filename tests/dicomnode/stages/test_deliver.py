"""Delivering: the schedule, what counts as delivered, and when a destination is given up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicomnode.config import DestinationSettings
from dicomnode.stages.deliver import Deliverer
from dicomnode.store.outbox import DeliveryState, retry_at
from dicomnode.study import SendOutcome, StudyState
from tests.dicomnode.stages.road import PACS, Road, a_result
from tests.factories import a_tomo, setting
from tests.fakes import NOON, FakeSender, after

OK, REFUSED, LATER = SendOutcome.DELIVERED, SendOutcome.REFUSED, SendOutcome.TRANSIENT


def derived(road: Road) -> str:
    road.answers.append(a_result())
    return road.process(a_tomo())


def test_a_study_is_delivered_when_every_instance_was_taken(a_road: Road) -> None:
    uid = derived(a_road)
    assert len(a_road.deliver(OK, OK).sent) == 2
    assert a_road.study(uid).state is StudyState.DELIVERED
    assert a_road.deliver().sent == []


def test_a_destination_that_is_away_is_tried_again_by_its_schedule(a_road: Road) -> None:
    uid = derived(a_road)
    a_road.deliver("away")
    assert [d.attempts for d in a_road.outbox.deliveries(uid)] == [1, 1]
    a_road.now = after(4)
    assert a_road.deliver().sent == []
    a_road.now = after(6)
    a_road.deliver("away")
    a_road.now = after(6 + 31)
    a_road.deliver(OK, OK)
    assert a_road.study(uid).state is StudyState.DELIVERED
    assert [d.attempts for d in a_road.outbox.deliveries(uid)] == [3, 3]


def test_what_was_taken_before_the_destination_went_away_is_not_sent_again(a_road: Road) -> None:
    uid = derived(a_road)
    first = a_road.deliver(OK, "away").sent
    a_road.now = after(10)
    second = a_road.deliver(OK).sent
    assert len(first) == len(second) == 1
    assert first != second
    assert a_road.study(uid).state is StudyState.DELIVERED


def test_a_refusal_for_good_fails_the_study_once_the_rest_is_through(a_road: Road) -> None:
    uid = derived(a_road)
    a_road.deliver(REFUSED, LATER)
    assert a_road.study(uid).state is StudyState.DELIVERING
    a_road.now = after(10)
    a_road.deliver(OK)
    study = a_road.study(uid)
    assert study.state is StudyState.FAILED
    assert "pacs refused 1 instance" in study.reason


def test_a_destination_is_given_up_after_its_time(a_road: Road) -> None:
    uid = derived(a_road)
    a_road.now = after(73 * 3600)
    a_road.deliver("away")
    assert {d.state for d in a_road.outbox.deliveries(uid)} == {DeliveryState.GIVEN_UP}
    assert a_road.study(uid).state is StudyState.FAILED


def test_a_destination_is_given_up_at_its_time_and_not_at_the_attempt_after_it(a_road: Road) -> None:
    uid = derived(a_road)
    briefly = PACS.model_copy(update={"retry_s": (1.0,), "give_up_h": 0.001})
    for second in (0, 1, 4):
        a_road.now = after(second)
        a_road.deliver("away", to=briefly)
    assert {d.state for d in a_road.outbox.deliveries(uid)} == {DeliveryState.GIVEN_UP}
    assert a_road.study(uid).state is StudyState.FAILED


def test_what_waits_for_a_destination_is_due_at_once_when_that_was_changed(a_road: Road) -> None:
    derived(a_road)
    a_road.deliver("away")
    a_road.now = after(1)
    assert a_road.deliver().sent == []
    a_road.outbox.hasten("pacs", a_road.now)
    assert len(a_road.deliver(OK, OK).sent) == 2


def test_one_destination_that_is_away_does_not_hold_up_another(a_road: Road) -> None:
    rule = a_road.rules[0].model_copy(update={"destinations": ("pacs", "archive")})
    a_road.assembler = replace(a_road.assembler, rules=[rule])
    uid = derived(a_road)
    a_road.deliver("away")
    archive = DestinationSettings(name="archive", ae_title="ARCHIVE", host="127.0.0.1", port=4243)
    paths = {a_road.outbox.spool.path(d.path): d.sop_instance_uid for d in a_road.outbox.deliveries(uid)}
    sender = FakeSender(paths, [OK, OK])
    Deliverer(a_road.outbox, archive, sender, lambda: a_road.now, lambda: False).run_once(a_road.now)
    states = {(d.destination, d.state) for d in a_road.outbox.deliveries(uid)}
    assert states == {("pacs", DeliveryState.WAITING), ("archive", DeliveryState.SENT)}
    assert a_road.study(uid).state is StudyState.DELIVERING


def test_while_a_destination_is_away_the_studies_that_wait_for_it_are_not_written(
    a_road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = derived(a_road)
    a_road.deliver("away")
    monkeypatch.setattr(a_road.journal, "transaction", lambda: pytest.fail("a transaction that writes"))
    assert a_road.outbox.settle(after(1)) == []
    monkeypatch.undo()
    a_road.now = after(6)
    a_road.deliver(OK, OK)
    assert a_road.study(uid).state is StudyState.DELIVERED


def test_a_derived_file_that_is_gone_fails_its_study_and_nobody_elses(a_road: Road) -> None:
    broken = derived(a_road)
    a_road.outbox.spool.path(a_road.outbox.deliveries(broken)[0].path).unlink()
    a_road.answers.append(a_result())
    whole = a_road.process(a_tomo(change=setting(SOPInstanceUID="1.2.3.4", StudyInstanceUID="1.2.3")))
    assert len(a_road.deliver(OK, OK, OK).sent) == 3
    assert a_road.study(whole).state is StudyState.DELIVERED
    assert a_road.study(broken).state is StudyState.FAILED
    assert "missing from the outbox" in a_road.study(broken).reason


def test_the_schedule_ends_in_hourly_attempts() -> None:
    waits = [(retry_at(NOON, attempt, PACS.retry_s) - NOON).total_seconds() for attempt in range(1, 8)]
    assert waits == [5, 30, 120, 600, 3600, 3600, 3600]
