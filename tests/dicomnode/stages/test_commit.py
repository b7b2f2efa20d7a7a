"""Asking for promises: what is asked when, what a report changes, and how it ends where no promise comes."""

from __future__ import annotations

from dicomnode.stages.operate import reject, requeue
from dicomnode.store.keeping import purge_rows
from dicomnode.store.outbox import DeliveryState
from dicomnode.study import CommitmentRequest, StudyState
from tests.dicomnode.stages.promising import ASKED, Promising
from tests.dicomnode.stages.road import Road
from tests.fakes import NOON, after

NO_SUCH_OBJECT, OTHER_CLASS = 0x0112, 0x0119
SENT, WAITING = DeliveryState.SENT, DeliveryState.WAITING
OPEN, KEPT, LOST = DeliveryState.UNCOMMITTED, DeliveryState.COMMITTED, DeliveryState.NOT_COMMITTED


def test_a_study_is_delivered_once_all_of_it_is_promised_and_not_when_it_is_sent(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    assert study.states() == [OPEN, OPEN]
    assert study.requests == [], "one request for all of a study, not one for each instance that was sent"
    study.step(3)
    (request,) = study.requests
    assert len(request.references) == 2
    assert study.state() is StudyState.DELIVERING
    assert study.report(request)
    assert study.states() == [KEPT, KEPT]
    assert study.state() is StudyState.DELIVERED
    assert "2 of them committed" in a_road.study(study.uid).reason


def test_what_the_destination_does_not_have_is_sent_and_asked_again(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    study.step(3)
    lost = study.requests[0].references[0]
    study.report(study.requests[0], [(lost, NO_SUCH_OBJECT)])
    assert sorted(study.states(), key=str) == sorted([KEPT, WAITING], key=str)
    assert study.step(4) == []
    assert study.step(9) == [lost.sop_instance_uid]
    study.step(12)
    assert study.requests[1].references == (lost,)
    study.report(study.requests[1])
    assert study.state() is StudyState.DELIVERED


def test_a_destination_that_loses_everything_fails_the_study_after_the_allowed_resends(a_road: Road) -> None:
    study = Promising(a_road)
    moments = iter(range(0, 100_000, 1000))
    for _ in range(ASKED.commitment_resends + 1):
        assert len(study.step(next(moments))) == 2
        study.step(next(moments))
        study.report(study.requests[-1], [(one, NO_SUCH_OBJECT) for one in study.requests[-1].references])
    assert study.states() == [LOST, LOST]
    assert study.state() is StudyState.FAILED
    assert "did not commit" in a_road.study(study.uid).reason
    assert "0x0112" in a_road.study(study.uid).reason


def test_a_failure_that_sending_again_can_not_mend_is_final_at_once(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    study.step(3)
    study.report(study.requests[0], [(one, OTHER_CLASS) for one in study.requests[0].references])
    assert study.state() is StudyState.FAILED


def test_a_destination_that_never_reports_is_asked_again_and_given_up_after_its_time(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    study.step(3)
    study.step(50)
    assert len(study.requests) == 1
    study.step(104)
    assert len({request.transaction_uid for request in study.requests}) == 2
    study.step(73 * 3600)
    study.step(73 * 3600 + 1)
    assert study.states() == [LOST, LOST]
    assert study.state() is StudyState.FAILED
    assert "no promise within 72 h" in a_road.study(study.uid).reason


def test_a_destination_that_can_not_be_asked_is_asked_by_the_schedule(a_road: Road) -> None:
    study = Promising(a_road, away=True)
    study.step(0)
    study.step(3)
    assert {d.message for d in a_road.outbox.deliveries(study.uid)} == {"nobody answers"}
    study.away = False
    study.step(7)
    assert study.requests == []
    study.step(9)
    assert len(study.requests) == 1


def test_a_destination_that_can_not_be_asked_is_given_up_at_its_time_however_far_apart_the_attempts_are(
    a_road: Road,
) -> None:
    impatient = ASKED.model_copy(update={"retry_s": (5.0,), "give_up_h": 0.5})
    promising = Promising(a_road, away=True, destination=impatient)
    promising.step(0)
    promising.step(6)  # the schedule is over: the next attempt would be in an hour
    promising.step(1799)
    assert promising.states() == [OPEN, OPEN]
    promising.step(1801)
    assert promising.states() == [LOST, LOST]


def test_a_promise_to_an_older_request_counts_and_a_failure_to_it_does_not(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    study.step(3)
    study.step(104)
    first, second = study.requests
    study.report(first, [(one, NO_SUCH_OBJECT) for one in first.references])
    assert study.states() == [OPEN, OPEN]
    study.report(first)
    assert study.state() is StudyState.DELIVERED
    assert study.report(second), "the late second answer is taken, and changes nothing"
    assert study.state() is StudyState.DELIVERED


def test_a_report_to_a_request_that_nobody_made_is_refused(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    study.step(3)
    stranger = CommitmentRequest("1.2.3", study.requests[0].references)
    assert not study.report(stranger)
    assert study.states() == [OPEN, OPEN]


def test_a_restart_asks_again_at_once(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    study.step(3)
    assert study.commitments.ask_again(after(4)) == 2
    assert study.step(4) == []
    assert len(study.requests) == 2


def test_a_destination_that_is_no_longer_asked_has_what_was_sent(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    assert study.commitments.waive("pacs") == 2
    a_road.outbox.settle(a_road.now)
    assert study.states() == [SENT, SENT]
    assert study.state() is StudyState.DELIVERED


def test_a_requeued_study_sends_again_what_was_not_promised_and_a_late_promise_ends_it(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    study.step(3)
    study.report(study.requests[0], [(one, OTHER_CLASS) for one in study.requests[0].references])
    requeue(a_road.journal, a_road.rules, study.uid, "someone", a_road.now)
    a_road.processor.run_once(a_road.now)
    assert len(study.step(10)) == 2
    study.step(13)
    study.report(study.requests[1])
    assert study.state() is StudyState.DELIVERED


def test_nothing_that_is_not_promised_is_purged_before_a_person_closes_the_study(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    study.step(3)
    study.report(study.requests[0], [(one, OTHER_CLASS) for one in study.requests[0].references])
    later = after(1_000_000)
    assert purge_rows(a_road.journal, a_road.study(study.uid), True, True, later, NOON).derived == ()
    reject(a_road.journal, a_road.outbox, study.uid, "someone", later)
    assert len(purge_rows(a_road.journal, a_road.study(study.uid), True, True, later, NOON).derived) == 2


def test_where_promises_are_no_longer_asked_for_what_was_sent_is_delivered(a_road: Road) -> None:
    study = Promising(a_road)
    study.step(0)
    assert study.commitments.waive("pacs") == 2
    assert study.commitments.waive("pacs") == 0
    a_road.outbox.settle(after(1))
    assert (study.states(), study.state()) == ([SENT, SENT], StudyState.DELIVERED)
