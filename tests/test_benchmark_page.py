"""The page of the benchmarks keeps what an earlier run measured, and says of each section when that was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.benchmarks.listening import Listening
from tests.benchmarks.receiving import LOADS, Rate
from tests.benchmarks.report import Measured, Part, page
from tests.benchmarks.road import RoadTime
from tests.benchmarks.workers import Scaling

YESTERDAY, TODAY = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 2, 12, tzinfo=UTC)
ROAD = Part(YESTERDAY, "an old machine", [RoadTime("small TOMO", 5, 3.0, (1.0, 2.0))])
WORKERS = Part(
    TODAY, "a new machine", [Scaling(0, 900, 1.5, 0.5, 2), Scaling(1, 1000, 2.0, 0.6, 2), Scaling(4, 1800, 2.2, 1, 2)]
)


def a_rate(load: str, receiver: str, instances_per_s: float, associations: int, no_delay: bool) -> Rate:
    return Rate(load, receiver, "no", associations, no_delay, instances_per_s, instances_per_s / 2, 7.5, (1.0, 2.0))


def test_what_one_run_wrote_the_next_reads() -> None:
    found = Measured(road=ROAD, workers=WORKERS)
    assert Measured.read(found.as_json()) == found
    with pytest.raises(ValueError, match="receiving"):
        Measured.read('{"receiving": [1, 2]}')


def test_a_part_that_is_measured_anew_leaves_the_others_on_the_page_with_their_date() -> None:
    text = page(replace(Measured.read(Measured(road=ROAD).as_json()), workers=WORKERS))
    road, workers = text.split("## Workers of a cluster")
    assert "Measured on 2026-01-01: an old machine." in road
    assert "| small TOMO | 5 | 3.00 | 1.50 | 1.00 - 2.00 |" in road
    assert "Measured on 2026-01-02: a new machine." in workers
    assert "## What a study costs" not in text


def test_workers_are_compared_with_one_worker_and_with_what_the_cores_allow() -> None:
    lines = page(Measured(workers=WORKERS)).splitlines()
    assert "| local | (child) | 900 | 0.90 |  | 1.5 | 50 % of 2 | 4800 |" in lines
    assert "| dask | 4 | 1800 | 1.80 | 3.6 | 2.2 | 100 % of 2 | 3273 |" in lines


def test_the_node_is_compared_with_orthanc_under_each_client() -> None:
    rates = [
        a_rate(load.name, name, per_s, *client)
        for load in LOADS
        for client in load.clients
        for name, per_s in (("Orthanc, no delay", 200), ("dicomnode", 150))
    ]
    text = page(Measured(receiving=Part(TODAY, "a machine", rates)))
    assert "| dicomnode | no | 7.5 | 150 (75 MB/s) |" in text
    assert "| **dicomnode / Orthanc, no delay** | | | 0.75 | 0.75 |" in text


def test_a_busy_c_store_is_compared_with_an_idle_one() -> None:
    row = Listening(140.0, 162.4, idle_ms=(4.0, 5.0, 90.0), busy_ms=(7.0, 8.0, 9.0), cores_busy=0.8)
    text = page(Measured(listening=Part(TODAY, "a machine", [row])))
    assert "| the most with 16 associations, MB | 162 | under 150 |" in text
    assert "| times the idle one | 1.60 | under 1.5 |" in text
