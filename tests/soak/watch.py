"""What a running node holds: memory, file handles and threads of its processes, room on the disk; once in a while."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from tests.peers.cluster import Cluster
from tests.peers.node import Node
from tests.peers.process import children_of, memory_mb


@dataclass(frozen=True)
class Sample:
    """One look at a node, at its child that runs pipelines, and at the members of its cluster with their children."""

    at_s: float  # since the first look
    node_mb: float  # resident memory
    child_mb: float
    cluster_mb: float
    node_files: float  # open file handles
    child_files: float
    cluster_files: float
    node_threads: float
    child_threads: float
    cluster_threads: float
    files_mb: float  # all that lies in the data folder, but the journal
    journal_mb: float
    studies: float  # that had been sent by then


@dataclass(frozen=True)
class Trend:
    """How one of the figures went after the node had warmed up."""

    name: str
    first: float  # the median of the first tenth
    last: float  # of the last tenth
    highest: float
    per_hour: float  # the slope of the straight line through all
    hours: float


NO_FIGURES = ("at_s", "studies")


def look(node: Node, cluster: Cluster | None, began: float, studies: int) -> Sample:
    """Look at all that runs now; a process that ends in that moment, or has ended, holds nothing."""
    holders = {"node": [node.pid], "child": node.children(), "cluster": _members(cluster)}
    held = {
        f"{who}_{what}": sum(_held(pid, measure) for pid in pids)
        for who, pids in holders.items()
        for what, measure in (("mb", memory_mb), ("files", _open_files), ("threads", _threads))
    }
    sizes = {path: _size(path) for path in _files_below(node.data_dir)}
    journal_mb = sum(size for path, size in sizes.items() if path.name.startswith("journal")) / 2**20
    files_mb = sum(sizes.values()) / 2**20 - journal_mb
    return Sample(
        at_s=time.monotonic() - began, files_mb=files_mb, journal_mb=journal_mb, studies=studies, **held
    )  # fmt: skip


def trends(samples: Sequence[Sample], warm_up: float = 0.25) -> list[Trend]:
    """Return how each figure went after this share of the time, in which caches fill and the first purge is due."""
    kept = [one for one in samples if one.at_s >= warm_up * samples[-1].at_s]
    hours = np.array([one.at_s for one in kept]) / 3600
    tenth = max(len(kept) // 10, 1)
    found = []
    for field in fields(Sample):
        if field.name in NO_FIGURES:
            continue
        values = np.array([getattr(one, field.name) for one in kept])
        slope = float(np.polyfit(hours, values, 1)[0]) if len(kept) > 1 else 0.0
        ends = float(np.median(values[:tenth])), float(np.median(values[-tenth:]))
        found.append(Trend(field.name, *ends, float(values.max()), slope, float(hours[-1] - hours[0])))
    return found


def every(period_s: float, until: Callable[[], bool], act: Callable[[], None]) -> None:
    """Act at once and then in each period, until it is time to end."""
    due = time.monotonic()
    while not until():
        act()
        due += period_s
        time.sleep(max(due - time.monotonic(), 0.0))


def _members(cluster: Cluster | None) -> list[int]:
    members = [cluster.scheduler, *cluster.workers] if cluster is not None else []
    return [pid for member in members for pid in (member.pid, *children_of(member.pid))]


def _held(pid: int, measure: Callable[[int], float]) -> float:
    try:
        return measure(pid)
    except (FileNotFoundError, ProcessLookupError, StopIteration):  # the last: it has ended, and nobody took note yet
        return 0.0


def _open_files(pid: int) -> float:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _threads(pid: int) -> float:
    return len(os.listdir(f"/proc/{pid}/task"))


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield all files; os.walk passes over a folder that is purged in this moment, Path.rglob ends there."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:  # sent, purged or renamed in this moment
        return 0
