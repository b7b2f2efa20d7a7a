"""A job that is lost again and again is to blame once others were answered; those that were lost with it are not."""

from __future__ import annotations

from concurrent.futures import CancelledError
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from dicomnode.config import EngineSettings
from dicomnode.engine.distributed import DistributedEngine
from dicomnode.engine.jobs import Answer, Ending
from dicomnode.engine.losses import Losses
from dicomnode.errors import EngineAway, TransientFault
from pipelines.contract import Acquisition, PipelineInput
from tests.dicomnode.stages.road import a_result


def answered(losses: Losses, source: str) -> None:
    with losses.turn(source), losses.watched(source):
        pass


def ending(losses: Losses, source: str) -> type[Exception]:
    """Hand a job over, lose it, and return what its node is told."""
    with pytest.raises(TransientFault) as told, losses.turn(source), losses.watched(source):
        raise EngineAway("the scheduler was lost while the job ran")
    return told.type


def test_while_no_job_is_answered_no_loss_is_the_fault_of_one() -> None:
    losses = Losses()
    assert [ending(losses, "poison") for _ in range(20)] == [EngineAway] * 20


def test_a_job_that_is_lost_for_the_third_time_while_others_were_answered_is_counted() -> None:
    losses = Losses()
    assert ending(losses, "poison") is EngineAway
    answered(losses, "another")
    assert [ending(losses, "poison") for _ in range(3)] == [EngineAway, TransientFault, TransientFault]


def test_an_answer_clears_a_job() -> None:
    losses = Losses()
    for _ in range(2):
        ending(losses, "unlucky")
        answered(losses, "another")
    answered(losses, "unlucky")
    assert ending(losses, "unlucky") is EngineAway


def test_jobs_that_were_lost_together_are_handed_over_one_after_the_other() -> None:
    losses = Losses()
    for _ in range(2):
        ending(losses, "poison"), ending(losses, "unlucky")
    with ExitStack() as under_way:
        under_way.enter_context(losses.turn("poison"))
        with pytest.raises(EngineAway, match="tried first"), losses.turn("unlucky"):
            pass
        answered(losses, "one that was never lost")
    answered(losses, "unlucky")


class Cluster(DistributedEngine):
    """Stands in for a cluster whose scheduler dies of one acquisition, and does all others."""

    def version(self, *_: object) -> str:
        """Return the version."""
        return "1.1.0"

    def _submitted(self, job):  # type: ignore[no-untyped-def] # of a private method
        def result(timeout: float) -> bytes:
            assert timeout > 0
            if job.pipeline_input.acquisition.key == "too large":
                raise CancelledError
            return Answer(Ending.DONE, "gpu-1", result=a_result()).packed()

        return SimpleNamespace(result=result, release=lambda: None)


def test_a_study_that_takes_the_scheduler_with_it_each_time_is_set_aside_in_the_end() -> None:
    engine = Cluster(EngineSettings(kind="dask", scheduler="tcp://127.0.0.1:1"), "0.1.0")
    told = []
    for _ in range(4):
        with pytest.raises(TransientFault) as error:
            engine.run("reconstruction", PipelineInput(Acquisition("too large")))
        told.append(error.type)
        engine.run("reconstruction", PipelineInput(Acquisition("any other")))
    assert told == [EngineAway, EngineAway, TransientFault, TransientFault]
    assert "the scheduler was lost while the job ran" in str(error.value)
