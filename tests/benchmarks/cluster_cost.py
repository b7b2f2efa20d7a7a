"""What the way to a worker costs: jobs of some sizes there and back, and how soon a loss is seen by the node.

The jobs are refused by the pipeline at once, so that nothing is computed: what is timed is the way there, through the
scheduler, into the worker's child, and that of a short answer back. Beside it the same job in the node's own child.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from dicomnode.config import EngineSettings
from dicomnode.engine.distributed import DistributedEngine
from dicomnode.engine.local import LocalEngine
from dicomnode.errors import TransientFault
from dicomnode.node import node_version
from pipelines.contract import Acquisition, MapCandidate, MapSource, PipelineInput
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, UnsuitableAcquisition, Volume
from tests.dicomnode.network.helpers import certificates
from tests.factories import some_projections
from tests.peers.cluster import Cluster
from tests.peers.process import eventually, highest_memory_mb

SIZES_MB = (1, 8, 100)
TIMES = 5
WORKERS = 2
LONG = 100_000  # iterations: minutes, were they left alone

ANY_PLACE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))

Engine = LocalEngine | DistributedEngine


@dataclass(frozen=True)
class JobTime:
    """A job of so many MB there, refused at once, and the answer back; median s."""

    size_mb: int
    child_s: float  # in the node's own child
    worker_s: float  # on a worker, under mutual TLS


@dataclass(frozen=True)
class ClusterCost:
    """The sizes, the losses by what was lost (s until the node's attempt ended), and memory at the most in MB."""

    jobs: tuple[JobTime, ...]
    losses: dict[str, float]
    scheduler_mb: float
    worker_mb: float  # without its child


def measure(directory: Path, say: Callable[[str], None], sizes_mb: tuple[int, ...] = SIZES_MB) -> list[ClusterCost]:
    """Return the one row of this part."""
    directory.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(directory / "cluster", certificates(directory / "circle"), WORKERS)
    local = LocalEngine("cpu", timeout_s=120)
    engine = DistributedEngine(EngineSettings.model_validate(cluster.table), node_version())
    try:
        cluster.start()
        cluster.wait_until_ready()
        eventually(lambda: engine.room() == WORKERS, "the workers to be seen")
        jobs = tuple(JobTime(size, _seconds(local, size), _seconds(engine, size)) for size in sizes_mb)
        for job in jobs:
            say(f"{job}")
        memory_mb = [highest_memory_mb(one.pid) for one in (cluster.scheduler, *cluster.workers)]
        losses = _losses(cluster, engine, say)
    finally:
        engine.stop()
        local.stop()
        cluster.stop()
    return [ClusterCost(jobs, losses, memory_mb[0], max(memory_mb[1:]))]


def _seconds(engine: Engine, size_mb: int) -> float:
    shape = (size_mb * 8, 128, 256)  # of 4 bytes each
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ct = MapCandidate(MapSource.CT, Volume(values, VoxelGrid(shape, ANY_PLACE), Unit.HOUNSFIELD))
    refused = PipelineInput(Acquisition("1.2.3"), (ct,))
    times = []
    for _ in range(1 + TIMES):  # the first only warms up
        began = time.monotonic()
        try:
            engine.run("reconstruction", refused)
        except UnsuitableAcquisition:
            times.append(time.monotonic() - began)
    return median(times[1:])


def _losses(cluster: Cluster, engine: DistributedEngine, say: Callable[[str], None]) -> dict[str, float]:
    """Return after how many seconds a node with a job under way knows that it is lost."""
    found = {}
    for what in ("a worker is killed", "a worker is frozen", "the scheduler is killed"):
        eventually(engine.room, "a worker to be seen", timeout_s=120)
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(engine.run, "reconstruction", _endless())
            worker = cluster.busy_worker()
            began = time.monotonic()
            if what == "a worker is frozen":
                os.kill(worker.pid, signal.SIGSTOP)
            else:
                (cluster.scheduler if "scheduler" in what else worker).kill()
            error = job.exception(timeout=200)
            found[what] = time.monotonic() - began
        assert isinstance(error, TransientFault), error
        worker.kill()
        say(f"{what}: {found[what]:.1f} s")
        if "scheduler" not in what:
            worker.start()
            worker.wait_until_ready()
    return found


def _endless() -> PipelineInput:
    projections = some_projections(views=30, rows=16, columns=16)
    return PipelineInput(Acquisition("1.2.3", projections=projections), options={"iterations": LONG})
