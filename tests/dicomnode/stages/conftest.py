"""The road that the stages' tests walk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dicomnode.stages.road import Road
from tests.peers.postgres import Postgres

# what the other stages' tests ask of the journal, these ask, too
ON_BOTH = ("test_commit", "test_deliver", "test_fetch", "test_promise", "test_purge")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let some tests run on a SQLite file and on PostgreSQL, the others on a file alone."""
    if "database" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in ON_BOTH:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str | None:
    """The address of a journal; None where it is a file."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return None
    server: Postgres = request.getfixturevalue("postgres")
    return server.address()


@pytest.fixture
def a_road(tmp_path: Path, database: str | None) -> Iterator[Road]:
    road = Road(tmp_path, database=database)
    yield road
    road.journal.close()
