"""Purging: files go when their time has come, stories stay, and nothing that is still needed goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dicomnode.stages.purge import Purger
from dicomnode.stages.receive import register_orphans
from dicomnode.store.keeping import purge_rows
from dicomnode.store.promises import Promises
from dicomnode.store.spool import Spool
from dicomnode.study import CommitmentRequest, Reference, SendOutcome, StudyState
from tests.dicomnode.stages.road import Road, a_result
from tests.factories import a_tomo, setting
from tests.fakes import NOON

OK = SendOutcome.DELIVERED
DAY = timedelta(days=1)


def purger(road: Road, received_days: float = 7, derived_days: float = 7) -> Purger:
    return Purger(road.journal, road.spool, road.outbox, received_days, derived_days)


def delivered(road: Road) -> str:
    road.answers.append(a_result())
    uid = road.process(a_tomo())
    road.deliver(OK, OK)
    return uid


def test_files_of_a_delivered_study_are_kept_for_their_time_and_not_longer(a_road: Road) -> None:
    uid = delivered(a_road)
    assert purger(a_road).run_once(NOON + 6.9 * DAY) == 0
    assert purger(a_road).run_once(NOON + 7.1 * DAY) == 3
    assert list(a_road.spool.stored()) == []
    assert list(a_road.outbox.spool.stored()) == []
    assert a_road.study(uid).state is StudyState.PURGED
    assert a_road.events(uid)[0] == "FIRST_INSTANCE"


def test_derived_and_received_files_have_their_own_times(a_road: Road) -> None:
    uid = delivered(a_road)
    assert purger(a_road, derived_days=1).run_once(NOON + 2 * DAY) == 2
    assert len(list(a_road.spool.stored())) == 1
    assert a_road.study(uid).state is StudyState.DELIVERED


def test_a_study_that_is_not_delivered_keeps_its_files_however_old_it_is(a_road: Road) -> None:
    a_road.answers.append(a_result())
    a_road.process(a_tomo())
    assert purger(a_road).run_once(NOON + 1000 * DAY) == 0
    assert len(list(a_road.spool.stored())) == 1


def test_an_instance_that_comes_again_after_the_purge_is_kept_anew_and_nothing_is_sent_twice(a_road: Road) -> None:
    uid = delivered(a_road)
    purger(a_road).run_once(NOON + 8 * DAY)
    a_road.now = NOON + 9 * DAY
    a_road.answers.append(a_result())
    a_road.process(a_tomo())
    assert len(list(a_road.spool.stored())) == 1
    assert a_road.study(uid).version == 2
    assert a_road.deliver().sent == []
    assert a_road.study(uid).state is StudyState.DELIVERED


def test_a_disk_short_of_room_lets_ended_studies_go_early_the_oldest_first(
    a_road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = delivered(a_road), a_tomo(change=setting(StudyInstanceUID="1.2.9", SOPInstanceUID="1.2.9.1"))
    a_road.now = NOON + DAY
    a_road.answers.append(a_result())
    kept = a_road.process(newer)
    a_road.deliver(OK, OK, OK, OK)
    room = iter([9.0, 11.0, 11.0])
    monkeypatch.setattr(Spool, "free_gb", lambda _spool: next(room))
    stage = Purger(a_road.journal, a_road.spool, a_road.outbox, 7, 7, early_below_gb=10)
    assert stage.make_room(NOON + DAY) == 3
    assert (a_road.study(older).state, a_road.study(kept).state) == (StudyState.PURGED, StudyState.DELIVERED)


def test_however_short_of_room_the_disk_is_nothing_undelivered_goes(
    a_road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_road.answers.append(a_result())
    a_road.process(a_tomo())
    monkeypatch.setattr(Spool, "free_gb", lambda _spool: 0.0)
    assert Purger(a_road.journal, a_road.spool, a_road.outbox, 0, 0, early_below_gb=10).make_room(NOON + DAY) == 0
    assert len(list(a_road.spool.stored())) == 1


def test_where_nothing_may_go_nothing_is_written(a_road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = delivered(a_road)
    (instance,) = a_road.journal.instances(uid)
    request = CommitmentRequest("1.9", (Reference(instance.header.sop_class_uid, instance.header.sop_instance_uid),))
    assert Promises(a_road.journal, a_road.spool).promise(request, NOON).committed
    stage = replace(purger(a_road), promised_days=365, early_below_gb=1e9)
    assert stage.run_once(NOON + 8 * DAY) == 2  # what was derived was not promised
    with monkeypatch.context() as watched:
        watched.setattr(a_road.journal, "transaction", lambda: pytest.fail("a transaction that writes"))
        assert stage.run_once(NOON + 364 * DAY) == stage.make_room(NOON + 364 * DAY) == 0
    assert stage.run_once(NOON + 366 * DAY) == 1
    assert a_road.study(uid).state is StudyState.PURGED
    assert stage.run_once(NOON + 367 * DAY) == 0


def test_a_study_without_derived_instances_is_purged_when_those_would_have_been(a_road: Road) -> None:
    a_road.assembler = replace(a_road.assembler, rules=[])
    uid = a_road.receive(a_tomo())
    a_road.associations.closed("a1")
    a_road.assembler.run_once(NOON + timedelta(seconds=31))
    stage = purger(a_road, derived_days=30)
    assert stage.run_once(NOON + 8 * DAY) == 1
    assert a_road.study(uid).state is StudyState.IGNORED
    stage.run_once(NOON + 31 * DAY)
    assert a_road.study(uid).state is StudyState.PURGED


def test_a_crash_between_row_and_file_leaves_files_that_go_at_the_next_start(a_road: Road) -> None:
    uid = delivered(a_road)
    purge_rows(a_road.journal, a_road.study(uid), True, True, NOON + 8 * DAY, promised_before=NOON)
    assert len(list(a_road.spool.stored())) == 1
    register_orphans(a_road.receiver, NOON + 8 * DAY)
    assert list(a_road.spool.stored()) == []
    assert a_road.study(uid).state is StudyState.PURGED
