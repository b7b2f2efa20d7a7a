"""The node's clock: on time, on demand, and never the same stage twice at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dicomnode.clockwork import Clockwork, Every, Steps, Tick


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def clockwork() -> Iterator[Clockwork]:
    made = Clockwork(4, now)
    made.start()
    yield made
    made.stop()


def test_a_stage_runs_soon_and_again_when_woken(clockwork: Clockwork) -> None:
    ran = threading.Semaphore(0)
    clockwork.add("work", ran.release, 3600)
    assert ran.acquire(timeout=30)
    clockwork.wake("work", now())
    assert ran.acquire(timeout=30)


def test_what_was_asked_for_while_a_stage_ran_is_done_after_it_and_not_beside_it() -> None:
    runs = []

    def work() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            tick()  # as a wake would, from another thread's point of view: it returns at once

    tick = Tick("work", work)
    tick()
    assert runs == [0, 1]


def test_a_stage_that_fails_is_run_again(clockwork: Clockwork) -> None:
    ran = threading.Semaphore(0)

    def fail() -> None:
        ran.release()
        raise ValueError

    clockwork.add("work", fail, 0.05)
    assert ran.acquire(timeout=30)
    assert ran.acquire(timeout=30)


def test_what_does_not_tick_is_left_alone(clockwork: Clockwork) -> None:
    clockwork.add("work", lambda: None, 3600)
    clockwork.remove("work")
    clockwork.wake("work", now())
    clockwork.wake("never heard of", now())


def test_a_clock_that_is_set_back_is_noticed_once_and_what_waits_for_its_hour_runs(clockwork: Clockwork) -> None:
    told, steady_s = [now()], [100.0]
    steps = Steps(lambda: told[0], lambda: steady_s[0])
    told[0] += timedelta(seconds=7)
    steady_s[0] += 7
    assert steps.set_back_s() == 0
    told[0] -= timedelta(hours=1)
    assert steps.set_back_s() == 3600
    assert steps.set_back_s() == 0
    told[0] += timedelta(hours=1)
    assert steps.set_back_s() == 0, "set ahead"

    ran = threading.Semaphore(0)
    clockwork.add("work", ran.release, 1)
    assert ran.acquire(timeout=30)
    clockwork.wake("work", now() + timedelta(hours=1))  # as it stands after the clock was set back by an hour
    while ran.acquire(timeout=0.1):
        pass  # what had begun before
    clockwork.catch_up()
    assert ran.acquire(timeout=30)


def test_a_clock_that_is_set_ahead_by_years_gives_one_run_and_not_one_for_each_second() -> None:
    every, later = Every(timedelta(seconds=1)), now() + timedelta(days=10_000)
    assert every.get_next_fire_time(now(), later) == later + timedelta(seconds=1)
