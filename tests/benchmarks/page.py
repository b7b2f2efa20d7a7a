"""How long the web page takes with many studies in the journal: `python -m tests.benchmarks.page [STUDIES]`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import insert

from dicomnode.config import WebSettings
from dicomnode.store.schema import deliveries, derived, instances, moves, studies
from tests.dicomnode.stages.road import Road
from tests.dicomnode.web.browsing import Site
from tests.fakes import after

TRIES = 7
STATES = ("DELIVERED",) * 97 + ("HELD", "FAILED", "IGNORED")
PATHS = ("/", "/?state=attention", "/?words=number+77", "/?page=100", "/studies/1.2.77")
RECEIVED, MOVES, DERIVED = 3, 6, 5  # per study

Row = Mapping[str, Any]


def fill(road: Road, number: int) -> None:
    """Put so many studies, each with all its rows, into the journal."""
    with road.journal.transaction() as connection:
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
                "path": f"{index}.{place}", "size_bytes": 1000, "calling_ae_title": "SPECT1",
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
                "derivation_key": "k", "path": "x", "sha256": "b", "created_at": after(index), "version": 1,
            }  # fmt: skip


def _deliveries(block: range) -> Iterator[Row]:
    for index in block:
        for place in range(DERIVED):
            yield {
                "sop_instance_uid": f"1.3.{index}.{place}", "destination": "pacs", "attempts": 1, "state": "SENT",
                "study_instance_uid": f"1.2.{index}", "created_at": after(index), "next_at": after(index),
                "sent_at": after(index), "message": "stored",
            }  # fmt: skip


def main(number: int) -> None:
    """Print the median time of each page."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Road(Path(folder)), WebSettings(port=0))
        fill(site.road, number)
        visitor = site.visitor()
        for path in PATHS:
            times = []
            for _ in range(TRIES):
                began = time.perf_counter()
                answer = visitor.get(path)
                times.append(time.perf_counter() - began)
            print(f"{path:<20} {answer.status} {1000 * median(times):5.0f} ms")
        site.server.stop()
        site.road.journal.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
