"""Where the journal of a test lies: each test that asks for `where` runs on a SQLite file and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.postgres import Postgres

Where = Path | str


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """A place for a journal where there is none yet."""
    if request.param == "sqlite":
        return tmp_path / "journal.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return server.address()
