"""An instance comes again while it is being purged: whatever the order of their steps, what was acknowledged stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any, cast

import pytest

from dicomnode.errors import InstanceRejected, StoreStatus
from dicomnode.stages.purge import Purger
from dicomnode.stages.receive import Receiver, register_orphans
from dicomnode.store.journal import Journal
from dicomnode.store.spool import Spool
from dicomnode.study import StudyState
from tests.dicomnode.stages.road import Road, received
from tests.factories import a_tomo, setting
from tests.fakes import after

QUIET = 31.0


class InSteps:
    """Work in a thread that stands still before each call that it is told to stop at, until it is let on."""

    def __init__(self, work: Callable[[InSteps], None]) -> None:
        self._go, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self._ended = False
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[InSteps], None]) -> None:
        self._go.acquire()
        try:
            work(self)
        finally:
            self._ended = True
            self._stands.release()

    def stop_at(self, real: Any, *calls: str) -> Any:
        """Return the same as `real`, that stops before these calls."""
        return _Stopping(real, calls, self._stop)

    def _stop(self) -> None:
        self._stands.release()
        self._go.acquire()

    def step(self) -> None:
        """Let it on to its next stop, or to its end."""
        if not self._ended:
            self._go.release()
            self._stands.acquire()

    def finish(self) -> None:
        """Let it end."""
        while not self._ended:
            self.step()


class _Stopping:
    def __init__(self, real: Any, calls: tuple[str, ...], stop: Callable[[], None]) -> None:
        self._real, self._calls, self._stop = real, calls, stop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name not in self._calls:
            return found

        def call(*args: Any, **more: Any) -> Any:
            self._stop()
            return found(*args, **more)

        return call


def sending(road: Road, file_bytes: bytes, answers: list[str]) -> InSteps:
    """Receive an instance in steps: ask the journal, store the file, record the row."""

    def work(steps: InSteps) -> None:
        journal = cast(Journal, steps.stop_at(road.journal, "copies", "record_instance"))
        receiver = replace(road.receiver, journal=journal, spool=cast(Spool, steps.stop_at(road.spool, "store")))
        answers.append(answer_of(receiver, file_bytes, road))

    return InSteps(work)


def answer_of(receiver: Receiver, file_bytes: bytes, road: Road) -> str:
    try:
        receiver.receive(received(file_bytes, "again"), road.now)
    except InstanceRejected as error:
        return "come again" if error.status is StoreStatus.OUT_OF_RESOURCES else "never"
    return "stored"


def purging(road: Road) -> InSteps:
    """Purge all that has ended, in steps: mark the rows, delete the files."""

    def work(steps: InSteps) -> None:
        spool = cast(Spool, steps.stop_at(road.spool, "remove"))
        Purger(road.journal, spool, road.outbox, 0, 0).run_once(road.now)

    return InSteps(work)


def ended(road: Road, number: int) -> tuple[str, bytes]:
    """Return a study that has ended, and its instance."""
    uids = setting(StudyInstanceUID=f"1.2.{number}", SOPInstanceUID=f"1.2.{number}.3")
    file_bytes = a_tomo(change=uids)
    uid = road.receive(file_bytes)
    quiet(road, uid)
    return uid, file_bytes


def quiet(road: Road, uid: str) -> None:
    road.associations.closed("a1")
    road.associations.closed("again")
    road.now = after((road.now - after(0)).total_seconds() + QUIET)
    road.assembler.run_once(road.now)
    assert road.study(uid).state is StudyState.IGNORED


@pytest.fixture
def road(a_road: Road) -> Road:
    a_road.assembler = replace(a_road.assembler, rules=[])
    return a_road


def test_in_whatever_order_they_step_what_the_journal_has_is_on_the_disk(road: Road) -> None:
    for number, order in enumerate(sorted(set(permutations("ssspp")))):
        uid, file_bytes = ended(road, number)
        answers: list[str] = []
        actors = {"s": sending(road, file_bytes, answers), "p": purging(road)}
        actors["s"].step()  # to the question whether the instance is here
        for name in order:
            actors[name].step()
        for actor in actors.values():
            actor.finish()
        assert answers == ["stored"], order
        kept = road.journal.instances(uid)
        was_here = order.index("s") < order.index("p")  # then it has been here long enough
        assert len(kept) == (not was_here), order
        assert [road.spool.path(one.path).read_bytes() for one in kept] == [file_bytes] * len(kept), order
        assert set(road.spool.stored()) == road.journal.known_paths(), order
        if kept:
            quiet(road, uid)
            purging(road).finish()


def test_an_instance_that_came_and_was_purged_once_more_while_it_was_on_its_way_is_to_come_again(road: Road) -> None:
    uid, file_bytes = ended(road, 1)
    purging(road).finish()
    answers: list[str] = []
    late = sending(road, file_bytes, answers)
    for _ in range(3):
        late.step()  # its file is written
    road.receive(file_bytes)
    quiet(road, uid)
    purging(road).finish()
    late.finish()
    assert answers == ["come again"]
    assert road.journal.instances(uid) == []
    assert answer_of(road.receiver, file_bytes, road) == "stored"
    (kept,) = road.journal.instances(uid)
    assert road.spool.path(kept.path).read_bytes() == file_bytes


def test_a_purge_that_goes_on_after_another_node_took_over_deletes_nothing_that_came_again(road: Road) -> None:
    uid, file_bytes = ended(road, 1)
    frozen = purging(road)
    frozen.step()  # its rows are marked
    other = replace(road.receiver, spool=Spool(road.spool.root))
    assert register_orphans(other, road.now) == 0
    assert list(other.spool.stored()) == []
    other.receive(received(file_bytes), road.now)
    frozen.finish()
    (kept,) = road.journal.instances(uid)
    assert other.spool.path(kept.path).read_bytes() == file_bytes


def test_a_file_that_came_again_and_has_no_row_yet_is_registered_at_the_start(road: Road) -> None:
    uid, file_bytes = ended(road, 1)
    purging(road).finish()
    killed = sending(road, file_bytes, [])
    for _ in range(3):
        killed.step()  # its file is written
    assert register_orphans(road.receiver, road.now) == 1
    (kept,) = road.journal.instances(uid)
    assert road.spool.path(kept.path).read_bytes() == file_bytes
    assert register_orphans(road.receiver, road.now) == 0
    killed.finish()


def test_a_file_whose_deletion_failed_goes_at_the_next_start_also_if_its_instance_came_again(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, file_bytes = ended(road, 1)
    with monkeypatch.context() as broken:
        broken.setattr(Spool, "remove", lambda *_: None)
        purging(road).finish()
    road.receive(file_bytes)
    assert len(list(road.spool.stored())) == 2
    assert register_orphans(road.receiver, road.now) == 0
    assert set(road.spool.stored()) == road.journal.known_paths()
    (kept,) = road.journal.instances(uid)
    assert road.spool.path(kept.path).read_bytes() == file_bytes


def test_a_journal_of_before_the_purge_finds_the_instance_that_came_again(road: Road) -> None:
    uid, file_bytes = ended(road, 1)
    (before,) = road.journal.instances(uid)
    purging(road).finish()
    road.receive(file_bytes)
    (kept,) = road.journal.instances(uid)
    road.journal.found(replace(kept, path=before.path))  # as a copy of the journal has it
    assert register_orphans(road.receiver, road.now) == 1
    (found,) = road.journal.instances(uid)
    assert found.path == kept.path
    assert road.spool.path(found.path).read_bytes() == file_bytes
