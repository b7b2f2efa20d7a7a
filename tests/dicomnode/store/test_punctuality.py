"""What was stamped by a clock that was an hour ahead does not wait for that hour to come."""

from __future__ import annotations

from pathlib import Path

from dicomnode.errors import TransientFault
from dicomnode.store.punctuality import is_ahead, make_due
from dicomnode.study import SendOutcome, StudyState
from tests.dicomnode.stages.road import Road, a_result
from tests.dicomnode.store.conftest import Where
from tests.factories import a_tomo, as_file, quick_dataset, setting
from tests.fakes import NOON, after


def test_all_that_waits_for_an_hour_that_was_taken_back_is_due_at_once(where: Where, tmp_path: Path) -> None:
    road = Road(tmp_path, database=where if isinstance(where, str) else None, now=after(3600))
    road.answers += [a_result(), TransientFault("no memory"), a_result()]
    sent = road.process(a_tomo(change=setting(StudyInstanceUID="1.2.10", SOPInstanceUID="1.2.10.1")))
    road.deliver(SendOutcome.TRANSIENT, SendOutcome.TRANSIENT)
    failed = road.process(a_tomo(change=setting(StudyInstanceUID="1.2.11", SOPInstanceUID="1.2.11.1")))
    quiet = road.receive(as_file(quick_dataset()))
    road.associations.closed("a1")
    road.assembler.run_once(road.now)
    states = [road.study(uid).state for uid in (sent, failed, quiet)]
    assert states == [StudyState.DELIVERING, StudyState.ROUTED, StudyState.RECEIVING]

    road.now = NOON
    assert is_ahead(road.journal, road.now)
    assert (road.assembler.run_once(after(60)), road.processor.run_once(after(60))) == (0, False)
    assert make_due(road.journal, road.now)
    assert road.processor.run_once(road.now)
    road.deliver(*[SendOutcome.DELIVERED] * 4)
    assert road.study(sent).state is road.study(failed).state is StudyState.DELIVERED
    assert road.assembler.run_once(after(31)) == 1
    assert road.study(quiet).state is StudyState.IGNORED
    road.journal.close()


def test_without_a_step_of_the_clock_nothing_is_ahead(where: Where, tmp_path: Path) -> None:
    road = Road(tmp_path, database=where if isinstance(where, str) else None)
    assert not is_ahead(road.journal, NOON)
    road.receive(a_tomo())
    assert not is_ahead(road.journal, NOON)
    road.journal.close()
