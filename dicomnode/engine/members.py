"""The two other members of a cluster, each a process of its own: the scheduler that hands out jobs, and a worker.

systemd supervises both; there is no nanny. A worker that loses its scheduler ends, and is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from dicomnode.config import EngineSettings
from dicomnode.engine.cluster import LOST_AFTER_S, check_listening, hush, load_dask, scheduler_address, security_of
from dicomnode.engine.file_cache import FileCache
from dicomnode.engine.jobs import GPU, slot
from dicomnode.engine.local import LocalEngine
from dicomnode.errors import ConfigurationError, TransientFault
from dicomnode.systemd import ServiceManager

log = structlog.get_logger(__name__)

KNOCK_S = 5.0  # between two attempts to reach a scheduler that is away
DRAIN_S = 60.0  # for the job that runs when a worker is stopped
_LOOPBACK_ALONE = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}  # Dask opens one, here without any page
_BEAT_S, _LOOK_S = 10.0, 0.1


@dataclass(frozen=True)
class WorkerSettings:
    """What only this worker needs to know: its title in messages, its cache, the address that it listens on."""

    engine: EngineSettings
    release: str
    title: str
    cache: Path
    host: str | None = None  # None: whichever address leads to the scheduler
    port: int = 0


def run_worker(settings: WorkerSettings, manager: ServiceManager) -> None:
    """Do jobs until SIGTERM or SIGINT; the one that runs then may end within DRAIN_S.

    Raises ConfigurationError, TransientFault when the scheduler is lost or the device can't be had.
    """
    check_listening(settings.engine, settings.host)
    load_dask()
    security_of(settings.engine)
    engine = LocalEngine(settings.engine.device, settings.engine.timeout_s)
    engine.start()  # loads torch while the scheduler is looked for
    try:
        asyncio.run(_work(settings, engine, manager))
    finally:
        engine.stop()


def run_scheduler(settings: EngineSettings, host: str | None, manager: ServiceManager) -> None:
    """Hand out jobs until SIGTERM or SIGINT; `host` is the address to listen on, if not that of engine.scheduler.

    Raises ConfigurationError if it can't listen there, or must not.
    """
    check_listening(settings, host)
    load_dask()
    asyncio.run(_schedule(settings, host, manager))


async def _schedule(settings: EngineSettings, host: str | None, manager: ServiceManager) -> None:
    address = scheduler_address(settings)
    scheme, _, place = address.partition("://")
    name, _, port = place.rpartition(":")
    scheduler = load_dask().Scheduler(
        host=f"{scheme}://{host or name}", port=int(port), security=security_of(settings), worker_ttl=LOST_AFTER_S,
        # a job that lost its worker goes back to its node, whose journal decides what becomes of it
        allowed_failures=0, **_LOOPBACK_ALONE,
    )  # fmt: skip
    async with _signs_of_life(manager), _signals() as told_to_stop:
        try:
            await scheduler
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(f"engine.scheduler: can't listen on {address}: {_told(error)}") from None
        manager.ready(f"listens on {scheduler.address}")
        log.info("ready", host=scheduler.address)
        await told_to_stop.wait()
        manager.stopping("stopping", KNOCK_S)
        await scheduler.close(reason="told to stop")


async def _work(settings: WorkerSettings, engine: LocalEngine, manager: ServiceManager) -> None:
    from distributed.core import Status

    address = scheduler_address(settings.engine)
    async with _signs_of_life(manager), _signals() as told_to_stop:
        manager.ready(f"waits for {address}")
        if not await _knock(settings.engine, told_to_stop):
            return
        device = await asyncio.to_thread(engine.settle)
        worker = _worker(settings, engine, device)
        try:
            await worker
        except (OSError, ValueError, RuntimeError) as error:
            raise TransientFault(f"the scheduler {address} does not take this worker: {_told(error)}") from None
        manager.status(f"works for {address} on {device}")
        log.info("ready", host=worker.address, device=device, title=settings.title, version=settings.release)
        while worker.status == Status.running and not told_to_stop.is_set():
            await asyncio.sleep(_LOOK_S)
        if not told_to_stop.is_set():
            engine.stop()  # nobody waits for its job any more, and Dask would wait for it half a minute
            raise TransientFault(f"the scheduler {address} is gone, or took this worker for gone")
        manager.stopping("ends the job that runs", DRAIN_S + 2 * KNOCK_S)
        await _leave(worker, engine)


def _worker(settings: WorkerSettings, engine: LocalEngine, device: str) -> Any:
    from dicomnode.engine.bench import Bench

    resources = {slot(settings.release): 1.0, **({GPU: 1.0} if device.startswith("cuda") else {})}
    bench = Bench(engine, FileCache(settings.cache), settings.title)
    address = scheduler_address(settings.engine)
    return load_dask().Worker(
        address, name=settings.title, nthreads=1, resources=resources, plugins=(bench,), memory_limit=0,
        security=security_of(settings.engine), protocol=address.partition("://")[0], host=settings.host,
        port=settings.port, local_directory=str(settings.cache / "dask"), **_LOOPBACK_ALONE,
    )  # fmt: skip


async def _knock(settings: EngineSettings, told_to_stop: asyncio.Event) -> bool:
    """Wait until the scheduler lets us in, and say why it does not; False if we are told to stop meanwhile.

    Dask's worker would wait as long, but without a word.
    """
    from distributed.comm import connect

    address, security, said = scheduler_address(settings), security_of(settings), ""
    arguments = security.get_connection_args("worker") if security else {}
    while not told_to_stop.is_set():
        try:
            comm = await connect(address, timeout=KNOCK_S, **arguments)
            await comm.close()
            return True
        except OSError as error:
            if (reason := _told(error)) != said:
                log.warning("the scheduler does not let us in yet", host=address, reason=reason)
                said = reason
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told_to_stop.wait(), KNOCK_S)
    return False


async def _leave(worker: Any, engine: LocalEngine) -> None:
    """Take no further job, let the one that runs end and its answer be fetched, and leave the cluster politely."""
    from distributed.core import Status

    worker.status = Status.paused
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while worker.state.tasks:
                await asyncio.sleep(_LOOK_S)
    with contextlib.suppress(TimeoutError, OSError):
        # a job that did not end goes to another worker, and counts as nobody's failure
        retired = worker.scheduler.retire_workers(workers=[worker.address], close_workers=False, remove=True)
        await asyncio.wait_for(retired, KNOCK_S)
    engine.stop()
    hush()
    await worker.close(executor_wait=False, timeout=KNOCK_S, reason="told to stop")


@contextlib.asynccontextmanager
async def _signals() -> AsyncIterator[asyncio.Event]:
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    yield told_to_stop


@contextlib.asynccontextmanager
async def _signs_of_life(manager: ServiceManager) -> AsyncIterator[None]:
    """Tell systemd's watchdog that the loop on which all connections are served goes round."""
    beating = asyncio.ensure_future(_beat(manager.alive))
    try:
        yield
    finally:
        beating.cancel()


async def _beat(tell: Callable[[], None]) -> None:
    while True:
        tell()
        await asyncio.sleep(_BEAT_S)


def _told(error: BaseException) -> str:
    """Return the innermost reason: Dask's own sentence around it names addresses and time-outs."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
