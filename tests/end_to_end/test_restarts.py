"""Stopped, killed, its child killed: the node goes on where it was, and nothing of it lives longer than it does."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import StartNode
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import eventually, is_running
from tests.peers.studies import StudyUids, small_tomo, write


@pytest.fixture
def uids(tmp_path: Path) -> StudyUids:
    return StudyUids.from_seed("restarts", tmp_path)


@pytest.fixture
def node(start_node: StartNode, orthanc: Orthanc) -> Node:
    return start_node(Settings(destinations=[destination(orthanc.dicom_port)]))


def caught_in_the_middle(node: Node, uids: StudyUids, folder: Path) -> list[int]:
    """Freeze the child once it is able to work, and send a study for it to work on; return the child's pids."""
    children = eventually(lambda: [pid for pid in node.children() if has_loaded(pid, "libtorch")], "a child with torch")
    assert dcmtk.store(node.port, [write(small_tomo(uids), folder / "a.dcm")]).accepted
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    node.wait_for(uids.study, "PROCESSING", "DELIVERING", "DELIVERED")
    return children


def has_loaded(pid: int, library: str) -> bool:
    """Tell whether a process has mapped the library."""
    return library in Path(f"/proc/{pid}/maps").read_text()


def delivered_once(node: Node, orthanc: Orthanc, uids: StudyUids) -> None:
    node.wait_for(uids.study, "DELIVERED")
    assert node.derived(uids.study) == orthanc.instances(uids.study) != []
    assert len(orthanc.series(uids.study)) == len(orthanc.instances(uids.study))


def test_a_node_that_is_stopped_while_it_works_finishes_the_study_after_its_next_start(
    node: Node, orthanc: Orthanc, uids: StudyUids, tmp_path: Path
) -> None:
    assert dcmtk.store(node.port, [write(small_tomo(uids), tmp_path / "a.dcm")]).accepted
    eventually(node.children, "a child process that runs the pipeline")
    assert node.stop() == 0
    node.start()
    delivered_once(node, orthanc, uids)


def test_a_node_that_is_killed_while_it_works_finishes_the_study_after_its_next_start(
    node: Node, orthanc: Orthanc, uids: StudyUids, tmp_path: Path
) -> None:
    caught_in_the_middle(node, uids, tmp_path)
    node.kill()
    node.start()
    delivered_once(node, orthanc, uids)


def test_no_child_outlives_a_killed_node(node: Node, uids: StudyUids, tmp_path: Path) -> None:
    children = caught_in_the_middle(node, uids, tmp_path)
    node.kill()
    eventually(lambda: not any(map(is_running, children)), "the children to end with their node", timeout_s=20)


def test_a_killed_child_costs_an_attempt_and_not_the_study(
    node: Node, orthanc: Orthanc, uids: StudyUids, tmp_path: Path
) -> None:
    for pid in caught_in_the_middle(node, uids, tmp_path):
        os.kill(pid, signal.SIGKILL)
    delivered_once(node, orthanc, uids)
    assert node.alive
