"""What a journal in PostgreSQL costs beside the file: instances recorded, studies claimed, instances received."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dicomnode.store.journal import Journal
from dicomnode.store.schema import open_database
from dicomnode.study import Event
from tests.benchmarks.database import database
from tests.benchmarks.receiving import LOADS, InstanceMaker, Receiver, rate
from tests.fakes import NOON, after, an_instance
from tests.peers.node import Node, Settings

ROWS, REPEATS = 100, 3
ROUTE: Mapping[str, Any] = {
    "pipeline": "reconstruction",
    "rule": "all",
    "destinations": ["pacs"],
    "sources": ["1.2.3"],
    "next_at": NOON,
}

Journals = Callable[[], "Path | str"]  # each call: a place where there is none yet


@dataclass(frozen=True)
class JournalRate:
    """How often in a second each journal does something; medians of runs in turn."""

    what: str
    at_once: int  # threads, or associations
    sqlite_per_s: float
    postgres_per_s: float


def per_second(threads: int, work: Callable[[int], object]) -> float:
    """Do the work with each of the numbers below ROWS, shared among threads; return how many were done per second."""
    shares = [range(start, ROWS, threads) for start in range(threads)]
    running = [threading.Thread(target=_each, args=(work, share)) for share in shares]
    began = time.monotonic()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return ROWS / (time.monotonic() - began)


def _each(work: Callable[[int], object], numbers: range) -> None:
    for number in numbers:
        work(number)


def recorded(where: Path | str, threads: int) -> float:
    """Return the instances recorded per second: one study each, one transaction each."""
    journal = Journal(open_database(where))

    def record(number: int) -> None:
        instance = an_instance(f"1.{number}.1", f"1.{number}", sha256=f"{number:064}")
        journal.record_instance(replace(instance, path=f"{number}.dcm"), NOON)

    found = per_second(threads, record)
    journal.close()
    return found


def claimed(where: Path | str, threads: int) -> float:
    """Return the studies claimed per second, of ROWS that wait."""
    journal = Journal(open_database(where))
    for number in range(ROWS):
        instance = an_instance(f"1.{number}.1", f"1.{number}", sha256=f"{number:064}")
        journal.record_instance(replace(instance, path=f"{number}.dcm"), NOON)
        study = journal.study(f"1.{number}")
        assert study is not None
        journal.decide(study, Event.WHOLE, "whole", NOON, **ROUTE)
    found = per_second(threads, lambda _: journal.claim(after(1), 60))
    assert journal.counts() == {"PROCESSING": ROWS}
    journal.close()
    return found


def received(directory: Path, journals: Sequence[tuple[str, str | None]]) -> dict[tuple[str, int], list[float]]:
    """Return the instances of 0.5 MB that a node accepts per second, by journal and number of associations."""
    maker = InstanceMaker(directory / "files", LOADS[0])
    nodes = {
        name: Node(directory / name, Settings(node={"quiet_s": 3600, **({"journal": address} if address else {})}))
        for name, address in journals
    }
    runs: dict[tuple[str, int], list[float]] = {}
    try:
        for node in nodes.values():
            node.start()
        for repeat in range(REPEATS + 1):  # the first round only warms up
            for associations in (1, 4):
                for name, node in nodes.items():
                    files = maker.make(f"{name} {repeat} {associations}")
                    receiver = Receiver(name, node, node.port, "DICOMNODE", "all")
                    found = rate(receiver, files, associations, no_delay=True)
                    runs.setdefault((name, associations), []).extend([found] if repeat else [])
    finally:
        for node in nodes.values():
            node.stop(timeout_s=30)
    return runs


def _in_turn(what: Callable[[Path | str, int], float], threads: int, places: Collection[Journals]) -> list[float]:
    """Return the median for each place; they are measured one after the other, again and again."""
    runs = [[what(place(), threads) for place in places] for _ in range(REPEATS)]
    return [statistics.median(found) for found in zip(*runs, strict=True)]


def measure(directory: Path, say: Callable[[str], None]) -> list[JournalRate]:
    """Return the rates of both. Raises LeftOut where PostgreSQL can't be run."""
    directory.mkdir(parents=True, exist_ok=True)
    with database() as server:
        files = (directory / f"{number}.sqlite" for number in range(1000))
        places: Sequence[Journals] = (lambda: next(files), server.address)
        found = [
            JournalRate(words, threads, *_in_turn(what, threads, places))
            for words, what in (("instances recorded", recorded), ("studies claimed", claimed))
            for threads in (1, 4)
        ]
        runs = received(directory, [("SQLite", None), ("PostgreSQL", server.address())])
        for associations in (1, 4):
            rates = (statistics.median(runs[(place, associations)]) for place in ("SQLite", "PostgreSQL"))
            found.append(JournalRate("instances of 0.5 MB received by a node", associations, *rates))
    for one in found:
        say(f"{one}")
    return found
