"""Several attempts side by side, as with the workers of a cluster: each study to one of them, and committed once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dicomnode.stages.process import Processor
from dicomnode.study import StudyState
from pipelines.contract import OptionValue, PipelineInput, PipelineResult
from tests.dicomnode.stages.road import Road, a_result
from tests.factories import a_tomo, setting
from tests.fakes import after

AT_ONCE, STUDIES = 4, 12


@dataclass
class SlowEngine:
    """Answers only when it is let; tells how many runs there are at once."""

    let: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    running: list[str] = field(default_factory=list)
    most_at_once: int = 0
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def version(self, pipeline: str, options: Mapping[str, OptionValue]) -> str:
        """Return a fixed version."""
        return "1.0.0"

    def run(self, pipeline: str, pipeline_input: PipelineInput) -> PipelineResult:
        """Answer when it is let."""
        self.running.append(pipeline_input.acquisition.key)
        self.most_at_once = max(self.most_at_once, len(self.running))
        self.began.release()
        assert self.let.acquire(timeout=60)
        self.running.pop()
        return a_result()


@contextmanager
def at_work(processor: Processor, road: Road, threads: int) -> Iterator[ThreadPoolExecutor]:
    def until_nothing_is_due() -> None:
        while processor.run_once(road.now):
            pass

    with ThreadPoolExecutor(threads) as pool:
        lanes = [pool.submit(until_nothing_is_due) for _ in range(threads)]
        yield pool
        for lane in lanes:
            lane.result(timeout=60)


@pytest.fixture
def engine() -> SlowEngine:
    return SlowEngine()


@pytest.fixture
def processor(a_road: Road, engine: SlowEngine) -> Processor:
    return replace(a_road.processor, engine=engine)


def routed(road: Road, number: int) -> str:
    uid = road.receive(a_tomo(change=setting(StudyInstanceUID=f"1.2.{number}", SOPInstanceUID=f"1.2.{number}.1.1")))
    road.assemble()
    return uid


def test_each_study_goes_to_one_of_many_threads(a_road: Road, tmp_path: Path) -> None:
    studies = sorted(routed(a_road, number) for number in range(STUDIES))
    start = threading.Barrier(AT_ONCE)

    def claim_all() -> list[str]:
        start.wait()
        claimed = []
        while (claim := a_road.journal.claim(a_road.now, 60)) is not None:
            claimed.append(claim.study.study_instance_uid)
        return claimed

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [lane.result() for lane in [pool.submit(claim_all) for _ in range(AT_ONCE)]]
    assert sorted(uid for claimed in found for uid in claimed) == studies


def test_as_many_studies_are_in_work_as_there_are_threads_and_each_is_derived_once(
    a_road: Road, processor: Processor, engine: SlowEngine
) -> None:
    studies = [routed(a_road, number) for number in range(STUDIES)]
    with at_work(processor, a_road, AT_ONCE):
        for _ in range(AT_ONCE):
            assert engine.began.acquire(timeout=60)
        for _ in studies:
            engine.let.release()
    assert engine.most_at_once == AT_ONCE
    assert {a_road.study(uid).state for uid in studies} == {StudyState.DELIVERING}
    assert [len(a_road.outbox.derived(uid)) for uid in studies] == [2] * STUDIES
    assert {a_road.study(uid).attempts for uid in studies} == {1}


def test_a_late_twin_commits_nothing(a_road: Road, processor: Processor, engine: SlowEngine) -> None:
    uid = routed(a_road, 1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(processor.run_once, a_road.now)
        assert engine.began.acquire(timeout=60)
        a_road.now = after(200)  # its lease of 60 s ran out: the node takes it for lost
        processor.return_lost_claims(a_road.now)
        a_road.now = after(300)
        second = pool.submit(processor.run_once, a_road.now)
        assert engine.began.acquire(timeout=60)
        assert len(engine.running) == 2
        engine.let.release(2)
        assert first.result(timeout=60)
        assert second.result(timeout=60)
    assert a_road.study(uid).state is StudyState.DELIVERING
    assert len(a_road.outbox.derived(uid)) == 2
    assert a_road.events(uid).count("DERIVED") == 1


def test_a_claim_that_is_worked_on_keeps_its_lease(a_road: Road, processor: Processor, engine: SlowEngine) -> None:
    uid = routed(a_road, 1)
    a_road.receive(a_tomo(change=setting(StudyInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1.2")))
    a_road.now = after(40)
    a_road.assemble()
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(processor.run_once, a_road.now)
        assert engine.began.acquire(timeout=60)
        a_road.now = after(90)  # the first of its two acquisitions took most of the lease
        engine.let.release()
        assert engine.began.acquire(timeout=60)
        a_road.now = after(140)
        processor.return_lost_claims(a_road.now)
        assert a_road.study(uid).state is StudyState.PROCESSING
        engine.let.release()
        assert attempt.result(timeout=60)
    assert len(a_road.outbox.derived(uid)) == 4
