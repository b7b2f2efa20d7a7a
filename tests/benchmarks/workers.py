"""Studies per hour with 1, 2 and 4 workers of a Dask cluster under mutual TLS, beside the node's own child.

Every process computes on one thread, so that a worker can fill one core and no more: what a second one adds is then
seen. Node, scheduler, workers, archive and scanner share this machine, so its cores bound them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.in_a_row import StudyFiles, seconds_for, virtual_studies, warm_up
from tests.dicomnode.network.helpers import certificates
from tests.peers.cluster import Cluster
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import PeerProcess, children_of, processor_s

SIZES = (1, 2, 4)
STUDIES = 24  # after one per worker for warming up; a multiple of all sizes, so that no worker is idle at the end
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Scaling:
    """What so many workers do with studies that wait in a row; 0 workers: the node's own child does it."""

    workers: int
    studies_per_hour: float
    processor_s: float  # per study, of the node, the scheduler, the workers and their children together
    busy: float  # 0 to 1: which part of the time of all cores was used, by whomever
    cores: int


def measure(directory: Path, say: Callable[[str], None]) -> list[Scaling]:
    """Return what the node does alone, and with each number of workers."""
    pacs = Orthanc(directory / "pacs")
    found = []
    try:
        pacs.start()
        for workers in (0, *SIZES):
            studies = virtual_studies(max(1, workers) + STUDIES, directory / f"scanner{workers}")
            found.append(_measure(workers, directory / f"{workers}", pacs, studies))
            say(f"{found[-1]}")
    finally:
        pacs.stop(timeout_s=20)
    return found


def _measure(workers: int, folder: Path, pacs: Orthanc, studies: Sequence[StudyFiles]) -> Scaling:
    cluster = Cluster(folder / "cluster", certificates(folder / "circle"), workers) if workers else None
    # the node gives as many jobs as it sees workers, up to studies_at_once
    engine = {**cluster.table, "studies_at_once": workers} if cluster is not None else {}
    node = Node(folder / "node", Settings(destinations=[destination(pacs.dicom_port)], engine=engine))
    members: list[PeerProcess] = [cluster.scheduler, *cluster.workers] if cluster is not None else []
    for process in (node, *members):
        process.env |= ONE_THREAD
    try:
        if cluster is not None:
            cluster.start()
            cluster.wait_until_ready()
        node.start()
        derived = warm_up(node, pacs, studies[:-STUDIES])
        family = _family(node, *members)
        used_s, busy_s, cores = sum(map(processor_s, family)), _busy_s(), os.cpu_count() or 1
        took_s = seconds_for(node, pacs, studies[-STUDIES:], derived)
        busy = (_busy_s() - busy_s) / took_s / cores
        assert _family(node, *members) == family, "a process was replaced in between"
        used_s = sum(map(processor_s, family)) - used_s
    finally:
        node.stop(timeout_s=60)
        if cluster is not None:
            cluster.stop()
    return Scaling(workers, 3600 * STUDIES / took_s, used_s / STUDIES, busy, cores)


def _family(*processes: PeerProcess) -> set[int]:
    return {pid for process in processes for pid in (process.pid, *children_of(process.pid))}


def _busy_s() -> float:
    """Return for how long the cores of this machine have worked since its start, added up, in s (man 5 proc_stat)."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
