"""Fixtures for tests with real peers: the node as its own process, Orthanc, DCMTK; all ended when the test ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.loopback import is_isolated
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.postgres import Postgres, as_other_user, program
from tests.peers.process import PeerProcess

Start = Callable[[PeerProcess], None]
StartNode = Callable[..., Node]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the end-to-end tests: their files are the longest, and none should be left alone at the end."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


def need_programs(*names: str) -> None:
    """Skip the test where one of the system's programs is not installed."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed (`make test` installs dcmtk, orthanc, dicom3tools and strace)")


def need_isolation() -> None:
    """Skip the test where a server that listens on every address would be seen from outside this machine."""
    if not is_isolated():
        pytest.skip("starts a server that listens on every address: run it by `python -m tests.loopback pytest ...`")


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """One Orthanc for all tests that only fill it; every test has studies of its own."""
    need_programs("Orthanc", "echoscu", "getscu")
    need_isolation()
    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for all tests; every test has a database of its own."""
    if program("initdb") is None:
        pytest.skip("PostgreSQL is not installed (`make peers` installs it)")
    if as_other_user() is None:
        pytest.skip("PostgreSQL does not run as root, and this root can't become somebody else")
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def plain_node(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node that reconstructs every TOMO and sends to Orthanc, for all tests that only send it their own studies."""
    need_programs("storescu")
    node = Node(tmp_path_factory.mktemp("node"), Settings(destinations=[destination(orthanc.dicom_port)]))
    node.start()
    yield node
    node.stop(timeout_s=30)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a peer that ends with the test."""
    started: list[PeerProcess] = []

    def start_peer(peer: PeerProcess) -> None:
        need_programs(peer.command[0])
        need_isolation()
        started.append(peer)
        peer.start()

    yield start_peer
    for peer in reversed(started):
        peer.kill()


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """Start a node with these settings; it ends with the test."""
    need_programs("storescu")
    started: list[Node] = []

    def start_it(settings: Settings, prefix: tuple[str, ...] = ()) -> Node:
        node = Node(tmp_path / f"node{len(started)}", settings, prefix)
        started.append(node)
        node.start()
        return node

    yield start_it
    for node in started:
        node.stop(timeout_s=30)
