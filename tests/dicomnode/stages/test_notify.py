"""What needs a person is told once, and once more when it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dicomnode.config import NotifySettings
from dicomnode.errors import TransientFault
from dicomnode.notify import Notice
from dicomnode.stages.notify import Notifier
from dicomnode.store.trail import Trail
from dicomnode.study import SendOutcome
from pipelines.contract import Verdict
from pipelines.images import UnsuitableAcquisition
from tests.dicomnode.stages.road import Road, a_result
from tests.factories import a_tomo, setting
from tests.fakes import NOON, after

REFUSED = SendOutcome.REFUSED


class Room:
    """How much room there is on the disk."""

    free_gb = 100.0


def notifier(road: Road, notices: list[Notice], room: Room | None = None, silent_h: float = 0) -> Notifier:
    settings = NotifySettings(disk_low_gb=20, destination_down_s=600, silent_h=silent_h)
    place = room or Room()
    return Notifier(
        road.journal, Trail(road.journal, "notify"), notices.append, settings, ("pacs",), lambda: place.free_gb, NOON
    )


def test_a_held_study_is_told_once_with_its_reason(a_road: Road) -> None:
    notices: list[Notice] = []
    stage = notifier(a_road, notices)
    a_road.answers.append(a_result(Verdict.QUARANTINE, "the heart reads as another one"))
    uid = a_road.process(a_tomo())
    assert (stage.run_once(after(1)), stage.run_once(after(2))) == (1, 0)
    (notice,) = notices
    assert (notice.occasion, notice.subject, notice.studies) == ("held", "1 study HELD", (uid,))
    assert "the heart reads as another one" in notice.text


def test_what_happened_together_is_told_together(a_road: Road) -> None:
    notices: list[Notice] = []
    stage = notifier(a_road, notices)
    a_road.answers += [UnsuitableAcquisition("no counts")] * 2
    a_road.process(a_tomo())
    a_road.process(a_tomo(change=setting(StudyInstanceUID="1.2.9", SOPInstanceUID="1.2.9.1")))
    assert stage.run_once(after(1)) == 1
    assert notices[0].subject == "2 studies HELD"


def test_a_destinations_own_words_are_not_passed_on(a_road: Road) -> None:
    notices: list[Notice] = []
    stage = notifier(a_road, notices)
    a_road.answers.append(a_result())
    a_road.process(a_tomo())
    a_road.deliver(REFUSED, REFUSED)
    stage.run_once(after(1))
    assert notices[0].occasion == "failed"
    assert "a destination did not take it" in notices[0].text


def test_a_destination_that_is_down_is_told_after_a_while_and_when_it_is_back(a_road: Road) -> None:
    notices: list[Notice] = []
    stage = notifier(a_road, notices)
    a_road.answers.append(a_result())
    a_road.process(a_tomo())
    a_road.deliver("away")
    assert stage.run_once(after(599)) == 0
    assert [stage.run_once(after(601)), stage.run_once(after(700))] == [1, 0]
    a_road.now = after(4000)
    a_road.deliver(SendOutcome.DELIVERED, SendOutcome.DELIVERED)
    assert stage.run_once(after(4001)) == 1
    assert [notice.subject for notice in notices] == [
        "2 instance(s) could not be sent to pacs since 2026-03-02 12:00 UTC",
        "pacs takes instances again",
    ]


def test_a_disk_that_fills_is_told_and_when_there_is_room_again(a_road: Road) -> None:
    notices: list[Notice] = []
    room = Room()
    stage = notifier(a_road, notices, room)
    for room.free_gb in (25.0, 19.0, 18.0, 21.0):
        stage.run_once(after(1))
    assert [notice.subject for notice in notices] == [
        "19.0 GB free, less than 20 GB",
        "there is room on the disk again",
    ]


def test_silence_is_told_where_that_is_wanted(a_road: Road) -> None:
    notices: list[Notice] = []
    stage = notifier(a_road, notices, silent_h=2)
    assert stage.run_once(NOON + timedelta(hours=1.9)) == 0
    assert stage.run_once(NOON + timedelta(hours=2.1)) == 1
    assert notices[0].occasion == "silent"


def test_a_notice_that_could_not_be_sent_is_sent_later(a_road: Road) -> None:
    def failing(_notice: Notice) -> None:
        raise TransientFault("no mail server")

    notices: list[Notice] = []
    stage = notifier(a_road, notices)
    a_road.answers.append(a_result(Verdict.QUARANTINE))
    a_road.process(a_tomo())
    stage.tell = failing
    with pytest.raises(TransientFault):
        stage.run_once(after(1))
    stage.tell = notices.append
    assert stage.run_once(after(2)) == 1
