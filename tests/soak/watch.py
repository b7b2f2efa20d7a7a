"""What a running node holds: memory, file handles and threads of its processes, room on the disk; once in a while."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from tests.peers.node import Node
from tests.peers.process import memory_mb


@dataclass(frozen=True)
class Sample:
    """One look at a node and its child."""

    at_s: float  # since the first look
    node_mb: float  # resident memory of the node
    child_mb: float  # of the child that runs pipelines
    node_files: float  # open file handles
    child_files: float
    node_threads: float
    data_mb: float  # all that lies in the data folder
    journal_mb: float
    studies: float  # that had ended by then


@dataclass(frozen=True)
class Trend:
    """How one of the figures went after the node had warmed up."""

    name: str
    first: float  # the median of the first tenth
    last: float  # of the last tenth
    highest: float
    per_hour: float  # the slope of the straight line through all


def look(node: Node, began: float, studies: int) -> Sample:
    """Look at a node now; raises FileNotFoundError where a process ends in that moment."""
    children = node.children()
    return Sample(
        at_s=time.monotonic() - began,
        node_mb=memory_mb(node.pid),
        child_mb=sum(map(memory_mb, children)),
        node_files=_open_files(node.pid),
        child_files=sum(map(_open_files, children)),
        node_threads=_threads(node.pid),
        data_mb=sum(_size(path) for path in node.data_dir.rglob("*")) / 2**20,
        journal_mb=sum(_size(path) for path in node.data_dir.glob("journal*")) / 2**20,
        studies=studies,
    )


def trends(samples: Sequence[Sample], warm_up: float = 0.25) -> list[Trend]:
    """Return how each figure went after this share of the time, in which caches fill and the first purge is due."""
    kept = [one for one in samples if one.at_s >= warm_up * samples[-1].at_s]
    hours = np.array([one.at_s for one in kept]) / 3600
    tenth = max(len(kept) // 10, 1)
    found = []
    for field in fields(Sample):
        if field.name in ("at_s", "studies"):
            continue
        values = np.array([getattr(one, field.name) for one in kept])
        slope = float(np.polyfit(hours, values, 1)[0])
        ends = float(np.median(values[:tenth])), float(np.median(values[-tenth:]))
        found.append(Trend(field.name, *ends, float(values.max()), slope))
    return found


def every(period_s: float, until: Callable[[], bool], act: Callable[[], None]) -> None:
    """Act at once and then in each period, until it is time to end."""
    due = time.monotonic()
    while not until():
        act()
        due += period_s
        time.sleep(max(due - time.monotonic(), 0.0))


def _open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if path.is_file() else 0
    except FileNotFoundError:  # sent, purged or renamed in this moment
        return 0
