"""A copy of the journal made while it is written to, kept for a while, and put back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dicomnode.errors import ConfigurationError
from dicomnode.store.backup import back_up, restore
from dicomnode.store.folder import DataFolder, take_lock, write_facts
from dicomnode.store.journal import Journal
from dicomnode.store.schema import open_database
from tests.fakes import NOON, an_instance


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.create()
    return made


@pytest.fixture
def journal(folder: DataFolder) -> Iterator[Journal]:
    opened = Journal(open_database(folder.journal))
    yield opened
    opened.close()


def studies_in(path: Path) -> set[str]:
    opened = Journal(open_database(path))
    found = {study.study_instance_uid for study in opened.studies()}
    opened.close()
    return found


def test_a_copy_holds_what_was_committed_before_and_the_node_goes_on(
    folder: DataFolder, journal: Journal, tmp_path: Path
) -> None:
    journal.record_instance(an_instance("1.2.3", "1.2"), NOON)
    copy = back_up(folder, tmp_path / "copies", NOON, 3)
    journal.record_instance(an_instance("1.3.3", "1.3"), NOON)
    assert copy.name == "journal-20260302T120000Z.sqlite"
    assert studies_in(copy) == {"1.2"}


def test_only_the_newest_copies_are_kept(folder: DataFolder, journal: Journal, tmp_path: Path) -> None:
    made = [back_up(folder, tmp_path, NOON + timedelta(days=day), 2) for day in range(3)]
    assert sorted(tmp_path.glob("journal-*.sqlite")) == made[1:]


def test_a_copy_is_put_back_and_the_former_journal_is_kept(
    folder: DataFolder, journal: Journal, tmp_path: Path
) -> None:
    journal.record_instance(an_instance("1.2.3", "1.2"), NOON)
    copy = back_up(folder, tmp_path, NOON, 3)
    journal.record_instance(an_instance("1.3.3", "1.3"), NOON)
    journal.close()
    former = restore(copy, folder, NOON)
    assert studies_in(folder.journal) == {"1.2"}
    assert studies_in(former) == {"1.2", "1.3"}


def test_nothing_is_put_back_under_a_running_node(folder: DataFolder, journal: Journal, tmp_path: Path) -> None:
    copy = back_up(folder, tmp_path, NOON, 3)
    with take_lock(folder.lock) as lock:
        write_facts(lock, {"pid": 1})
        with pytest.raises(ConfigurationError, match="stop it first"):
            restore(copy, folder, NOON)


def test_a_file_that_is_no_journal_is_not_put_back(folder: DataFolder, journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "copy.sqlite").write_text("something else")
    with pytest.raises(ConfigurationError, match="no copy of a journal"):
        restore(tmp_path / "copy.sqlite", folder, NOON)


def test_where_no_node_has_run_there_is_nothing_to_copy(folder: DataFolder, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no node has run"):
        back_up(folder, tmp_path, NOON, 3)


def test_a_postgresql_journal_is_left_to_its_own_tools(tmp_path: Path) -> None:
    shared = DataFolder(tmp_path, "postgresql://a@h/d", "first")
    with pytest.raises(ConfigurationError, match="pg_dump"):
        back_up(shared, tmp_path, NOON, 3)
    with pytest.raises(ConfigurationError, match="pg_restore"):
        restore(tmp_path / "copy", shared, NOON)
