"""What many senders cost the node in memory, and what a sender waits while a pipeline runs on all cores."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from tests.benchmarks.in_a_row import virtual_studies
from tests.benchmarks.receiving import ct_slice, nuclear
from tests.peers import dcmtk
from tests.peers.handmade import RELEASE, associated, read_pdu, store_over
from tests.peers.messages import NM
from tests.peers.node import Node, Settings, destination
from tests.peers.process import eventually, highest_memory_mb, memory_mb, processor_s
from tests.peers.studies import StudyUids, dataset_bytes, write

ASSOCIATIONS, INSTANCES = 16, 30  # each association sends so many
TIMED, EACH_S = 150, 0.05  # C-STOREs, and how far apart they begin
WAITING = 10  # studies for the pipeline to do meanwhile: longer than the timed C-STOREs take
OPTIONS = {"dose_fraction": 0.25}


@dataclass(frozen=True)
class Listening:
    """Memory in MB with many associations, C-STORE times in ms without and with a pipeline beside them."""

    started_mb: float
    highest_mb: float
    idle_ms: tuple[float, ...]
    busy_ms: tuple[float, ...]
    cores_busy: float  # share of all cores that the pipeline's process took while the second were timed


def measure(directory: Path, say: Callable[[str], None]) -> list[Listening]:
    """Return the one row of this part."""
    started_mb, highest_mb = _memory(directory / "many")
    idle_ms, busy_ms, cores_busy = _waiting(directory / "busy")
    found = Listening(started_mb, highest_mb, idle_ms, busy_ms, cores_busy)
    say(f"{found.started_mb:.0f} MB at the start, {found.highest_mb:.0f} MB with {ASSOCIATIONS} associations")
    say(
        f"C-STORE of 0.5 MB: {median(found.idle_ms):.1f} ms, with a pipeline beside it {median(found.busy_ms):.1f} ms "
        f"(which took {100 * found.cores_busy:.0f} % of the cores)"
    )
    return [found]


def _memory(folder: Path) -> tuple[float, float]:
    """Return the node's memory after its start, and the most that it had while many associations sent at once."""
    node = Node(folder / "node", Settings(node={"quiet_s": 3600}))
    pattern = _Pattern(nuclear, folder)
    all_open = threading.Barrier(ASSOCIATIONS)

    def send(sender: int) -> None:
        with _sender(node, NM) as sock:
            all_open.wait(timeout=60)
            for number in range(INSTANCES):
                pattern.store(sock, sender * INSTANCES + number + 1, NM)

    node.start()
    try:
        started_mb = memory_mb(node.pid)
        with ThreadPoolExecutor(ASSOCIATIONS) as senders:
            list(senders.map(send, range(ASSOCIATIONS)))
        return started_mb, highest_memory_mb(node.pid)
    finally:
        node.stop(timeout_s=20)


def _waiting(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Return the times of C-STOREs before any study has come and while denoising is done, and the cores taken by it."""
    archive = dcmtk.StoreSCP(folder / "archive")
    rule = {
        "name": "all", "when": {"modality": "NM"}, "pipeline": "denoising", "options": OPTIONS,
        "destinations": ["pacs"],
    }  # fmt: skip
    node = Node(folder / "node", Settings(destinations=[destination(archive.port, "STORESCP")], rules=[rule]))
    studies = virtual_studies(1 + WAITING, folder / "scanner", ("--dose", "0.25"))
    pattern = _Pattern(ct_slice, folder)  # no rule wants a CT
    try:
        archive.start()
        node.start()
        _send(node, studies[:1])
        node.wait_until(lambda: "DELIVERED" in _states(node), "the first study to be delivered", timeout_s=300)
        idle_ms = _timed(node, pattern, first=1)
        _send(node, studies[1:])
        (child,) = node.children()
        began, before_s = time.monotonic(), processor_s(child)
        busy_ms = _timed(node, pattern, first=1 + TIMED)
        taken_s, took_s = processor_s(child) - before_s, time.monotonic() - began
        assert _states(node).count("DELIVERED") < len(studies), "the pipeline had nothing to do any more"
        eventually(lambda: _states(node).count("DELIVERED") == len(studies), "all to be delivered", timeout_s=300)
        return idle_ms, busy_ms, taken_s / took_s / (os.cpu_count() or 1)
    finally:
        node.stop(timeout_s=60)
        archive.stop(timeout_s=20)


def _timed(node: Node, pattern: _Pattern, first: int) -> tuple[float, ...]:
    """Return how long each of many C-STOREs over one association took, in ms."""
    times = []
    with _sender(node, CTImageStorage) as sock:
        for number in range(first, first + TIMED):
            began = time.monotonic()
            pattern.store(sock, number, CTImageStorage)
            took_s = time.monotonic() - began
            times.append(1000 * took_s)
            time.sleep(max(EACH_S - took_s, 0))
    return tuple(times)


def _states(node: Node) -> list[str]:
    return [row["state"] for row in node.studies().values()]


def _send(node: Node, studies: Sequence[Sequence[Path]]) -> None:
    for files in studies:
        sent = dcmtk.store(node.port, files)
        assert sent.accepted, sent.output


@contextmanager
def _sender(node: Node, sop_class: str) -> Iterator[socket.socket]:
    with associated(node.port, sop_class=sop_class) as sock:
        yield sock
        sock.sendall(RELEASE)
        read_pdu(sock)


class _Pattern:
    """One dataset that becomes another instance by another UID of the same length."""

    def __init__(self, make: Callable[[StudyUids], Dataset], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        made = make(StudyUids.from_seed("listening", str(folder)))
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = _uid(0)
        self._bytes = dataset_bytes(write(made, folder / "pattern.dcm"))

    def store(self, sock: socket.socket, number: int, sop_class: str) -> None:
        """Send the instance of this number. Raises RuntimeError if it is not accepted."""
        uid = _uid(number)
        status = store_over(sock, self._bytes.replace(_uid(0).encode(), uid.encode()), uid, sop_class)
        if status != 0x0000:
            raise RuntimeError(f"instance {number} was answered by {status}")


def _uid(number: int) -> str:
    return f"2.25.{10**30 + number}"
