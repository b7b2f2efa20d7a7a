"""The page of the benchmarks keeps what an earlier run measured, and says of each section when that was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import DOCS, file_system
from tests.benchmarks.cluster_cost import ClusterCost, JobTime
from tests.benchmarks.cost import Cost
from tests.benchmarks.failover import FailOver
from tests.benchmarks.full_journal import PAGES, Times
from tests.benchmarks.journals import JournalRate
from tests.benchmarks.listening import Listening
from tests.benchmarks.picture import draw_all
from tests.benchmarks.receiving import LOADS, UNFLUSHED, Rate
from tests.benchmarks.recon import LeftOut, ReconTime
from tests.benchmarks.recon import measure as measure_recon
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


EVERYTHING = Measured(
    receiving=Part(
        TODAY,
        "a machine",
        [
            a_rate(load.name, name, 200, *client)
            for load in LOADS
            for client in load.clients
            for name in ("Orthanc, no delay", "dicomnode", UNFLUSHED)
        ],
    ),
    road=ROAD,
    cost=Part(TODAY, "a machine", [Cost("denoising", 1700, 2.9, 214, 518, 5)]),
    workers=WORKERS,
    cluster=Part(
        TODAY, "a machine", [ClusterCost((JobTime(8, 0.2, 0.5),), {"the scheduler is killed": 0.1}, 600.0, 1100.0)]
    ),
    journals=Part(TODAY, "a machine", [Times(100, 1.0, 1.1, 0.4, dict.fromkeys(PAGES, 5.0), 1.5, 200.0)]),
    databases=Part(TODAY, "a machine", [JournalRate("studies claimed", 4, 100.0, 150.0)]),
    failover=Part(TODAY, "a machine", [FailOver("is killed", (4.0, 5.5, 4.5))]),
    recon=Part(TODAY, "a machine", [ReconTime("64³, AC", 0.9, 0.018, 50, 0.03, 0.26, 0.45, 0.009, None, 39, 107)]),
)


def test_each_part_has_its_section_and_its_picture(tmp_path: Path) -> None:
    text = page(EVERYTHING)
    assert "| a job of 8 MB | 0.20 s | 0.50 s |" in text
    assert "| the scheduler is killed | 0.1 s |" in text
    assert "| studies claimed, 4 at once | 100 | 150 | 1.50 |" in text
    assert "| is killed | 4.5 | 4.0 - 5.5 |" in text
    assert "| 64³, AC | 900 ms | 18.0 ms | **50x** | 50x, 0.45 s | 30x | 0.26 s |" in text
    assert Measured.read(EVERYTHING.as_json()) == EVERYTHING
    draw_all(EVERYTHING, tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {"receiving.png", "studies.png", "workers.png", "journals.png"}
    assert all(f"]({name})" in text for name in drawn)


def test_the_node_that_flushes_nothing_is_said_to_be_no_way_to_run_it() -> None:
    assert "**no way to run it**" in page(EVERYTHING)
    assert "eatmydata" not in page(replace(EVERYTHING, receiving=None))


def test_what_was_measured_before_there_were_more_parts_stays_readable() -> None:
    kept = json.loads((DOCS / "benchmarks.json").read_text())
    older = {name: part for name, part in kept.items() if name not in ("cluster", "databases", "recon")}
    assert Measured.read(json.dumps(older)).receiving is not None


def test_the_reconstruction_is_left_out_with_a_reason_where_its_peer_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LeftOut, match="`make bench-recon` makes it"):
        measure_recon(tmp_path, print, python=tmp_path / "no" / "python")


def test_a_machine_is_told_by_what_its_data_lie_on() -> None:
    assert file_system(Path("/proc/self")) == "proc"
    assert file_system(Path("/")) != "an unknown file system"
