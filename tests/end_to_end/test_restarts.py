"""Stopped, killed, its child killed: the node goes on where it was, and nothing of it lives longer than it does."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import StartNode
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import eventually, is_running, processor_s
from tests.peers.studies import StudyUids, small_tomo, write

WORK_S = 0.05  # of processor time: a child that has used so much since it was idle is at work


@pytest.fixture
def uids(tmp_path: Path) -> StudyUids:
    return StudyUids.from_seed("restarts", tmp_path)


@pytest.fixture
def node(start_node: StartNode, orthanc: Orthanc) -> Node:
    return start_node(Settings(destinations=[destination(orthanc.dicom_port)]))


def caught_in_the_middle(node: Node, uids: StudyUids, folder: Path) -> list[int]:
    """Send a study and freeze the child as soon as it works on it; return the child's pids."""
    (child,) = eventually(lambda: [pid for pid in node.children() if has_loaded(pid, "libtorch")], "a child with torch")
    eventually(lambda: is_idle(child), "the child to have warmed up")
    before_s = processor_s(child)
    assert dcmtk.store(node.port, [write(small_tomo(uids), folder / "a.dcm")]).accepted
    eventually(lambda: processor_s(child) > before_s + WORK_S, "the child to work", every_s=0.005)
    os.kill(child, signal.SIGSTOP)
    node.wait_for(uids.study, "PROCESSING")
    return [child]


def is_idle(pid: int) -> bool:
    """Tell whether a process leaves the processor alone for a while."""
    before_s = processor_s(pid)
    time.sleep(1.0)
    return processor_s(pid) == before_s


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


def test_a_study_that_takes_its_child_down_every_time_is_set_aside(
    start_node: StartNode, uids: StudyUids, tmp_path: Path
) -> None:
    node = start_node(Settings(destinations=[destination(1)], engine={"attempts": 1}))
    for pid in caught_in_the_middle(node, uids, tmp_path):
        os.kill(pid, signal.SIGKILL)
    node.wait_for(uids.study, "FAILED")
    assert node.studies()[uids.study]["attempts"] == 1
    assert "process died" in node.studies()[uids.study]["reason"]
    assert dcmtk.echo(node.port), "the node itself goes on"
