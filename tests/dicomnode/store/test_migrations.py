"""An older journal is brought up with all that it holds; a newer one is left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, select

from dicomnode.errors import ConfigurationError
from dicomnode.store.commitments import Commitments
from dicomnode.store.journal import Journal
from dicomnode.store.migrations import STEPS, bring_up, version
from dicomnode.store.outbox import DeliveryState, Outbox
from dicomnode.store.schema import connect, metadata, open_database
from dicomnode.store.spool import Spool
from dicomnode.study import SendOutcome, SendReport, StudyState
from tests.fakes import NOON, after, an_instance

FIRST = Path(__file__).with_name("journal_1.sql")  # as the first version made it, with a study on its way
NOW = version(STEPS)
A_STEP = "ALTER TABLE studies ADD COLUMN colour VARCHAR(16) DEFAULT 'red' NOT NULL"
ONE_MORE = {**STEPS, NOW + 1: (A_STEP,)}


def sql(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


def columns(path: Path) -> dict[str, set[tuple[object, ...]]]:
    """Return name, type and NOT NULL of every column, per table; and the indices."""
    names = [str(row[0]) for row in sql(path, "SELECT name FROM sqlite_master")]
    return {name: {(row[1], row[2], row[3]) for row in sql(path, f"PRAGMA table_info({name})")} for name in names}


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of today with one study."""
    path = tmp_path / "journal.sqlite"
    opened = Journal(open_database(path))
    opened.record_instance(an_instance(), NOON)
    opened.close()
    return path


@pytest.fixture
def an_old_journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(FIRST.read_text())
    return path


def bring(path: Path, steps: Mapping[int, tuple[str, ...]], tables: MetaData = metadata) -> None:
    engine = connect(path)
    try:
        bring_up(engine, tables, path, steps)
    finally:
        engine.dispose()


def test_a_new_journal_says_its_version(journal: Path) -> None:
    assert sql(journal, "PRAGMA user_version") == [(NOW,)]


@pytest.mark.parametrize("number", [0, 1])
def test_an_old_journal_gets_the_tables_of_a_new_one(an_old_journal: Path, tmp_path: Path, number: int) -> None:
    sql(an_old_journal, f"PRAGMA user_version = {number}")
    new = tmp_path / "new.sqlite"
    for path in (an_old_journal, new):
        open_database(path).dispose()
        assert sql(path, "PRAGMA user_version") == [(NOW,)]
    assert columns(an_old_journal) == columns(new)


def test_a_journal_of_this_version_from_before_an_index_was_thought_of_gets_it(journal: Path) -> None:
    made = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
    new = sql(journal, made)
    for index in ("studies_by_arrival", "deliveries_sent"):
        sql(journal, f"DROP INDEX {index}")
    assert len(sql(journal, made)) == len(new) - 2
    open_database(journal).dispose()
    assert sql(journal, made) == new
    assert not journal.with_name(f"journal.sqlite.version-{NOW}").exists(), "nothing that is there was changed"


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


def test_a_copy_of_before_stays_beside_an_old_journal(an_old_journal: Path) -> None:
    before = columns(an_old_journal)
    open_database(an_old_journal).dispose()
    copy = an_old_journal.with_name("journal.sqlite.version-1")
    assert columns(copy) == before != columns(an_old_journal)
    assert sql(copy, "SELECT study_instance_uid FROM studies") == [("1.2",)]


def test_a_step_changes_the_tables_and_keeps_the_rows_and_a_copy_of_before(journal: Path) -> None:
    bring(journal, ONE_MORE)
    assert sql(journal, "SELECT study_instance_uid, colour FROM studies") == [("1.2", "red")]
    copy = journal.with_name(f"journal.sqlite.version-{NOW}")
    assert sql(copy, "SELECT study_instance_uid FROM studies") == [("1.2",)]
    assert "colour" not in str(columns(copy)["studies"])


def test_a_journal_that_is_several_versions_old_takes_all_steps(an_old_journal: Path) -> None:
    bring(an_old_journal, ONE_MORE)
    assert sql(an_old_journal, "SELECT colour FROM studies") == [("red",)]
    assert sql(an_old_journal, "SELECT DISTINCT asks FROM deliveries") == [(0,)]


def test_a_step_that_fails_leaves_everything_as_it_was(an_old_journal: Path) -> None:
    before = columns(an_old_journal)
    with pytest.raises(Exception, match="nonsense"):
        bring(an_old_journal, {**STEPS, NOW + 1: (A_STEP, "nonsense")})
    assert sql(an_old_journal, "PRAGMA user_version") == [(0,)]
    assert columns(an_old_journal) == before


def test_a_journal_that_a_newer_version_wrote_is_refused_with_a_remedy_and_left_alone(an_old_journal: Path) -> None:
    sql(an_old_journal, "PRAGMA user_version = 99")
    before = an_old_journal.read_bytes()
    with pytest.raises(ConfigurationError, match=r"version 99.*start that one"):
        open_database(an_old_journal)
    assert an_old_journal.read_bytes() == before


def test_a_fresh_file_needs_no_steps(tmp_path: Path) -> None:
    tables = MetaData()
    table = Table("studies", tables, Column("id", Integer, primary_key=True), Column("colour", String(16)))
    bring(tmp_path / "new.sqlite", ONE_MORE, tables)
    engine = connect(tmp_path / "new.sqlite")
    with engine.connect() as connection:
        assert connection.execute(select(table.c.colour)).all() == []
    engine.dispose()
