"""Where a Dask worker does its jobs: in the child process of a LocalEngine, so that no hang or crash takes the worker.

The worker's own process stays small and awake: it talks to the scheduler, keeps files, and waits for the child.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import structlog
from distributed import Worker, WorkerPlugin, get_worker

from dicomnode.engine.file_cache import FileCache
from dicomnode.engine.jobs import Answer, Ending, Job
from dicomnode.engine.local import LocalEngine
from dicomnode.errors import TransientFault
from pipelines.contract import PipelineInput
from pipelines.images import UnsuitableAcquisition

log = structlog.get_logger(__name__)

BENCH = "dicomnode bench"  # the plugin's name on its worker


def perform(job: bytes) -> bytes:
    """Do a job on the bench of the worker that this is called on; the one function that Dask is asked to run."""
    bench: Bench = get_worker().plugins[BENCH]
    return bench.perform(job, get_worker().get_current_task())


class Bench(WorkerPlugin):  # type: ignore[misc] # Dask has no types of its own
    """What a worker works with, for as long as it is one."""

    name = BENCH

    def __init__(self, engine: LocalEngine, files: FileCache, title: str) -> None:
        self._engine, self._files, self._title = engine, files, title
        self._turn = threading.Lock()
        self._task: object = None
        self._given_up: set[object] = set()  # tasks that nobody waits for any more, until they end here

    def perform(self, travelled: bytes, task: object) -> bytes:
        """Do a job and return its answer, whatever happens."""
        with self._turn:  # a job that was given up may take a moment to end
            self._task = task
            try:
                return self._answer(Job.unpacked(travelled)).packed()
            except Exception as error:
                # the outer wall of a job: an error must come back as an answer, without what it may quote
                log.exception("job failed", where=self._title)
                words = f"{type(error).__name__} on {self._title}; its log says where"
                return Answer(Ending.FAULT, self._title, words).packed()
            finally:
                self._task = None
                self._given_up.discard(task)

    def _answer(self, job: Job) -> Answer:
        log.info("job began", pipeline=job.pipeline, version=job.version)
        try:
            answer = self._made(job)
        except UnsuitableAcquisition as error:
            answer = Answer(Ending.UNSUITABLE, self._title, str(error))
        except TransientFault as error:
            answer = Answer(Ending.FAILED, self._title, f"{error}, on {self._title}")
        except OSError as error:  # of the cache
            answer = Answer(Ending.FAILED, self._title, f"{error.strerror} on {self._title}")
        log.info("job ended", pipeline=job.pipeline, outcome=answer.ending.value, reason=answer.words)
        return answer

    def _made(self, job: Job) -> Answer:
        wanted = {file.sha256 for files in job.folders.values() for file in files}
        for sha256 in self._files.lacking(wanted):
            if sha256 not in job.contents:
                return Answer(Ending.LACKS_FILES, self._title)
            self._files.take(sha256, job.contents[sha256])
        here = self._as_here(job)
        version = self._engine.version(job.pipeline, here.options)
        if version != job.version:
            return Answer(Ending.OTHER_VERSION, self._title, version)
        result = self._engine.run(job.pipeline, here, job.timeout_s, lambda: self._task in self._given_up)
        return Answer(Ending.DONE, self._title, result=result)

    def _as_here(self, job: Job) -> PipelineInput:
        """Return the input with the node's folders replaced by those of this machine."""
        folders = {option: str(self._files.folder_of(files)) for option, files in job.folders.items()}
        return replace(job.pipeline_input, options={**job.pipeline_input.options, **folders})

    # --- what Dask calls

    def transition(self, key: object, start: str, finish: str, **_: object) -> None:
        """End the pipeline of a job that nobody waits for any more: its node was stopped, or gave it up."""
        if start == "executing" and finish in ("released", "cancelled"):
            log.info("job given up by its node")
            self._given_up.add(key)  # first: the job may still be on its way into the child
            if key == self._task:
                self._engine.abandon()

    def teardown(self, worker: Worker) -> None:
        """End what runs: the worker closes."""
        self._engine.stop()
