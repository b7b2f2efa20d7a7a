"""The short campaigns of every test run. The long one is `make chaos`."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.chaos.campaign import Campaign
from tests.chaos.plan import Plan
from tests.conftest import Start, StartNode, need_isolation, need_programs
from tests.peers.node import Settings
from tests.peers.process import eventually
from tests.peers.scanner import Scanner
from tests.peers.studies import StudyUids, spool_fingerprints, static_image, write

PLAN = Plan(
    studies=9, kills=5, troubles=5, seed=1740, pause_s=0.8, between_s=1.2, lasting=0.2,
    kinds=("cut", "silence", "intruders"),
)  # fmt: skip
FLOOD = 80


def test_nothing_acknowledged_is_lost_and_nothing_derived_is_doubled(tmp_path: Path) -> None:
    need_programs("Orthanc", "echoscu")
    need_isolation()
    print(PLAN)
    result = Campaign(PLAN, tmp_path).run()
    print(result)
    assert (result.faults, dict(result.ended)) == ([], {})
    assert (result.kills.total(), result.troubles.total()) == (PLAN.kills, PLAN.troubles)
    assert len(result.troubles) >= PLAN.troubles - 1, "each kind; one may find nobody to harm, while the node is away"
    assert (result.lost, result.doubled) == (0, 0)
    assert result.acknowledged == result.sent == result.in_spool > PLAN.studies
    assert result.derived == result.in_outbox == result.in_archive
    assert result.derived >= 2 * result.sent, "each acquisition gives a volume and a page at least"


def wait_for_another(scanner: Scanner) -> None:
    """Return as soon as the scanner has one more acknowledgment."""
    before = len(scanner.acknowledged())
    eventually(lambda: len(scanner.acknowledged()) > before, "the scanner to send", every_s=0.005)


def test_a_node_that_is_killed_again_and_again_while_it_receives_keeps_all_that_it_acknowledged(
    start: Start, start_node: StartNode, tmp_path: Path
) -> None:
    rng = random.Random(11)
    files = tmp_path / "scanner"
    for number in range(FLOOD):
        write(static_image(StudyUids.from_seed("flood", number // 10).in_study(number)), files / f"{number:03d}.dcm")
    node = start_node(Settings(node={"quiet_s": 600}))
    scanner = Scanner(node.port, files, tmp_path / "scanner.log")
    start(scanner)
    for _ in range(6):
        wait_for_another(scanner)
        time.sleep(rng.uniform(0, 0.3))
        node.kill()
        node.start()
    assert scanner.wait(timeout_s=120) == 0
    acknowledged = {entry.sha256 for entry in scanner.acknowledged()}
    assert len(acknowledged) == FLOOD
    assert spool_fingerprints(node.data_dir) == sorted(acknowledged), "each once, byte for byte"
    assert sum(row["instances"] for row in node.studies().values()) == FLOOD
    assert not list(node.data_dir.rglob("*.tmp*")), "no half-written file is left"
