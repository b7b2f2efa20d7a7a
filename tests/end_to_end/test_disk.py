"""A disk that fills: refused before it is full, nothing lost, and taken again by itself once there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartNode
from tests.peers import dcmtk
from tests.peers.disk import disk_in_memory
from tests.peers.node import Node, Settings
from tests.peers.process import eventually
from tests.peers.studies import StudyUids, fingerprint, small_tomo, spool_fingerprints, write

DISK_MB, MARK_MB, EARLY_MB = 48, 16, 24
OUT_OF_RESOURCES = "Refused: OutOfResources"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    with disk_in_memory(tmp_path / "disk", DISK_MB) as made:
        if made is None:
            pytest.skip("only an administrator may mount a file system")
        yield made.place


def node_on(start_node: StartNode, place: Path, early_mb: float = 0) -> Node:
    settings = Settings(
        node={"data_dir": str(place / "data"), "min_free_gb": MARK_MB * 1.048576e-3},
        retention={"early_below_gb": early_mb * 1.048576e-3},
    )
    return start_node(settings)


def study(folder: Path, number: int) -> Path:
    """Return a study of about two megabytes."""
    uids = StudyUids.from_seed("disk", str(folder), number)
    return write(small_tomo(uids, views=64, matrix=128), folder / f"{number}.dcm")


def fill(node: Node, folder: Path) -> list[Path]:
    """Send studies until one is refused; return those that were taken."""
    taken: list[Path] = []
    for number in range(DISK_MB):
        file = study(folder, number)
        if dcmtk.store(node.port, [file]).statuses == (OUT_OF_RESOURCES,):
            return taken
        taken.append(file)
    raise AssertionError("the disk never filled")


def test_a_full_disk_is_refused_in_time_loses_nothing_and_is_used_again_when_there_is_room(
    start_node: StartNode, small_disk: Path, tmp_path: Path
) -> None:
    node = node_on(start_node, small_disk)
    ballast = small_disk / "somebody else's"
    ballast.write_bytes(b"\0" * (8 << 20))
    taken = fill(node, tmp_path)
    assert spool_fingerprints(small_disk / "data") == sorted(map(fingerprint, taken))
    assert "0xa700" in dcmtk.store(node.port, [study(tmp_path, 98)], options=["-d"]).output
    ballast.unlink()
    assert dcmtk.store(node.port, [study(tmp_path, 99)]).accepted


def test_where_early_purging_is_on_a_full_disk_makes_room_by_itself(
    start_node: StartNode, small_disk: Path, tmp_path: Path
) -> None:
    node = node_on(start_node, small_disk, EARLY_MB)
    fill(node, tmp_path)
    eventually(
        lambda: dcmtk.store(node.port, [study(tmp_path, 99)]).accepted,
        "room for another study",
        timeout_s=60,
        every_s=1,
    )
    states = {row["state"] for row in node.studies().values()}
    assert "PURGED" in states
