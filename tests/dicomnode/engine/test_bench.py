"""What a worker answers to a job, and what the node makes of the answer; without a cluster in between."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dicomnode.config import EngineSettings
from dicomnode.engine.bench import Bench
from dicomnode.engine.distributed import DistributedEngine
from dicomnode.engine.file_cache import FileCache
from dicomnode.engine.jobs import Answer, Ending, Job, NamedFile
from dicomnode.errors import EngineAway, InvariantBroken, TransientFault
from pipelines.contract import Acquisition, OptionValue, PipelineInput, PipelineResult
from pipelines.images import UnsuitableAcquisition
from tests.dicomnode.stages.road import a_result

WEIGHTS = b"weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
JOB = Job("denoising", PipelineInput(Acquisition("1.2.3"), options={"models": "/node", "order": 8.0}), "1.1.0", 60, {})
WITH_FILES = replace(JOB, folders={"models": (NamedFile("denoiser.safetensors", SHA256),)})


@dataclass
class Child:
    """Stands in for the LocalEngine of a worker: answers as told."""

    answer: PipelineResult | Exception = field(default_factory=a_result)
    its_version: str = "1.1.0"
    ran: list[tuple[PipelineInput, float | None]] = field(default_factory=list)
    given_up: list[bool] = field(default_factory=list)  # whether it was, when it began
    before: Callable[[], None] = lambda: None  # happens while a job is on its way into the child

    def version(self, pipeline: str, options: Mapping[str, OptionValue]) -> str:
        """Return the version."""
        self.before()
        return self.its_version

    def abandon(self) -> None:
        """End what runs: nothing does yet."""

    def run(
        self, pipeline: str, pipeline_input: PipelineInput, timeout_s: float | None, given_up: Callable[[], bool]
    ) -> PipelineResult:
        """Remember what was asked, and answer."""
        self.ran.append((pipeline_input, timeout_s))
        self.given_up.append(given_up())
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class Pair:
    """A node and the worker that its jobs reach."""

    folder: Path
    child: Child

    def __post_init__(self) -> None:
        self.bench = Bench(self.child, FileCache(self.folder), "gpu-1")  # type: ignore[arg-type]
        settings = EngineSettings(kind="dask", scheduler="tcp://127.0.0.1:1")
        self.node = DistributedEngine(settings, "0.1.0")

    def answer(self, job: Job) -> Answer:
        """Return what the worker says."""
        return Answer.unpacked(self.bench.perform(job.packed(), "a key"))

    def outcome(self, job: Job) -> PipelineResult:
        """Return, or raise, what comes of it on the node."""
        return self.node._result(job, self.answer(job))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path, Child())


def test_a_job_is_run_with_the_nodes_time_limit_and_its_result_comes_back(pair: Pair) -> None:
    assert pair.outcome(JOB).provenance == a_result().provenance
    assert pair.child.ran[0][1] == 60


def test_a_job_that_is_given_up_before_it_is_in_the_child_is_ended_there_and_the_next_one_is_not(pair: Pair) -> None:
    pair.child.before = lambda: pair.bench.transition("a key", "executing", "cancelled")
    pair.answer(JOB)
    pair.child.before = lambda: None
    pair.answer(JOB)
    assert pair.child.given_up == [True, False]


def test_a_file_that_is_not_here_is_asked_for_before_anything_is_run(pair: Pair) -> None:
    assert pair.answer(WITH_FILES).ending is Ending.LACKS_FILES
    assert pair.child.ran == []


def test_a_files_folder_on_the_node_becomes_one_on_the_worker(pair: Pair) -> None:
    assert pair.answer(replace(WITH_FILES, contents={SHA256: WEIGHTS})).ending is Ending.DONE
    options = pair.child.ran[0][0].options
    assert (Path(str(options["models"])) / "denoiser.safetensors").read_bytes() == WEIGHTS
    assert options["order"] == 8.0
    assert pair.answer(WITH_FILES).ending is Ending.DONE, "the file is kept"


def test_wrong_bytes_are_refused_and_never_run_with(pair: Pair) -> None:
    wrong = replace(WITH_FILES, contents={SHA256: b"other weights"})
    assert pair.answer(wrong).ending is Ending.FAULT
    assert pair.answer(WITH_FILES).ending is Ending.LACKS_FILES
    assert pair.child.ran == []


def test_a_worker_that_would_make_something_else_makes_nothing_and_is_named(tmp_path: Path) -> None:
    for theirs, remedy in (("1.0.9", "update dicomnode on gpu-1"), ("1.2.0+abc", "update dicomnode on this node")):
        pair = Pair(tmp_path, Child(its_version=theirs))
        with pytest.raises(EngineAway, match=f"gpu-1 would make denoising {theirs[:5]}.*, this node 1.1.0: {remedy}"):
            pair.outcome(JOB)
        assert pair.child.ran == []


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (UnsuitableAcquisition("3 views"), UnsuitableAcquisition, "^3 views$"),
        (TransientFault("the engine's process died"), TransientFault, "the engine's process died, on gpu-1"),
        (OSError(28, "No space left on device"), TransientFault, "No space left on device on gpu-1"),
        (ZeroDivisionError("Doe^Jane"), InvariantBroken, "^a job ended as fault: ZeroDivisionError on gpu-1; its log"),
    ],
)
def test_an_error_on_the_worker_is_the_same_to_the_node_and_quotes_nothing(
    tmp_path: Path, raised: Exception, expected: type[Exception], words: str
) -> None:
    with pytest.raises(expected, match=words) as told:
        Pair(tmp_path, Child(raised)).outcome(JOB)
    assert not isinstance(told.value, EngineAway)
    assert "Doe" not in str(told.value)
