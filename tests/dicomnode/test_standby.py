"""Before its turn and after: what a standby says while it waits, and when an active node must end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dicomnode.config import NodeSettings
from dicomnode.errors import ConfigurationError
from dicomnode.standby import Keeper, Standby, open_folder
from dicomnode.store.folder import DataFolder
from dicomnode.store.tenure import Place, Tenure
from dicomnode.store.trial import WriteTrial
from dicomnode.systemd import ServiceManager
from tests.fakes import NOON
from tests.peers.postgres import Postgres
from tests.peers.process import eventually

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/none"


@dataclass
class Told:
    """What a standby said, and the Standby that said it."""

    words: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def standby(
        self, tenure: Tenure, takeover_s: float = 0.1, standby: bool = True, trial: WriteTrial | None = None
    ) -> Standby:
        settings = NodeSettings(standby=standby).model_copy(update={"takeover_s": takeover_s})
        return Standby(tenure, settings, ServiceManager(), self.words.append, trial)


@pytest.fixture
def folder(tmp_path: Path, postgres: Postgres) -> DataFolder:
    return DataFolder(tmp_path, postgres.address(), "first")


@pytest.fixture
def active(folder: DataFolder) -> Iterator[Tenure]:
    tenure = Tenure(folder, 60)
    assert tenure.take(NOON)
    yield tenure
    tenure.close()


@pytest.fixture
def other(folder: DataFolder) -> Iterator[Tenure]:
    tenure = Tenure(DataFolder(folder.root, folder.database, "second"), 60)
    yield tenure
    tenure.close()


def in_the_background(told: Told, standby: Standby) -> tuple[threading.Thread, list[bool]]:
    outcome: list[bool] = []
    thread = threading.Thread(target=lambda: outcome.append(standby.wait(told.stopping)))
    thread.start()
    return thread, outcome


def test_a_standby_waits_says_for_whom_and_takes_over(active: Tenure, other: Tenure) -> None:
    told = Told()
    thread, outcome = in_the_background(told, told.standby(other))
    eventually(lambda: told.words, "the standby to say what it waits for")
    active.close()
    thread.join(30)
    assert outcome == [True]
    assert told.words == ["standby: waits for first to end"]
    assert other.epoch == 2


class Looking(Tenure):
    """Notes how it found the place at each look."""

    def __init__(self, folder: DataFolder) -> None:
        super().__init__(folder, 60)
        self.found: list[Place] = []

    def place(self) -> Place:
        self.found.append(super().place())
        return self.found[-1]


def test_an_active_node_whose_connection_was_cut_finds_its_place_free_when_it_is_back(
    active: Tenure, folder: DataFolder
) -> None:
    told, tenure = Told(), Looking(DataFolder(folder.root, folder.database, "second"))
    thread, outcome = in_the_background(told, told.standby(tenure))
    eventually(lambda: tenure.found, "the standby to look")
    active.release()
    eventually(lambda: Place.LOST in tenure.found, "the standby to find the lock free")
    active.renew()
    eventually(lambda: tenure.found[-1] is Place.TAKEN, "the standby to see that the active node is back")
    told.stopping.set()
    thread.join(30)
    assert (outcome, tenure.epoch) == ([False], None)
    tenure.close()


def hanging(folder: DataFolder) -> None:
    """Let whoever writes to see whether the folder can be written wait for ever."""
    pipe = folder.trial.with_suffix(".pipe")
    os.mkfifo(pipe)
    pipe.replace(folder.trial)  # nobody reads it: to open it for writing does not return


def answering(folder: DataFolder) -> None:
    """End what `hanging` began."""
    pipe = folder.trial.with_suffix(".pipe")
    folder.trial.rename(pipe)
    os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
    pipe.unlink()


def test_a_standby_that_can_not_write_the_folder_does_not_take_over_until_it_can(
    active: Tenure, other: Tenure, folder: DataFolder
) -> None:
    here = DataFolder(folder.root, folder.database, "second")
    hanging(here)
    told = Told()
    thread, outcome = in_the_background(told, told.standby(other, trial=WriteTrial(here, marked=False, every_s=0.01)))
    eventually(lambda: any("can't take over" in words for words in told.words), "the standby to say what is wrong")
    active.close()
    eventually(lambda: other.place() is Place.LEFT, "PostgreSQL to see that the first has gone")
    assert told.words[-1] == "standby, can't take over: the data folder does not answer"
    assert outcome == []
    answering(here)
    thread.join(30)
    assert outcome == [True]


def test_an_active_node_that_can_not_write_the_folder_any_more_leaves_its_place(
    active: Tenure, other: Tenure, folder: DataFolder
) -> None:
    reasons: list[str] = []
    settings = NodeSettings().model_copy(update={"takeover_s": 0.2})
    keeper = Keeper(active, settings, reasons.append, lambda: None, WriteTrial(folder, marked=True, every_s=0.01))
    keeper.start()
    eventually(folder.trial.exists, "the node to try whether it can write")
    assert reasons == []
    hanging(folder)
    eventually(lambda: reasons, "the node to end")
    assert reasons == ["the data folder does not answer; another node may be able to use it"]
    eventually(lambda: other.place() is Place.LEFT, "PostgreSQL to see that it has left")
    answering(folder)
    keeper.stop()


def test_a_standby_waits_for_a_folder_that_can_not_be_used_and_another_node_does_not(tmp_path: Path) -> None:
    (tmp_path / "mount").write_bytes(b"no folder")
    folder, stopping, locks = DataFolder(tmp_path / "mount", UNREACHABLE, "first"), threading.Event(), []
    with pytest.raises(ConfigurationError, match="can't be used"):
        open_folder(folder, NodeSettings(), ServiceManager(), stopping)
    settings = NodeSettings().model_copy(update={"standby": True})
    waiting = threading.Thread(target=lambda: locks.append(open_folder(folder, settings, ServiceManager(), stopping)))
    waiting.start()
    (tmp_path / "mount").unlink()
    waiting.join(30)
    (lock,) = locks
    assert lock is not None
    lock.close()
    stopping.set()
    assert open_folder(folder, settings, ServiceManager(), stopping) is None


def test_a_standby_that_is_told_to_stop_stops(active: Tenure, other: Tenure) -> None:
    told = Told()
    thread, outcome = in_the_background(told, told.standby(other))
    eventually(lambda: told.words, "the standby to say what it waits for")
    told.stopping.set()
    thread.join(30)
    assert outcome == [False]
    active.renew()


def test_a_node_that_is_no_standby_refuses_a_journal_that_another_works_on(active: Tenure, other: Tenure) -> None:
    told = Told()
    with pytest.raises(ConfigurationError, match=r"first works on this journal; .* node\.standby = true"):
        told.standby(other, standby=False).wait(told.stopping)


def test_a_standby_whose_folder_is_not_there_says_so_and_waits_on(
    active: Tenure, folder: DataFolder, tmp_path: Path
) -> None:
    active.close()
    elsewhere = DataFolder(tmp_path / "not mounted", folder.database, "second")
    elsewhere.create()
    tenure, told = Tenure(elsewhere, 60), Told()
    thread, outcome = in_the_background(told, told.standby(tenure))
    eventually(lambda: any("can't take over" in words for words in told.words), "the standby to say what is wrong")
    elsewhere.set_mark(folder.mark())  # mounted
    thread.join(30)
    assert outcome == [True]
    tenure.close()


def test_a_node_waits_for_a_database_that_is_away(tmp_path: Path) -> None:
    told, tenure = Told(), Tenure(DataFolder(tmp_path, UNREACHABLE, "first"), 60)
    thread, outcome = in_the_background(told, told.standby(tenure, standby=False))
    eventually(lambda: told.words, "the node to say what it waits for")
    told.stopping.set()
    thread.join(30)
    assert told.words[0].startswith("waits for the journal: the journal can't be used")
    assert outcome == [False]


def test_an_active_node_ends_when_another_took_over(active: Tenure, other: Tenure) -> None:
    reasons: list[str] = []
    active.release()
    eventually(lambda: other.take(NOON), "the lock to be free")
    keeper = Keeper(active, NodeSettings(), reasons.append, lambda: None)
    keeper.start()
    eventually(lambda: reasons, "the node to see it")
    assert reasons == ["second has become the active node"]
    keeper.stop()


def test_an_active_node_that_all_is_well_with_says_so(active: Tenure) -> None:
    beats: list[None] = []
    settings = NodeSettings(takeover_s=2)
    keeper = Keeper(active, settings, pytest.fail, lambda: beats.append(None))
    keeper.start()
    eventually(lambda: len(beats) > 1, "it to say so twice")
    keeper.stop()


def test_a_restart_of_the_database_leaves_the_active_node_as_such(
    active: Tenure, other: Tenure, postgres: Postgres
) -> None:
    beats: list[None] = []
    keeper = Keeper(active, NodeSettings(), pytest.fail, lambda: beats.append(None))
    keeper.start()
    told = Told()
    thread, outcome = in_the_background(told, told.standby(other))
    eventually(lambda: told.words, "the standby to say what it waits for")
    with postgres.away():
        eventually(lambda: told.words[-1].startswith("waits for the journal"), "the standby to miss the database")
        before = len(beats)
    eventually(lambda: len(beats) > before, "the active node to be back")
    eventually(lambda: told.words[-1] == "standby: waits for first to end", "the standby to be back")
    told.stopping.set()
    thread.join(30)
    assert outcome == [False]
    assert not other.take(NOON)
    keeper.stop()


def test_an_active_node_that_can_not_tell_whether_it_is_ends(active: Tenure) -> None:
    reasons: list[str] = []
    with active.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE tenure")
    keeper = Keeper(active, NodeSettings(), reasons.append, lambda: None)
    keeper.start()
    eventually(lambda: reasons, "the node to end")
    assert "unforeseen" in reasons[0]
    keeper.stop()


class Unreachable(Tenure):
    """Counts how often it tried."""

    tries = 0

    def renew(self) -> None:
        self.tries += 1
        super().renew()


@pytest.mark.parametrize("standby", [True, False])
def test_an_active_node_without_database_ends_only_where_a_standby_may_have_taken_over(
    tmp_path: Path, standby: bool
) -> None:
    reasons: list[str] = []
    tenure = Unreachable(DataFolder(tmp_path, UNREACHABLE, "first"), 60)
    settings = NodeSettings(standby=standby).model_copy(update={"takeover_s": 0.3})
    keeper = Keeper(tenure, settings, reasons.append, lambda: None)
    keeper.start()
    if standby:
        eventually(lambda: reasons, "the node to end")
        assert "out of reach" in reasons[0]
    else:
        eventually(lambda: tenure.tries > 2, "it to try again and again")
        assert reasons == []
    keeper.stop()
