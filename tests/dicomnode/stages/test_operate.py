"""An operator's decisions: only where they make sense, and written down with a name."""

from __future__ import annotations

import pytest

from dicomnode.errors import StudyUnsuitable
from dicomnode.stages.operate import reject, release, requeue
from dicomnode.store.outbox import DeliveryState
from dicomnode.study import SendOutcome, StudyState
from pipelines.contract import Verdict
from pipelines.images import UnsuitableAcquisition
from tests.dicomnode.stages.road import RULE, Road, a_result
from tests.factories import a_tomo, setting
from tests.fakes import after

OK, REFUSED = SendOutcome.DELIVERED, SendOutcome.REFUSED


def test_a_held_study_is_requeued_and_processed(a_road: Road) -> None:
    a_road.answers += [UnsuitableAcquisition("no counts"), a_result()]
    uid = a_road.process(a_tomo())
    assert "requeued by anna" in requeue(a_road.journal, [RULE], uid, "anna", after(10))
    assert a_road.journal.moves(uid)[-1].actor == "anna"
    a_road.processor.run_once(after(11))
    assert a_road.study(uid).state is StudyState.DELIVERING


def test_a_study_that_a_destination_refused_is_sent_again_without_new_work(a_road: Road) -> None:
    a_road.answers.append(a_result())
    uid = a_road.process(a_tomo())
    a_road.deliver(REFUSED, REFUSED)
    requeue(a_road.journal, [RULE], uid, "anna", after(10))
    a_road.now = after(11)
    a_road.processor.run_once(a_road.now)
    assert len(a_road.deliver(OK, OK).sent) == 2
    assert a_road.study(uid).state is StudyState.DELIVERED
    assert len(a_road.engine.inputs) == 1


def test_what_the_guard_withheld_leaves_when_an_operator_releases_it(a_road: Road) -> None:
    a_road.answers.append(a_result(Verdict.QUARANTINE))
    uid = a_road.process(a_tomo())
    release(a_road.journal, a_road.outbox, uid, "anna", after(10))
    a_road.now = after(11)
    assert len(a_road.deliver(OK, OK).sent) == 2
    assert a_road.study(uid).state is StudyState.DELIVERED
    assert "released by anna" in [move.reason for move in a_road.journal.moves(uid)]


def test_a_quarantine_is_not_undone_by_a_late_instance(a_road: Road) -> None:
    a_road.answers += [a_result(Verdict.QUARANTINE), a_result()]
    uid = a_road.process(a_tomo())
    a_road.process(a_tomo(change=setting(SOPInstanceUID="1.2.3.99")))
    assert a_road.study(uid).state is StudyState.HELD
    withheld = [d for d in a_road.outbox.deliveries(uid) if d.state is DeliveryState.WITHHELD]
    assert len(withheld) == 2


def test_a_rejected_study_sends_nothing_even_after_a_late_instance(a_road: Road) -> None:
    a_road.answers += [a_result(Verdict.QUARANTINE), a_result()]
    uid = a_road.process(a_tomo())
    reject(a_road.journal, a_road.outbox, uid, "anna", after(10))
    a_road.receive(a_tomo(change=setting(SOPInstanceUID="1.2.3.99")))
    assert a_road.study(uid).state is StudyState.HELD
    requeue(a_road.journal, [RULE], uid, "anna", after(20))
    a_road.now = after(21)
    a_road.processor.run_once(a_road.now)
    assert len(a_road.deliver(OK, OK).sent) == 2  # those of the newcomer alone
    assert {d.state for d in a_road.outbox.deliveries(uid)} == {DeliveryState.WITHDRAWN, DeliveryState.SENT}


def test_a_conflicting_instance_stops_what_has_not_been_sent(a_road: Road) -> None:
    a_road.answers.append(a_result())
    uid = a_road.process(a_tomo())
    a_road.receive(a_tomo(change=setting(PatientComments="other")))
    assert a_road.study(uid).state is StudyState.HELD
    assert a_road.deliver().sent == []


def test_decisions_that_make_no_sense_are_refused_with_a_sentence(a_road: Road) -> None:
    a_road.answers.append(a_result())
    uid = a_road.process(a_tomo())
    with pytest.raises(StudyUnsuitable, match="the study is DELIVERING; this needs a study that is HELD or FAILED"):
        requeue(a_road.journal, [RULE], uid, "anna", after(10))
    with pytest.raises(StudyUnsuitable, match="there is no study"):
        reject(a_road.journal, a_road.outbox, "9.9", "anna", after(10))


def test_nothing_can_be_released_where_nothing_was_derived(a_road: Road) -> None:
    a_road.answers.append(UnsuitableAcquisition("no counts"))
    uid = a_road.process(a_tomo())
    with pytest.raises(StudyUnsuitable, match="requeue it instead"):
        release(a_road.journal, a_road.outbox, uid, "anna", after(10))
