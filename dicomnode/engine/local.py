"""Pipelines on this machine: one spawned child process that loads torch once, is re-used, and dies with its node."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future

import structlog
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from dicomnode.config import OptionValue, RuleSettings
from dicomnode.errors import ConfigurationError, TransientFault
from pipelines import catalog
from pipelines.contract import NotNow, PipelineInput, PipelineResult

log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_NICENESS = 5  # the listener answers scanners while a pipeline keeps all cores busy


class LocalEngine:
    """Runs one pipeline at a time; a hang, a crash or a lack of memory in the child ends the attempt, not the node."""

    def __init__(self, device: str, timeout_s: float) -> None:
        self._device = device
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        self._stopped = False

    def start(self) -> None:
        """Start the child and let it load what pipelines need; returns at once."""
        self._schedule(catalog.warm_up, self._device).add_done_callback(_report_cold_start)

    def version(self, pipeline: str, options: Mapping[str, OptionValue]) -> str:
        """Return the version of the pipeline and of the weights that it uses under these options.

        Raises TransientFault if the weights are away.
        """
        try:
            return catalog.version_of(pipeline, options)
        except NotNow as error:
            raise TransientFault(str(error)) from None

    def pipelines(self) -> tuple[str, ...]:
        """Return the names of the pipelines there are."""
        return tuple(sorted(catalog.PIPELINES))

    def check_options(self, pipeline: str, options: Mapping[str, OptionValue]) -> None:
        """Raise ValueError, with a sentence, if the pipeline has no such options, or lacks their files."""
        catalog.check_options(pipeline, options)

    def run(self, pipeline: str, pipeline_input: PipelineInput) -> PipelineResult:
        """Run one pipeline in the child and wait for it.

        Raises UnsuitableAcquisition as the pipeline did, TransientFault if the child died, hung, or lacked something
        (memory, room on the GPU, a model's files).
        """
        try:
            result = self._schedule(catalog.run, pipeline, pipeline_input, self._device).result()
        except TimeoutError:
            raise TransientFault(f"the pipeline took longer than engine.timeout_s = {self._timeout_s:g} s") from None
        except ProcessExpired as error:
            raise TransientFault(f"the engine's process died (exit code {error.exitcode})") from error
        except MemoryError:
            raise TransientFault("the engine's process ran out of memory") from None
        except NotNow as error:
            raise TransientFault(str(error)) from None
        except (RuntimeError, CancelledError) as error:
            if isinstance(error, RuntimeError) and not self._broken():
                raise  # the pipeline's own error
            raise TransientFault("the engine is not running") from error
        assert isinstance(result, PipelineResult)  # noqa: S101 - the child runs our own catalog
        return result

    def stop(self) -> None:
        """End the child, also in the middle of a pipeline."""
        with self._lock:
            self._stopped = True
            if self._pool is not None:
                self._pool.stop()
                self._pool.join()

    def _broken(self) -> bool:
        return self._stopped or self._pool is None or not self._pool.active

    def _schedule(self, function: Callable[..., object], *args: object) -> ProcessFuture:
        with self._lock:
            if self._stopped:
                raise TransientFault("the engine is stopped")
            if self._pool is None or not self._pool.active:
                self._pool = self._new_pool()
            try:
                return self._pool.schedule(function, args=args, timeout=self._timeout_s)
            except RuntimeError as error:
                # a child that died before its first task leaves the whole pool unusable
                self._pool.stop()
                self._pool = None
                raise TransientFault("the engine's process could not be started") from error

    def _new_pool(self) -> ProcessPool:
        # spawned, never forked: a forked child would share the listener's sockets and could not use CUDA
        context = multiprocessing.get_context("spawn")
        return ProcessPool(max_workers=1, context=context, initializer=prepare_child, initargs=(os.getpid(),))


def _report_cold_start(warm_up: Future[object]) -> None:
    if not warm_up.cancelled() and (error := warm_up.exception()) is not None:
        log.error("the engine could not warm up", error=str(error))


def check_rules(rules: Sequence[RuleSettings]) -> None:
    """Raise ConfigurationError if a rule names a pipeline or options that there are not, or files that are away."""
    for index, rule in enumerate(rules):
        try:
            catalog.check_options(rule.pipeline, rule.options)
        except ValueError as error:
            raise ConfigurationError(f"rules.{index} ({rule.name}): {error}") from None


def prepare_child(node_pid: int) -> None:
    """Bind the child to its node: the kernel ends it when the node ends, however that happens."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the child, too; the node decides
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != node_pid:  # the node died before the line above took effect
        os._exit(1)
