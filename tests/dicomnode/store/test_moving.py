"""A journal goes from its file into PostgreSQL with all that it holds, or stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dicomnode.errors import ConfigurationError
from dicomnode.store.folder import DataFolder, take_lock
from dicomnode.store.journal import Journal
from dicomnode.store.moving import move
from dicomnode.store.schema import open_database
from dicomnode.store.tenure import Tenure
from dicomnode.study import Event
from tests.fakes import NOON, after, an_instance
from tests.peers.postgres import Postgres


@pytest.fixture
def folder(tmp_path: Path, postgres: Postgres) -> DataFolder:
    """A folder with a journal of two studies as a file, and the address of an empty database."""
    found = DataFolder(tmp_path / "data", postgres.address(), "first")
    found.create()
    opened = Journal(open_database(found.journal))
    for uid in ("1.2", "1.3"):
        opened.record_instance(an_instance(f"{uid}.3", uid, PatientName="A^B"), NOON)
    study = opened.study("1.2")
    assert study is not None
    opened.decide(study, Event.NO_RULE, "nobody wants it", after(1.25))
    opened.close()
    return found


def story(where: Path | str) -> list[object]:
    opened = Journal(open_database(where))
    found = [[study, opened.instances(study.study_instance_uid), opened.moves(study.study_instance_uid)]
             for study in sorted(opened.studies(), key=lambda study: study.study_instance_uid)]  # fmt: skip
    opened.close()
    return list(found)


def test_all_is_there_afterwards_and_the_node_goes_on_with_it(folder: DataFolder) -> None:
    before = story(folder.journal)
    assert folder.database is not None
    moved = move(folder, NOON)
    assert {name: number for name, number in moved.rows.items() if number} == {
        "studies": 2, "instances": 2, "moves": 3,
    }  # fmt: skip
    assert moved.former.name == "journal.sqlite.moved-20260302T120000Z"
    assert not folder.journal.exists()
    assert story(folder.database) == before == story(moved.former)
    tenure = Tenure(folder, 60)
    assert tenure.take(NOON)
    journal = Journal(tenure.engine, tenure.epoch)
    journal.record_instance(an_instance("1.4.3", "1.4"), NOON)
    assert len(journal.moves("1.4")) == 1
    tenure.close()


def a_database_in_use(folder: DataFolder) -> None:
    assert folder.database is not None
    opened = Journal(open_database(folder.database))
    opened.record_instance(an_instance("9.9.9", "9.9"), NOON)
    opened.close()


def no_file(folder: DataFolder) -> None:
    folder.journal.unlink()


@pytest.mark.parametrize(
    ("hindrance", "told"),
    [
        (a_database_in_use, "name an empty one"),
        (no_file, "there is no journal to move"),
    ],
)
def test_what_stands_in_the_way_is_told_and_nothing_is_moved(
    folder: DataFolder, hindrance: Callable[[DataFolder], None], told: str
) -> None:
    hindrance(folder)
    there = folder.journal.exists()
    with pytest.raises(ConfigurationError, match=told):
        move(folder, NOON)
    assert folder.journal.exists() == there
    assert folder.mark() == ""


def test_a_node_that_runs_keeps_its_journal(folder: DataFolder) -> None:
    with take_lock(folder.root / "node.lock"), pytest.raises(ConfigurationError, match="another node is working"):
        move(folder, NOON)
    assert folder.journal.exists()


def test_without_a_database_there_is_nowhere_to_move_to(folder: DataFolder) -> None:
    with pytest.raises(ConfigurationError, match=r"node\.journal: names no database"):
        move(DataFolder(folder.root), NOON)
