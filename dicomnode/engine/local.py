"""Pipelines on this machine: one spawned child process that loads torch once, is re-used, and dies with its node."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future

import structlog
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from dicomnode.config import RuleSettings
from dicomnode.engine.offer import Offer
from dicomnode.errors import ConfigurationError, TransientFault
from pipelines import catalog
from pipelines.contract import NotNow, PipelineInput, PipelineResult

log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.1  # whether a job has begun
_NICENESS = 5  # the listener answers scanners while a pipeline keeps all cores busy


class LocalEngine(Offer):
    """Runs one pipeline at a time; a hang, a crash or a lack of memory in the child ends the attempt, not the node."""

    def __init__(self, device: str, timeout_s: float) -> None:
        self._device = device
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        self._running: ProcessFuture | None = None
        self._stopped = False

    def start(self) -> None:
        """Start the child and let it load what pipelines need; returns at once."""
        self._schedule(catalog.warm_up, self._timeout_s, self._device).add_done_callback(_report_cold_start)

    def settle(self) -> str:
        """Start the child, wait until it has loaded what pipelines need, and return the device that it will use.

        Raises TransientFault if it can't be had.
        """
        try:
            return str(self._wait(self._schedule(catalog.warm_up, self._timeout_s, self._device), self._timeout_s))
        except ValueError as error:  # no such device, for the moment: a driver may be loaded late
            raise TransientFault(f"engine.device: {error}") from None

    def room(self) -> int:
        """Return how many studies may be in work at once."""
        return 1

    @property
    def trouble(self) -> str:
        """Why nothing can be run at the moment, as a sentence; a child that died is simply replaced."""
        return ""

    def run(
        self,
        pipeline: str,
        pipeline_input: PipelineInput,
        timeout_s: float | None = None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> PipelineResult:
        """Run one pipeline in the child and wait for it, at most for `timeout_s` (None: as the engine was set up).

        `given_up` is asked once, when it has begun: whoever abandons it before that moment says so there.
        Raises UnsuitableAcquisition as the pipeline did, TransientFault if the child died, hung, was told to abandon
        the pipeline, or lacked something (memory, room on the GPU, a model's files).
        """
        limit_s = timeout_s or self._timeout_s
        self._running = self._schedule(catalog.run, None, pipeline, pipeline_input, self._device)
        if given_up():
            self.abandon()
        result = self._wait(self._running, limit_s)
        assert isinstance(result, PipelineResult)  # noqa: S101 - the child runs our own catalog
        return result

    def abandon(self) -> None:
        """End the pipeline that runs at the moment, if any, together with its child; the next one gets another."""
        if (running := self._running) is not None:
            running.cancel()

    def _wait(self, future: ProcessFuture, limit_s: float) -> object:
        try:
            return _result(future, limit_s)
        except TimeoutError:
            raise TransientFault(f"the pipeline took longer than engine.timeout_s = {limit_s:g} s") from None
        except ProcessExpired as error:
            raise TransientFault(f"the engine's process died (exit code {error.exitcode})") from error
        except MemoryError:
            raise TransientFault("the engine's process ran out of memory") from None
        except NotNow as error:
            raise TransientFault(str(error)) from None
        except (RuntimeError, CancelledError) as error:
            if isinstance(error, RuntimeError) and not self._broken():
                raise  # the pipeline's own error
            raise TransientFault("the engine is not running, or was told to abandon this pipeline") from error

    def stop(self) -> None:
        """End the child, also in the middle of a pipeline."""
        with self._lock:
            self._stopped = True
            if self._pool is not None:
                self._pool.stop()
                self._pool.join()

    def _broken(self) -> bool:
        return self._stopped or self._pool is None or not self._pool.active

    def _schedule(self, function: Callable[..., object], limit_s: float | None, *args: object) -> ProcessFuture:
        with self._lock:
            if self._stopped:
                raise TransientFault("the engine is stopped")
            if self._pool is None or not self._pool.active:
                self._pool = self._new_pool()
            try:
                return self._pool.schedule(function, args=args, timeout=limit_s)
            except RuntimeError as error:
                # a child that died before its first task leaves the whole pool unusable
                self._pool.stop()
                self._pool = None
                raise TransientFault("the engine's process could not be started") from error

    def _new_pool(self) -> ProcessPool:
        # torch's threads sleep while they wait for each other: on busy cores those that spin hold each other up
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        # spawned, never forked: a forked child would share the listener's sockets and could not use CUDA
        context = multiprocessing.get_context("spawn")
        return ProcessPool(max_workers=1, context=context, initializer=prepare_child, initargs=(os.getpid(),))


def _result(future: ProcessFuture, limit_s: float) -> object:
    """Return what came of a job. Raises TimeoutError, and ends it, when it has run for longer than `limit_s`.

    The pool's own limits go by the time of day: a clock that is set ahead would end the job in its first second.
    """
    deadline_s: float | None = None
    while True:
        try:
            return future.result(timeout=_LOOK_S if deadline_s is None else max(deadline_s - time.monotonic(), 0))
        except TimeoutError:
            if future.done():  # meanwhile, or the error is the pipeline's own
                return future.result()
        if deadline_s is None and future.running():
            deadline_s = time.monotonic() + limit_s
        elif deadline_s is not None and time.monotonic() >= deadline_s:
            future.cancel()
            raise TimeoutError


def _report_cold_start(warm_up: Future[object]) -> None:
    if not warm_up.cancelled() and (error := warm_up.exception()) is not None:
        log.error("the engine could not warm up", error=str(error))


def check_rules(rules: Sequence[RuleSettings]) -> None:
    """Raise ConfigurationError if a rule names a pipeline or options that there are not, or files that are away."""
    for index, rule in enumerate(rules):
        try:
            catalog.check_options(rule.pipeline, rule.options)
        except ValueError as error:
            raise ConfigurationError(f"rules.{index}.options: {error} (rule {rule.name!r})") from None


def prepare_child(node_pid: int) -> None:
    """Bind the child to its node: the kernel ends it when the node ends, however that happens."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the child, too; the node decides
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != node_pid:  # the node died before the line above took effect
        os._exit(1)
