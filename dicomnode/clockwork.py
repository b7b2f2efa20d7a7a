"""The clock of the node: runs each stage on a timer and on demand, on threads of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from dicomnode.errors import TransientFault

log = structlog.get_logger(__name__)

FIRST = timedelta(milliseconds=50)
SLACK = timedelta(seconds=1)  # a clock that is corrected by less makes nobody wait


class Steps:
    """Notices when the clock of the machine is set back, by another one that is never set."""

    def __init__(self, clock: Callable[[], datetime], steady_s: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._steady_s = clock, steady_s
        self._lead = self._measure()

    def set_back_s(self) -> float:
        """Return by how many seconds the clock was set back since this was asked last; 0 for next to nothing."""
        before, self._lead = self._lead, self._measure()
        return (before - self._lead).total_seconds() if before - self._lead > SLACK else 0.0

    def _measure(self) -> timedelta:
        return self._clock() - datetime.fromtimestamp(self._steady_s(), UTC)


class Every(BaseTrigger):  # type: ignore[misc]
    """A period from one run to the next; a clock that is set ahead gives one run, not all that it passed over."""

    def __init__(self, period: timedelta) -> None:
        self.period = period

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return when to run after a run; called by the scheduler."""
        return now + self.period


class Tick:
    """Runs one stage on a timer and on demand, never twice at once; a call while it runs makes it run once more."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name = name
        self._work = work
        self._asked = threading.Event()
        self._turn = threading.Lock()

    def __call__(self) -> None:
        """Run the stage until nobody asks any more."""
        self._asked.set()
        while self._asked.is_set() and self._turn.acquire(blocking=False):
            try:
                self._asked.clear()
                self._work()
            except TransientFault as error:
                log.warning("tick put off", stage=self.name, error=str(error))  # the next one finds what is left
            except Exception:
                # the outer wall of every stage: whatever happened, the next tick finds the journal as it was
                log.exception("tick failed", stage=self.name)
            finally:
                self._turn.release()


class Clockwork:
    """All timers; they hold nothing that is not in the journal, so that they may stop at any time."""

    def __init__(self, threads: int, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(threads)},
            job_defaults={"coalesce": True, "max_instances": 2, "misfire_grace_time": None},
        )
        self._ticks: dict[str, Tick] = {}

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()

    def stop(self) -> None:
        """Let what runs end, and begin nothing more."""
        self._scheduler.shutdown(wait=True)

    def add(self, name: str, work: Callable[[], object], every_s: float) -> None:
        """Run `work` soon, and again and again."""
        # a destination that went and came back keeps its tick, so that it is never sent to twice at once
        tick = self._ticks.setdefault(name, Tick(name, work))
        first = self._clock() + FIRST
        self._scheduler.add_job(tick, Every(timedelta(seconds=every_s)), id=name, next_run_time=first)

    def remove(self, name: str) -> None:
        """Run this no more; a run that has begun ends by itself."""
        self._scheduler.remove_job(name)

    def wake(self, name: str, at: datetime) -> None:
        """Run this at a moment, whatever its timer says; what is not ticking is left alone."""
        if self._scheduler.running and self._scheduler.get_job(name) is not None:
            self._scheduler.modify_job(name, next_run_time=at)

    def catch_up(self) -> None:
        """Run at once what waits longer than its period, because the clock was set back; to be called now and then."""
        now = self._clock()
        for job in self._scheduler.get_jobs():
            if job.next_run_time > now + job.trigger.period + SLACK:
                self.wake(job.id, now)
