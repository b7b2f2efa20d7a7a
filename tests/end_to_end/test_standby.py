"""Two nodes behind one AE title, on one folder and one PostgreSQL: one dies or freezes, and the other goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need_isolation, need_programs
from tests.peers import dcmtk
from tests.peers.archive import Archive
from tests.peers.node import Node, Settings, destination
from tests.peers.postgres import Postgres
from tests.peers.process import eventually, free_port
from tests.peers.studies import StudyUids, small_tomo, write

LOST_TENURE = 75
TAKEOVER_S = 6  # a busy machine may give a heartbeat no processor for some seconds
MakeNode = Callable[..., Node]


@pytest.fixture
def archive() -> Iterator[Archive]:
    need_isolation()
    with Archive(free_port(), offers_commitment=False) as running:
        yield running


@pytest.fixture
def make_node(postgres: Postgres, archive: Archive, tmp_path: Path) -> Iterator[MakeNode]:
    """Return nodes that share a folder and a journal; each has a name, and a port for the time when it is active."""
    need_programs("storescu")
    shared = {"data_dir": str(tmp_path / "shared"), "journal": postgres.address(), "standby": True}
    made: list[Node] = []

    def make(name: str, port: int, **more: object) -> Node:
        settings = Settings(
            destinations=[destination(archive.port, "ARCHIVE")],
            rules=[
                {"name": "all", "pipeline": "reconstruction", "options": {"iterations": 1}, "destinations": ["pacs"]}
            ],
            node={**shared, "takeover_s": TAKEOVER_S, "name": name, "port": port, **more},
        )
        made.append(Node(tmp_path / name, settings))
        made[-1].start(wait=not made[:-1])
        return made[-1]

    yield make
    for node in made:
        if node.alive:
            os.kill(node.pid, signal.SIGCONT)
        node.stop(timeout_s=30)


def until_waiting(node: Node) -> None:
    eventually(lambda: "standby: waits for first" in node.output(), "the second node to stand by")


def until_active(node: Node) -> None:
    eventually(lambda: "ready" in node.output().split(), "the second node to take over", timeout_s=60)


def a_study(name: str, folder: Path) -> tuple[StudyUids, Path]:
    uids = StudyUids.from_seed(name, folder)
    return uids, write(small_tomo(uids), folder / f"{name}.dcm")


def caught_in_the_middle(node: Node, uids: StudyUids, file: Path) -> list[int]:
    """Send a study and freeze the child that works on it; return the child's pids."""
    children = eventually(node.children, "a child process that runs pipelines")
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    assert dcmtk.store(node.port, [file]).accepted
    node.wait_for(uids.study, "PROCESSING")
    return children


def delivered_once(node: Node, archive: Archive, *studies: StudyUids) -> None:
    for uids in studies:
        node.wait_for(uids.study, "DELIVERED")
    made = [uid for uids in studies for uid in node.derived(uids.study)]
    assert made
    assert archive.stored == dict.fromkeys(made, 1)


def facts(node: Node) -> dict[str, Any]:
    status = node.ask("status")
    return {key: status[key] for key in ("up", "role", "active_node")}


def test_a_standby_goes_on_where_a_killed_node_was(make_node: MakeNode, archive: Archive, tmp_path: Path) -> None:
    port = free_port()
    first, second = make_node("first", port), make_node("second", port)
    until_waiting(second)
    assert facts(second) == {"up": True, "role": "standby", "active_node": "first"}
    uids, file = a_study("before", tmp_path)
    more, another = a_study("after", tmp_path)
    caught_in_the_middle(first, uids, file)
    first.kill()
    until_active(second)
    assert facts(second) == {"up": True, "role": "active", "active_node": "second"}
    assert dcmtk.store(port, [file, another]).accepted  # the scanner got no further, and sends all again
    delivered_once(second, archive, uids, more)
    assert second.studies()[uids.study]["instances"] == 1
    first.start(wait=False)
    eventually(lambda: "standby: waits for second" in first.output(), "the killed node to come back as standby")
    assert first.stop() == 0


def test_a_frozen_node_that_wakes_up_after_the_standby_took_over_ends_and_does_nothing(
    make_node: MakeNode, archive: Archive, tmp_path: Path
) -> None:
    first, second = make_node("first", free_port()), make_node("second", free_port())
    until_waiting(second)
    uids, file = a_study("before", tmp_path)
    more, another = a_study("after", tmp_path)
    children = caught_in_the_middle(first, uids, file)
    os.kill(first.pid, signal.SIGSTOP)
    until_active(second)
    assert dcmtk.store(second.port, [another]).accepted
    delivered_once(second, archive, uids, more)
    for pid in [*children, first.pid]:  # its attempt ends, and it wants to write and to send what it made
        os.kill(pid, signal.SIGCONT)
    assert first.wait(timeout_s=30) == LOST_TENURE
    delivered_once(second, archive, uids, more)
    moves = [move["event"] for move in second.show(uids.study)["moves"]]
    assert moves.count("DERIVED") == moves.count("ALL_DELIVERED") == 1


def test_a_node_whose_way_to_the_shared_folder_hangs_leaves_it_to_the_standby(
    make_node: MakeNode, archive: Archive, tmp_path: Path
) -> None:
    first, second = (make_node(name, free_port()) for name in ("first", "second"))
    until_waiting(second)
    trial = tmp_path / "shared" / "node-first.trial"
    eventually(trial.exists, "the active node to see whether it can write")
    pipe = trial.with_suffix(".pipe")
    os.mkfifo(pipe)
    pipe.replace(trial)  # nobody reads it: whoever opens it to write waits for ever
    assert first.wait(timeout_s=60) == LOST_TENURE
    assert "the data folder does not answer" in first.output()
    until_active(second)
    uids, file = a_study("after", tmp_path)
    assert dcmtk.store(second.port, [file]).accepted
    delivered_once(second, archive, uids)


def test_a_node_without_its_database_refuses_instances_and_goes_on_when_it_is_back(
    make_node: MakeNode, archive: Archive, postgres: Postgres, tmp_path: Path
) -> None:
    node = make_node("first", free_port(), standby=False)
    uids, file = a_study("before", tmp_path)
    with postgres.away():
        refused = dcmtk.store(node.port, [file])
        assert "Success" not in refused.statuses
        assert "OutOfResources" in refused.output.replace(" ", "")
        status = node.ask("status")
        assert (status["up"], status["role"]) == (True, "active")
        assert "the journal can't be used" in status["trouble"]
        pid = node.pid
    eventually(lambda: dcmtk.store(node.port, [file]).accepted, "the node to take instances again")
    delivered_once(node, archive, uids)
    assert (node.alive, node.pid) == (True, pid)
