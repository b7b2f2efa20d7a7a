"""Pipelines on other machines: jobs for the workers of a Dask cluster. Nothing of a study is kept there.

The node's journal is the only truth: a job that is lost with a worker, the scheduler or the network is simply lost,
and the attempt at its study with it.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from dicomnode.config import EngineSettings, OptionValue
from dicomnode.engine.cluster import check_engine, load_dask, scheduler_address, security_of
from dicomnode.engine.jobs import GPU, Answer, Ending, FilesNeeded, Job, releases, slot, what_to_update
from dicomnode.engine.losses import Losses
from dicomnode.engine.offer import Offer
from dicomnode.errors import EngineAway, InvariantBroken, TransientFault
from pipelines import catalog
from pipelines.contract import PipelineInput, PipelineResult
from pipelines.images import UnsuitableAcquisition

if TYPE_CHECKING:
    from distributed import Client, Future

log = structlog.get_logger(__name__)

CONNECT_S = 3.0
AGAIN_S = 5.0  # after a scheduler that did not answer
LOOK_S = 1.0  # for how long what was seen of the workers holds
_LONG_AGO = (-LOOK_S, 0)
PATIENCE_S = 60.0  # for the way there and back, beyond the pipeline's own time limit


@dataclass(frozen=True)
class Member:
    """A worker as the scheduler knows it."""

    title: str
    releases: tuple[str, ...]  # of dicomnode; none: it is no worker of ours
    gpu: bool
    working: bool  # it takes jobs; False while it is being stopped


class DistributedEngine(Offer):
    """Runs as many pipelines side by side as there are workers; safe to be called from several threads.

    A worker that would use another version than `version` tells says so instead of running the job.
    """

    def __init__(self, settings: EngineSettings, release: str) -> None:
        self._settings, self._release = settings, release
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._not_before_s = 0.0
        self._seen = _LONG_AGO  # when, and the room that there was
        self._trouble = ""
        self._losses = Losses()
        self._stopped = False

    def start(self) -> None:
        """Look who is there, without waiting for anybody. Raises ConfigurationError if Dask or a file is missing."""
        check_engine(self._settings)
        threading.Thread(target=self.room, name="engine", daemon=True).start()

    def room(self) -> int:
        """Return how many studies may be in work at once: as many as there are workers, none without a scheduler."""
        seen_at, room = self._seen
        return room if time.monotonic() < seen_at + LOOK_S else self._look()

    @property
    def trouble(self) -> str:
        """Why nothing can be run at the moment, as a sentence; empty while all is well."""
        return self._trouble

    def run(self, pipeline: str, pipeline_input: PipelineInput) -> PipelineResult:
        """Run one pipeline on a worker and wait for it.

        Raises UnsuitableAcquisition as the pipeline did, TransientFault if the worker died or the pipeline failed
        there, or if the job was lost again and again while others were answered; EngineAway if there was no worker to
        fail, or the scheduler went away.
        """
        needed = self._files(pipeline, pipeline_input.options)
        version = self.version(pipeline, pipeline_input.options)
        limit_s = self._settings.timeout_s
        job = Job(pipeline, pipeline_input, version, limit_s, needed.folders)
        deadline_s = time.monotonic() + limit_s + PATIENCE_S
        answer = self._ask(job, deadline_s)
        if answer.ending is Ending.LACKS_FILES:
            # with all of them, for the next worker may lack others
            answer = self._ask(replace(job, contents=needed.contents), deadline_s)
        return self._result(job, answer)

    def stop(self) -> None:
        """Leave the cluster, also in the middle of a pipeline, which its worker then gives up."""
        with self._lock:
            self._stopped = True
            client, self._client = self._client, None
        if client is not None:
            client.close(timeout=CONNECT_S)

    def _look(self) -> int:
        """See who is there now, say so where that has changed, and return the room that there is."""
        try:
            room, trouble = len(self._fitting()), ""
        except EngineAway as error:
            room, trouble = 0, str(error)
        self._seen = time.monotonic(), min(room, self._settings.studies_at_once)
        if trouble != self._trouble and not self._stopped:
            self._trouble = trouble
            if trouble:
                log.warning("no study can be processed at the moment", reason=trouble)
            else:
                log.info("studies can be processed", count=room)
        return self._seen[1]

    # --- jobs

    def _files(self, pipeline: str, options: Mapping[str, OptionValue]) -> FilesNeeded:
        try:
            return FilesNeeded.read(catalog.files_of(pipeline, options))
        except OSError as error:
            raise TransientFault(f"{error.filename}: can't be read ({error.strerror})") from None

    def _ask(self, job: Job, deadline_s: float) -> Answer:
        source = job.pipeline_input.acquisition.key
        with self._losses.turn(source):
            future = self._submitted(job)
            try:
                with self._losses.watched(source):
                    return self._awaited(future, job, deadline_s)
            finally:
                future.release()

    def _awaited(self, future: Future, job: Job, deadline_s: float) -> Answer:
        distributed = load_dask()
        try:
            answer = Answer.unpacked(future.result(timeout=max(1.0, deadline_s - time.monotonic())))
            log.info("job ended", pipeline=job.pipeline, where=answer.worker, outcome=answer.ending.value)
            return answer
        except TimeoutError:
            future.cancel(force=True)
            raise EngineAway(f"no worker had time for the job within {job.timeout_s + PATIENCE_S:g} s") from None
        except distributed.KilledWorker as error:
            self._seen = _LONG_AGO
            raise TransientFault(f"the worker {error.last_worker.name} was lost with the job") from None
        except (CancelledError, OSError) as error:
            self._seen = _LONG_AGO
            told = "the engine is stopped" if self._stopped else "the scheduler was lost while the job ran"
            raise EngineAway(f"{told} ({type(error).__name__})") from None

    def _submitted(self, job: Job) -> Future:
        from dicomnode.engine.bench import perform

        if not self._look():
            raise EngineAway(self._trouble)
        key = f"{job.pipeline}-{uuid.uuid4().hex}"
        try:
            return self._connected().submit(perform, job.packed(), key=key, resources=self._asked(), pure=False)
        except load_dask().client.ClosedClientError:
            raise EngineAway(f"{self._where} was lost") from None

    def _result(self, job: Job, answer: Answer) -> PipelineResult:
        match answer.ending:
            case Ending.DONE if answer.result is not None:
                return answer.result
            case Ending.UNSUITABLE:
                raise UnsuitableAcquisition(answer.words)
            case Ending.FAILED:
                raise TransientFault(answer.words)
            case Ending.OTHER_VERSION:
                raise EngineAway(
                    f"{answer.worker} would make {job.pipeline} {answer.words}, this node {job.version}: "
                    f"{what_to_update(job.version, answer.words, answer.worker)}"
                )
            case _:
                raise InvariantBroken(f"a job ended as {answer.ending.value}: {answer.words}")

    # --- the cluster

    def _asked(self) -> Mapping[str, float]:
        """Return the resources of a job: one worker of our release to itself; a GPU where the node asks for one."""
        return {slot(self._release): 1, **({GPU: 1} if self._settings.device.startswith("cuda") else {})}

    def _fitting(self) -> list[Member]:
        """Return the workers that may get our jobs. Raises EngineAway, with a remedy, if there is none."""
        members = self._members()
        found = [one for one in members if one.working and self._release in one.releases]
        if self._settings.device.startswith("cuda"):
            if found and not any(one.gpu for one in found):
                asked = f'engine.device = "{self._settings.device}" asks for a GPU'
                raise EngineAway(f"{asked}; none of the {len(found)} workers has one")
            found = [one for one in found if one.gpu]
        if found:
            return found
        ours = [one for one in members if one.releases and self._release not in one.releases]
        if ours:
            told = "; ".join(
                f"{one.title} has {one.releases[0]}, {what_to_update(self._release, one.releases[0], one.title)}"
                for one in ours
            )
            raise EngineAway(f"no worker has dicomnode {self._release} as this node does: {told}")
        raise EngineAway(f"no worker is connected to {scheduler_address(self._settings)}")

    def _members(self) -> list[Member]:
        client = self._connected()
        try:
            asked = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=CONNECT_S)
            known: Mapping[str, Any] = asked["workers"]
        except (OSError, AttributeError) as error:  # Dask takes the attribute away when the connection is lost
            raise EngineAway(f"{self._where} does not answer ({type(error).__name__})") from None
        return [
            Member(
                str(one["name"]), releases(one["resources"]), GPU in one["resources"], one["status"] == "running"
            )
            for one in known.values()
        ]  # fmt: skip

    @property
    def _where(self) -> str:
        return f"the scheduler {scheduler_address(self._settings)}"

    def _connected(self) -> Client:
        """Return the client, connected anew where it was not; Dask's own gives up after a while. Raises EngineAway."""
        with self._lock:
            if self._stopped:
                raise EngineAway("the engine is stopped")
            if self._client is not None and self._client.status == "running":
                return self._client
            if time.monotonic() < self._not_before_s:
                raise EngineAway(self._trouble or f"{self._where} is away")
            lost, self._client = self._client, None
            if lost is not None:
                lost.close(timeout=CONNECT_S)
            try:
                self._client = self._new_client()
            except OSError as error:
                self._not_before_s = time.monotonic() + AGAIN_S
                raise EngineAway(f"{self._where} can't be reached ({_innermost(error)})") from None
            return self._client

    def _new_client(self) -> Client:
        distributed = load_dask()
        client: Client = distributed.Client(
            scheduler_address(self._settings), security=security_of(self._settings), timeout=CONNECT_S,
            set_as_default=False, name="dicomnode",
        )  # fmt: skip
        return client


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
