"""Seconds from the scanner's last C-STORE response to the last derived instance in Orthanc, for the real GE study."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import eventually
from tests.peers.scanner import associate
from tests.peers.studies import GE_STRESS, REAL_FILES, StudyUids, ge_stress, small_tomo, write


@dataclass(frozen=True)
class RoadTime:
    """What the road took for one kind of study: the first one after the start, and warm repeats."""

    study: str
    derived: int
    first_s: float
    warm_s: tuple[float, ...]


def measure(directory: Path, repeats: int, say: Callable[[str], None]) -> list[RoadTime]:
    """Return the times for a small study and, where the public file is at hand, for the real one."""
    pacs = Orthanc(directory / "pacs")
    node = Node(directory / "node", Settings(destinations=[destination(pacs.dicom_port)]))
    kinds: dict[str, Callable[[StudyUids], Dataset]] = {}
    if (REAL_FILES / GE_STRESS).exists():
        kinds["real GE stress TOMO, 30 views x 64 x 64"] = ge_stress
    else:
        say(f"the real study is left out: {GE_STRESS} is not in {REAL_FILES}")
    kinds["small TOMO, 30 views x 32 x 32"] = small_tomo
    found = []
    try:
        pacs.start()
        for name, make in kinds.items():
            node.start()
            times = [_one_study(node, pacs, make, directory / f"{number}.dcm", name) for number in range(repeats + 1)]
            node.stop()
            found.append(RoadTime(name, times[0][1], times[0][0], tuple(seconds for seconds, _ in times[1:])))
            say(f"{name}: first {times[0][0]:.2f} s, then {', '.join(f'{seconds:.2f}' for seconds, _ in times[1:])} s")
    finally:
        node.stop(timeout_s=20)
        pacs.stop(timeout_s=20)
    return found


def _one_study(
    node: Node, pacs: Orthanc, make: Callable[[StudyUids], Dataset], path: Path, name: str
) -> tuple[float, int]:
    """Send one new study; return the seconds until its last derived instance was stored, and how many there are.

    The archive is asked every 10 ms. How many instances there must be is known from the node afterwards, so the moment
    of the last one is the last moment at which the archive's count grew.
    """
    uids = StudyUids.from_seed("road", name, path)
    write(make(uids), path)
    before = pacs.count()
    assoc = associate(node.port, path)
    answer = assoc.send_c_store(path)
    acknowledged = time.monotonic()
    assoc.release()
    assert answer.Status == 0, f"the node answered 0x{answer.Status:04X}"
    seen, last = before, acknowledged
    deadline = acknowledged + 120
    while time.monotonic() < deadline:
        count = pacs.count()
        if count > seen:
            seen, last = count, time.monotonic()
        elif seen > before and time.monotonic() > last + 1.5:
            break
        time.sleep(0.01)
    eventually(lambda: node.studies()[uids.study]["state"] == "DELIVERED", "the study to be delivered")
    assert len(node.derived(uids.study)) == seen - before, "the archive's count is not what the node made"
    return last - acknowledged, seen - before
