"""What a journal in PostgreSQL costs beside the file: `python -m tests.benchmarks.journals` prints a table.

The server runs on this machine, on a Unix socket, with all flushes as it is installed. Run it where nothing else runs.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dicomnode.store.journal import Journal
from dicomnode.store.schema import open_database
from dicomnode.study import Event
from tests.benchmarks.receiving import LOADS, InstanceMaker, Receiver, rate
from tests.fakes import NOON, after, an_instance
from tests.peers.node import Node, Settings
from tests.peers.postgres import Postgres

ROWS, REPEATS = 100, 3
ROUTE: Mapping[str, Any] = {
    "pipeline": "reconstruction",
    "rule": "all",
    "destinations": ["pacs"],
    "sources": ["1.2.3"],
    "next_at": NOON,
}

Journals = Callable[[], "Path | str"]  # each call: a place where there is none yet


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


def main() -> None:
    """Measure both and print the table."""
    server = Postgres(settings=())
    try:
        server.start()
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
            folder = Path(name)
            files = (folder / f"{number}.sqlite" for number in range(1000))
            places: dict[str, Journals] = {"SQLite": lambda: next(files), "PostgreSQL": server.address}
            rows = [
                (f"{what.__name__}, {threads} at once", *_in_turn(what, threads, places.values()))
                for what in (recorded, claimed)
                for threads in (1, 4)
            ]
            runs = received(folder, [("SQLite", None), ("PostgreSQL", server.address())])
            for associations in (1, 4):
                rates = (statistics.median(runs[(place, associations)]) for place in places)
                rows.append((f"0.5 MB received, {associations} association(s)", *rates))
        print("| per second | SQLite | PostgreSQL |\n|---|---|---|")
        for what, *measured in rows:
            print(f"| {what} | " + " | ".join(f"{found:.0f}" for found in measured) + " |")
    finally:
        server.remove()


if __name__ == "__main__":
    main()
