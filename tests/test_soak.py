"""A soak fails when something grows: memory, handles, threads, the journal, files that retention should have purged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

import pytest

from tests.peers.node import Node, Settings
from tests.peers.process import PeerProcess
from tests.soak import watch
from tests.soak.judge import faults_of, undelivered
from tests.soak.picture import draw
from tests.soak.watch import Sample, look, trends

HOUR_S, KEPT_S = 3600, 660.0
STUDY_MB, STUDY_KB = 4.0, 6.0
FLAT = {
    "node_mb": 195.0, "child_mb": 480.0, "cluster_mb": 0.0, "node_files": 21.0, "child_files": 13.0,
    "cluster_files": 0.0, "node_threads": 18.0, "child_threads": 9.0, "cluster_threads": 0.0,
}  # fmt: skip


def an_hour(changed: Callable[[float], dict[str, float]] = lambda _: {}) -> list[Sample]:
    """Return the looks of an hour, a study each 2 s, in which nothing grows but what `changed` tells of a moment."""
    samples = []
    for at_s in range(0, HOUR_S, 10):
        warm = min(1.0, at_s / 300)  # caches fill in the first minutes
        held = {name: value * (0.6 + 0.4 * warm) if "mb" in name else value for name, value in FLAT.items()}
        held["child_mb"] += 40 * (at_s // 10 % 3)  # the arrays of one study
        kept = min(at_s, KEPT_S) / 2
        held |= {"files_mb": STUDY_MB * kept, "journal_mb": STUDY_KB * at_s / 2 / 1024}
        samples.append(Sample(at_s=at_s, studies=at_s / 2, **{**held, **changed(at_s)}))
    return samples


def faults(samples: list[Sample]) -> list[str]:
    return faults_of(samples, trends(samples), KEPT_S)


def test_an_hour_in_which_nothing_stays_behind_has_no_fault() -> None:
    assert faults(an_hour()) == []


@pytest.mark.parametrize(
    ("name", "each_study"),
    [("node_mb", 0.02), ("child_mb", 0.1), ("node_files", 0.01), ("child_files", 0.005), ("node_threads", 0.005),
     ("child_threads", 0.005), ("cluster_mb", 0.2), ("cluster_files", 0.01), ("cluster_threads", 0.01)],
)  # fmt: skip
def test_what_each_study_leaves_behind_in_a_process_is_a_fault(name: str, each_study: float) -> None:
    (told,) = faults(an_hour(lambda at_s: {name: FLAT[name] + each_study * at_s / 2}))
    assert told.startswith(f"{name} grew from ")


def test_a_step_late_in_the_run_is_a_fault() -> None:
    (told,) = faults(an_hour(lambda at_s: {"node_mb": 195 + 40 * (at_s > 0.8 * HOUR_S)}))
    assert told.startswith("node_mb grew from 195.0 to 235.0")


def test_a_journal_that_keeps_too_much_of_each_study_is_a_fault() -> None:
    assert faults(an_hour(lambda at_s: {"journal_mb": 60 * at_s / 2 / 1024})) == [
        "the journal took 60.0 KB for a study, expected at most 15"
    ]


def test_files_that_the_retention_should_have_purged_are_a_fault() -> None:
    (told,) = faults(an_hour(lambda at_s: {"files_mb": STUDY_MB * at_s / 2}))
    assert told == "files took 7180 MB after 3590 s, expected 1320 MB by the retention"


def test_a_study_has_arrived_when_it_was_delivered_or_purged_since_and_the_archive_has_it() -> None:
    states = {"1": "DELIVERED", "2": "PURGED", "3": "FAILED", "4": "PURGED", "5": "DELIVERED"}
    assert undelivered(["1", "2"], states, {"1", "2"}) == []
    assert undelivered(["1", "2", "3", "4", "5", "6"], states, {"1", "2", "3"}) == [
        "study 3 is FAILED",
        "study 4 is PURGED and the archive has nothing of it",
        "study 5 is DELIVERED and the archive has nothing of it",
        "study 6 is unknown",
    ]


def test_a_process_that_has_ended_holds_nothing_and_ends_no_soak(tmp_path: Path) -> None:
    node = Node(tmp_path, Settings())
    node.command = ["sleep", "100"]
    PeerProcess.start(node)
    there = look(node, None, 0.0, 0)
    assert there.node_mb > 0
    assert there.node_files > 0
    assert there.node_threads == 1
    node.kill()
    gone = look(node, None, 0.0, 0)
    assert (gone.node_mb, gone.node_files, gone.node_threads) == (0, 0, 0)
    assert faults_of([gone], trends([gone]), KEPT_S) == []


def test_the_picture_of_a_run_is_drawn(tmp_path: Path) -> None:
    draw(an_hour(), KEPT_S, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000


def test_a_folder_that_is_purged_while_it_is_looked_at_ends_no_soak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = [tmp_path / "spool" / name for name in ("one", "two", "three")]
    for study in studies:
        study.mkdir(parents=True)
        (study / "instance.dcm").write_bytes(b"x" * 2**20)
    size_of = watch._size

    def purged_meanwhile(path: Path) -> int:
        for study in studies:
            if path.suffix == ".dcm" and study != path.parent:
                rmtree(study, ignore_errors=True)
        return size_of(path)

    monkeypatch.setattr(watch, "_size", purged_meanwhile)
    node = Node(tmp_path / "node", Settings())
    node.data_dir, node.command = tmp_path / "spool", ["sleep", "100"]
    PeerProcess.start(node)
    try:
        assert look(node, None, 0.0, 0).files_mb == 1.0
    finally:
        node.kill()
