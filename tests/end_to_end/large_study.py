"""A study of 10,000 instances into one node: `make large-study`, or `python -m tests.end_to_end.large_study`.

Prints how long each tenth of them took, what memory the node needed at most, and what it then knows of the study.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tests.peers.handmade import RELEASE, associated, read_pdu, store_over
from tests.peers.node import Node, Settings
from tests.peers.process import highest_memory_mb, memory_mb
from tests.peers.studies import StudyUids, dataset_bytes, static_image, write


@dataclass(frozen=True)
class Reception:
    """How it went: seconds per tenth of the study, the node's highest memory, and the row of `studies`."""

    tenths_s: tuple[float, ...]
    start_mb: float
    peak_mb: float
    state: str
    instances: int
    files: int


def receive(folder: Path, instances: int) -> Reception:
    """Send so many planar images of one study over one Association, and wait until the node has decided."""
    uids = StudyUids.from_seed("large", instances)
    node = Node(folder / "node", Settings())
    node.start()
    try:
        start_mb = memory_mb(node.pid)
        tenths = _send(node.port, uids, instances, folder)
        row = node.wait_for(uids.study, "IGNORED", timeout_s=600)
        files = sum(1 for _ in node.data_dir.joinpath("spool").rglob("*.dcm"))
        peak_mb = highest_memory_mb(node.pid)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{node.last_words()}") from None
    finally:
        node.stop()
    return Reception(tenths, start_mb, peak_mb, row["state"], row["instances"], files)


def _send(port: int, uids: StudyUids, instances: int, folder: Path) -> tuple[float, ...]:
    """Send by hand: pynetdicom's requestor may lose an answer to its own second thread on a busy machine."""
    pattern, times = dataset_bytes(write(static_image(replace(uids, instance=_uid(0))), folder / "image.dcm")), []
    with associated(port) as sock:
        for tenth in range(10):
            started = time.monotonic()
            for number in range(instances * tenth // 10, instances * (tenth + 1) // 10):
                dataset = pattern.replace(_uid(0).encode(), _uid(number + 1).encode())
                status = store_over(sock, dataset, _uid(number + 1))
                assert status == 0x0000, f"instance {number + 1} was answered by {status}"
            times.append(time.monotonic() - started)
        sock.sendall(RELEASE)
        read_pdu(sock)
    return tuple(times)


def _uid(number: int) -> str:
    """Return a UID of always the same length."""
    return f"2.25.{10**30 + number}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.large_study", description=__doc__)
    parser.add_argument("--instances", type=int, default=10_000)
    instances = parser.parse_args().instances
    with tempfile.TemporaryDirectory(prefix="dicomnode-large-") as folder:
        found = receive(Path(folder), instances)
    each = ", ".join(f"{seconds:.1f}" for seconds in found.tenths_s)
    print(f"{instances} instances in {sum(found.tenths_s):.1f} s; each tenth: {each} s")
    print(f"memory of the node: {found.start_mb:.0f} MB at the start, {found.peak_mb:.0f} MB at most")
    print(f"the study is {found.state} with {found.instances} instances in the journal, {found.files} files")
    return 0 if found.instances == found.files == instances else 1


if __name__ == "__main__":
    sys.exit(main())
