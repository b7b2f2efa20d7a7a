"""Journals of older versions are brought up with all that is in them; those of newer ones are left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dicomnode.errors import ConfigurationError
from dicomnode.store.commitments import Commitments
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import DeliveryState, Outbox
from dicomnode.store.schema import VERSION, open_database
from dicomnode.store.spool import Spool
from dicomnode.study import SendOutcome, SendReport, StudyState
from tests.fakes import after

FIRST = Path(__file__).with_name("journal_1.sql")


@pytest.fixture
def an_old_journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST.read_text())
    return path


def columns(path: Path) -> dict[str, set[tuple[str, str, int]]]:
    """Return name, type and NOT NULL of every column, per table; and the indices."""
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        return {
            table: {(row[1], row[2], row[3]) for row in connection.execute(f"PRAGMA table_info({table})")}
            for table in tables
        }


def version(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_old_journal_gets_the_tables_of_a_new_one(an_old_journal: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.sqlite"
    for path in (an_old_journal, new):
        open_database(path).dispose()
        assert version(path) == VERSION
    assert columns(an_old_journal) == columns(new)


def test_what_an_old_journal_holds_goes_on_where_it_was(an_old_journal: Path, tmp_path: Path) -> None:
    journal = Journal(open_database(an_old_journal))
    outbox = Outbox(journal, Spool(tmp_path / "derived"))
    study = journal.study("1.2")
    assert study is not None
    assert (study.state, study.instances, study.destinations) == (StudyState.DELIVERING, 1, ("pacs",))
    assert {d.state for d in outbox.deliveries("1.2")} == {DeliveryState.SENT, DeliveryState.WAITING}
    now = after(86_400)
    (waiting,) = outbox.due("pacs", now)
    report = SendReport(waiting.sop_instance_uid, SendOutcome.DELIVERED, 0, "")
    outbox.record(waiting, report, now, False, now, to_be_committed=True)
    (asked,) = Commitments(journal).due("pacs", after(86_410))
    assert asked.sop_instance_uid == waiting.sop_instance_uid
    journal.close()


def test_a_journal_is_brought_up_once(an_old_journal: Path) -> None:
    open_database(an_old_journal).dispose()
    before = columns(an_old_journal)
    open_database(an_old_journal).dispose()
    assert columns(an_old_journal) == before


def test_a_crash_while_a_journal_is_brought_up_leaves_it_as_it_was(
    an_old_journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = columns(an_old_journal)
    steps = {2: ("ALTER TABLE deliveries ADD COLUMN asks INTEGER", "ALTER TABLE nothing ADD COLUMN x INTEGER")}
    with monkeypatch.context() as patch:
        patch.setattr("dicomnode.store.schema.STEPS", steps)
        with pytest.raises(Exception, match="nothing"):
            open_database(an_old_journal)
    assert (columns(an_old_journal), version(an_old_journal)) == (before, 0)
    open_database(an_old_journal).dispose()
    assert version(an_old_journal) == VERSION


def test_a_journal_of_a_newer_version_is_left_alone(an_old_journal: Path) -> None:
    with sqlite3.connect(an_old_journal) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = an_old_journal.read_bytes()
    with pytest.raises(ConfigurationError, match="a newer version has worked on this folder"):
        open_database(an_old_journal)
    assert an_old_journal.read_bytes() == before
