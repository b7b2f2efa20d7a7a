"""Start, status, page, claims and receiving with many studies in the journal: the node as its own process.

The newest studies have their files, as few bytes each: what a start takes is to look whether each is known. Of these,
some wait for a destination that is away, and all are old enough to go but for a promise to their scanner.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import insert

from dicomnode.stages.purge import Purger
from dicomnode.store.folder import DataFolder
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox
from dicomnode.store.schema import deliveries, derived, instances, moves, open_database, studies
from dicomnode.store.spool import Spool
from tests.benchmarks.receiving import LOADS, InstanceMaker, Receiver, rate
from tests.fakes import NOON, after
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
ENDED, PURGED = "DELIVERED", "PURGED"
STATES = (ENDED,) * 97 + ("HELD", "FAILED", "IGNORED")
WITH_FILES = 10_000  # of more studies, the newest
AWAY = 2_000  # wait for a destination
RECEIVED, MOVES, DERIVED = 3, 6, 5  # per study
CLAIMED = 20
BACK_OFF = timedelta(hours=1)
LEASE_S = 600.0
RECEIVED_DAYS, KEPT_DAYS = 7, 36_500  # old enough to go; and kept for now

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
    ticks_ms: Mapping[str, float] = field(default_factory=dict)  # of looks at what waits, where there is nothing to do


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
        retention={"received_days": RECEIVED_DAYS, "derived_days": KEPT_DAYS, "promised_days": KEPT_DAYS},
        web={"port": page},
    )
    node = Node(folder / "node", settings)
    node.data_dir.mkdir(parents=True)
    path = node.data_dir / "journal.sqlite"
    journal = Journal(open_database(path))
    data = DataFolder(node.data_dir)
    fill(journal, size)
    make_files(data, size)
    ticks_ms = _ticks_ms(journal, data)
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
    journal_mb = path.stat().st_size / 2**20
    return Times(size, journal_mb, start_s, status_s, pages_ms, claim_ms, median(rates), ticks_ms)


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _page_ms(address: str) -> float:
    def get() -> None:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - our own http address
            answer.read()

    return 1000 * median(_seconds(get) for _ in range(TRIES))


def _ticks_ms(journal: Journal, data: DataFolder) -> Mapping[str, float]:
    """Return how long the looks take that find nothing: at what is sent, each second, and at what may be purged."""
    outbox = Outbox(journal, Spool(data.derived))
    purger = Purger(journal, Spool(data.spool), outbox, RECEIVED_DAYS, KEPT_DAYS, KEPT_DAYS)
    now = datetime.now(UTC)
    looks: Mapping[str, Callable[[], object]] = {
        "settle": lambda: outbox.settle(now),
        "purge": lambda: purger.run_once(now),
    }
    return {name: 1000 * median(_seconds(look) for _ in range(TRIES)) for name, look in looks.items()}


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
    old = max(number - WITH_FILES, 0)
    with journal.transaction() as connection:
        for start in range(0, number, 1000):
            block = range(start, min(start + 1000, number))
            connection.execute(insert(studies), [_study(index, _state(index, number)) for index in block])
            connection.execute(insert(instances), [{**row, **_fate(row, old)} for row in _instances(block)])
            connection.execute(insert(moves), list(_moves(block)))
            connection.execute(insert(derived), [{**row, "purged_at": _purged_at(row, old)} for row in _derived(block)])
            connection.execute(insert(deliveries), [{**row, **_way(row, number)} for row in _deliveries(block)])


def make_files(data: DataFolder, number: int) -> None:
    """Make the files that the journal says are there."""
    for index in range(max(number - WITH_FILES, 0), number):
        for root, files in ((data.spool, RECEIVED), (data.derived, DERIVED)):
            folder = root / str(index) / "9"
            folder.mkdir(parents=True)
            for place in range(files):
                (folder / f"{place}.dcm").write_bytes(b"DICM")


def _index(row: Row) -> int:
    return int(row["study_instance_uid"].rpartition(".")[2])


def _state(index: int, number: int) -> str:
    state = STATES[index % len(STATES)]
    if state == ENDED and index < number - WITH_FILES:
        return PURGED
    return "DELIVERING" if state == ENDED and index >= number - AWAY else state


def _purged_at(row: Row, old: int) -> datetime | None:
    return NOON if _index(row) < old else None


def _fate(row: Row, old: int) -> Row:
    purged_at = _purged_at(row, old)
    return {"purged_at": purged_at, "promised_at": None if purged_at else datetime.now(UTC)}


def _way(row: Row, number: int) -> Row:
    if _state(_index(row), number) != "DELIVERING":
        return {"state": "SENT", "sent_at": row["created_at"], "message": "stored"}
    return {"state": "WAITING", "sent_at": None, "message": "nobody answers", "next_at": datetime.now(UTC) + BACK_OFF}


def _study(index: int, state: str = ENDED) -> Row:
    at = after(index)
    return {
        "study_instance_uid": f"1.2.{index}", "state": state, "version": 1,
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
                "sop_instance_uid": f"1.3.{index}.{place}", "destination": "pacs", "attempts": 1,
                "study_instance_uid": f"1.2.{index}", "created_at": after(index), "next_at": after(index),
            }  # fmt: skip
