"""Start, status, page, claims and receiving with many studies in the journal: the node as its own process."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import insert

from dicomnode.store.journal import Journal
from dicomnode.store.schema import deliveries, derived, instances, moves, open_database, studies
from tests.benchmarks.receiving import LOADS, InstanceMaker, Receiver, rate
from tests.fakes import after
from tests.peers.node import NODE, Node, Settings, destination
from tests.peers.process import HOST, free_port

SIZES = (0, 10_000, 100_000)
TRIES = 5
PAGES = {
    "first page": "/",
    "held and failed": "/?state=attention",
    "search": "/?words=number+77",
    "story": "/studies/1.2.77",
}
STATES = ("DELIVERED",) * 97 + ("HELD", "FAILED", "IGNORED")
RECEIVED, MOVES, DERIVED = 3, 6, 5  # per study
CLAIMED = 20
LEASE_S = 600.0
KEPT_DAYS = 36_500  # nothing of it is old enough to be purged

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Times:
    """What a node with so many studies in its journal takes; medians."""

    studies: int
    journal_mb: float
    start_s: float  # from the command to "ready"
    status_s: float  # of the command
    pages_ms: Mapping[str, float]
    claim_ms: float
    instances_per_s: float  # one association


def measure(directory: Path, say: Callable[[str], None], sizes: Sequence[int] = SIZES) -> list[Times]:
    """Return the times for each size, each with a folder of its own."""
    found = []
    for size in sizes:
        one = _measure(directory / str(size), size)
        say(f"{one}")
        found.append(one)
    return found


def _measure(folder: Path, size: int) -> Times:
    page = free_port()
    settings = Settings(
        destinations=[destination(free_port())],
        node={"quiet_s": 3600},
        retention={"received_days": KEPT_DAYS, "derived_days": KEPT_DAYS},
        web={"port": page},
    )
    node = Node(folder / "node", settings)
    node.data_dir.mkdir(parents=True)
    path = node.data_dir / "journal.sqlite"
    journal = Journal(open_database(path))
    fill(journal, size)
    claim_ms = _claim_ms(journal)
    journal.close()
    try:
        start_s = _seconds(node.start)
        status_s = median(_seconds(lambda: node.ask("status")) for _ in range(TRIES))
        pages_ms = {
            name: _page_ms(f"http://{HOST}:{page}{path}") for name, path in PAGES.items() if size or name != "story"
        }
        receiver = Receiver("dicomnode", node, node.port, NODE, "")
        maker = InstanceMaker(folder / "files", LOADS[0])
        rates = [rate(receiver, maker.make(f"{size} {turn}"), 1, no_delay=True) for turn in range(TRIES)]
    finally:
        node.stop(timeout_s=60)
    return Times(size, path.stat().st_size / 2**20, start_s, status_s, pages_ms, claim_ms, median(rates))


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _page_ms(address: str) -> float:
    def get() -> None:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - our own http address
            answer.read()

    return 1000 * median(_seconds(get) for _ in range(TRIES))


def _claim_ms(journal: Journal) -> float:
    """Return how long it takes to claim a study that waits, in ms; they stay claimed."""
    now = datetime.now(UTC)
    waiting = [{**_study(10**9 + index), "state": "ROUTED", "next_at": now} for index in range(CLAIMED)]
    with journal.transaction() as connection:
        connection.execute(insert(studies), waiting)
    later = now + timedelta(seconds=1)
    return 1000 * median(_seconds(lambda: journal.claim(later, LEASE_S)) for _ in range(CLAIMED))


def fill(journal: Journal, number: int) -> None:
    """Put so many studies, each with all its rows, into the journal."""
    with journal.transaction() as connection:
        for start in range(0, number, 1000):
            block = range(start, min(start + 1000, number))
            connection.execute(insert(studies), [_study(index) for index in block])
            connection.execute(insert(instances), list(_instances(block)))
            connection.execute(insert(moves), list(_moves(block)))
            connection.execute(insert(derived), list(_derived(block)))
            connection.execute(insert(deliveries), list(_deliveries(block)))


def _study(index: int) -> Row:
    at = after(index)
    return {
        "study_instance_uid": f"1.2.{index}", "state": STATES[index % len(STATES)], "version": 1,
        "reason": f"5 deliveries done, study number {index}", "calling_ae_title": "SPECT1", "created_at": at,
        "updated_at": at, "last_instance_at": at, "rule": "all", "pipeline": "denoising", "options": {},
        "destinations": ["pacs"], "sources": [],
    }  # fmt: skip


def _instances(block: range) -> Iterator[Row]:
    attributes = {"PatientName": ["Virtual^Patient"], "PatientID": ["V-1"], "Modality": ["NM"]}
    for index in block:
        for place in range(RECEIVED):
            yield {
                "sop_instance_uid": f"1.2.{index}.{place}", "sha256": "a" * 64, "kept": True,
                "study_instance_uid": f"1.2.{index}", "series_instance_uid": f"1.2.{index}.9", "sop_class_uid": "1.2",
                "transfer_syntax_uid": "1.2", "content": "PROJECTIONS", "attributes": attributes,
                "path": f"{index}/9/{place}.dcm", "size_bytes": 1000, "calling_ae_title": "SPECT1",
                "received_at": after(index), "version": 1,
            }  # fmt: skip


def _moves(block: range) -> Iterator[Row]:
    for index in block:
        for _ in range(MOVES):
            yield {
                "study_instance_uid": f"1.2.{index}", "version": 1, "at": after(index), "event": "DERIVED",
                "from_state": "PROCESSING", "to_state": "DELIVERING", "reason": "5 derived instances", "actor": "node",
            }  # fmt: skip


def _derived(block: range) -> Iterator[Row]:
    for index in block:
        for place in range(DERIVED):
            yield {
                "sop_instance_uid": f"1.3.{index}.{place}", "study_instance_uid": f"1.2.{index}",
                "series_instance_uid": f"1.3.{index}", "sop_class_uid": "1.2", "kind": "report page",
                "derivation_key": "k", "path": f"{index}/9/{place}.dcm", "sha256": "b", "created_at": after(index),
                "version": 1,
            }  # fmt: skip


def _deliveries(block: range) -> Iterator[Row]:
    for index in block:
        for place in range(DERIVED):
            yield {
                "sop_instance_uid": f"1.3.{index}.{place}", "destination": "pacs", "attempts": 1, "state": "SENT",
                "study_instance_uid": f"1.2.{index}", "created_at": after(index), "next_at": after(index),
                "sent_at": after(index), "message": "stored",
            }  # fmt: skip
