"""A machine whose clock is set while the node works: nothing waits for the hour to come again, no job is cut short."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartNode, need_isolation
from tests.peers import dcmtk
from tests.peers.archive import Archive
from tests.peers.clock import Clock, clock_of_its_own
from tests.peers.node import Node, Settings, destination
from tests.peers.process import eventually, free_port
from tests.peers.studies import StudyUids, small_tomo, write

HOUR_S = 3600
RULE = {"name": "all", "pipeline": "reconstruction", "options": {"iterations": 1}, "destinations": ["pacs"]}
SET_BACK = "the clock was set back"


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    made = clock_of_its_own(tmp_path / "clock")
    if made is None:
        pytest.skip("there is no C compiler (gcc and libc6-dev) to make a clock with")
    return made


@pytest.fixture
def archive() -> Iterator[Archive]:
    need_isolation()
    with Archive(free_port(), offers_commitment=False) as running:
        yield running


def send(node: Node, folder: Path, name: str) -> str:
    """Send a study and return its UID."""
    uids = StudyUids.from_seed("clock", name)
    assert dcmtk.store(node.port, [write(small_tomo(uids), folder / f"{name}.dcm")]).accepted
    return uids.study


def caught_in_the_middle(node: Node, folder: Path, name: str) -> str:
    """Send a study and freeze the child that works on it; return the study's UID."""
    for pid in eventually(node.children, "a child process that runs pipelines"):
        os.kill(pid, signal.SIGSTOP)
    study = send(node, folder, name)
    node.wait_until(lambda: node.studies()[study]["state"] == "PROCESSING", "the study to be in work")
    return study


def test_studies_go_on_when_the_clock_is_set_back_and_none_is_cut_short_when_it_is_set_ahead(
    start_node: StartNode, archive: Archive, clock: Clock, tmp_path: Path
) -> None:
    node = start_node(Settings(destinations=[destination(archive.port, "ARCHIVE")], rules=[RULE]), clock.prefix)
    first = send(node, tmp_path, "before")
    node.wait_for(first, "DELIVERED")

    second = caught_in_the_middle(node, tmp_path, "in work while an hour is left out")
    clock.set_off(HOUR_S)
    third = send(node, tmp_path, "came in the wrong hour")
    for pid in node.children():
        os.kill(pid, signal.SIGCONT)
    assert node.wait_for(second, "DELIVERED")["attempts"] == 1

    clock.set_off(0)
    eventually(lambda: SET_BACK in node.output(), "the node to notice")
    fourth = send(node, tmp_path, "came after it")
    for study in (third, fourth):
        assert node.wait_for(study, "DELIVERED")["attempts"] == 1
    assert archive.stored == dict.fromkeys(
        [uid for one in (first, second, third, fourth) for uid in node.derived(one)], 1
    )


def test_a_node_that_starts_after_the_clock_was_set_back_lets_nothing_wait(
    start_node: StartNode, archive: Archive, clock: Clock, tmp_path: Path
) -> None:
    clock.set_off(HOUR_S)
    node = start_node(Settings(destinations=[destination(archive.port, "ARCHIVE")], rules=[RULE]), clock.prefix)
    studies = [caught_in_the_middle(node, tmp_path, "in the wrong hour")]
    node.kill()
    clock.set_off(0)
    node.start()
    assert node.output().count(SET_BACK) == 1

    studies.append(caught_in_the_middle(node, tmp_path, "in the right hour"))
    node.kill()
    node.start()
    assert node.output().count(SET_BACK) == 1, "a start alone is no step of the clock"
    for study in studies:
        node.wait_for(study, "DELIVERED")
