"""Which node may write: one of several, decided by PostgreSQL's clock and locks, never by what a node believes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from dicomnode.errors import ConfigurationError, TransientFault
from dicomnode.store.faults import TenureLost
from dicomnode.store.folder import DataFolder
from dicomnode.store.journal import Journal
from dicomnode.store.looking import active_node
from dicomnode.store.opened import existing
from dicomnode.store.postgres import tenure
from dicomnode.store.schema import open_database, readers
from dicomnode.store.tenure import Place, Tenure
from tests.fakes import NOON, after, an_instance
from tests.peers.postgres import Postgres
from tests.peers.process import eventually

Take = Callable[..., Tenure]


@pytest.fixture
def address(postgres: Postgres) -> str:
    return postgres.address()


@pytest.fixture
def a_node(address: str, tmp_path: Path) -> Iterator[Take]:
    """Return a node's place by its name; the data folder is the same for all, unless another is named."""
    made: list[Tenure] = []

    def make(name: str, silence_s: float = 60, root: Path = tmp_path / "data") -> Tenure:
        folder = DataFolder(root, address, name)
        folder.create()
        made.append(Tenure(folder, silence_s))
        return made[-1]

    yield make
    for one in made:
        one.close()


def journal_of(node: Tenure) -> Journal:
    assert node.epoch is not None
    return Journal(node.engine, node.epoch)


def end_connections(postgres: Postgres) -> None:
    """End what is connected, as a restart of the server or a cut network does."""
    postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dicomnode'")


def test_one_node_is_active_and_the_other_takes_over_as_soon_as_it_ends(a_node: Take) -> None:
    first, second = a_node("first"), a_node("second")
    assert first.take(NOON)
    assert not second.take(NOON)
    assert (holder := second.holder()) is not None
    assert (holder.name, holder.since) == ("first", NOON)
    first.close()
    eventually(lambda: second.take(after(5)), "PostgreSQL to see that the first has gone")
    assert (first.epoch, second.epoch) == (1, 2)


def test_a_place_that_was_left_is_told_from_one_whose_holder_may_come_back(a_node: Take) -> None:
    first, again, second = a_node("first"), a_node("first"), a_node("second")
    assert second.place() is Place.LEFT  # nobody ever had it
    assert first.take(NOON)
    assert second.place() is Place.TAKEN
    first.release()
    eventually(lambda: second.place() is Place.LOST, "PostgreSQL to see that the connection has ended")
    assert again.place() is Place.LEFT  # its own: an earlier process of it has died
    first.renew()
    assert second.place() is Place.TAKEN
    first.leave()
    eventually(lambda: second.place() is Place.LEFT, "PostgreSQL to see that the first has gone")
    assert second.holder() is None
    assert second.take(after(5))
    assert (second.epoch, first.place()) == (2, Place.TAKEN)


def test_a_node_that_another_has_taken_over_from_does_not_speak_for_its_successor(a_node: Take) -> None:
    first, second = a_node("first"), a_node("second")
    assert first.take(NOON)
    first.release()
    eventually(lambda: second.take(after(5)), "the lock to be free")
    first.leave()
    assert (holder := first.holder()) is not None
    assert holder.name == "second"


def test_what_the_former_node_still_wants_to_write_is_refused(a_node: Take) -> None:
    first, second = a_node("first", silence_s=0.3), a_node("second")
    assert first.take(NOON)
    journal = journal_of(first)
    journal.record_instance(an_instance(), NOON)
    eventually(lambda: second.take(after(5)), "PostgreSQL to give up the silent node", timeout_s=20)
    with pytest.raises(TenureLost):
        journal.record_instance(an_instance("1.2.4", sha256="b" * 64), after(6))
    with pytest.raises(TransientFault, match="can't be used"):
        first.renew()  # its connection was ended
    with pytest.raises(TenureLost, match="second"):
        first.renew()
    assert len(journal.instances("1.2")) == 1


def test_a_node_that_says_that_it_lives_stays_the_active_one(a_node: Take) -> None:
    first, second = a_node("first", silence_s=1.5), a_node("second")
    assert first.take(NOON)
    for _ in range(20):  # longer than its silence may be
        first.renew()
        assert not second.take(NOON)
        threading.Event().wait(0.1)


def test_a_transaction_that_is_under_way_ends_before_another_node_takes_over(a_node: Take) -> None:
    first, second = a_node("first"), a_node("second")
    assert first.take(NOON)
    journal = journal_of(first)
    first.release()  # as if its connection was lost while it writes
    taking = threading.Thread(target=lambda: eventually(lambda: second.take(after(1)), "the lock to be free"))
    with journal.transaction() as connection:
        taking.start()
        taking.join(0.5)
        assert taking.is_alive()
        connection.execute(readers.insert().values(name="somebody", position=7))
    taking.join()
    assert second.epoch == 2
    with journal_of(second).reading() as connection:
        assert connection.execute(select(readers.c.position)).scalar_one() == 7


def test_a_node_whose_connections_were_cut_goes_on_if_nobody_took_over(a_node: Take, postgres: Postgres) -> None:
    first, second = a_node("first"), a_node("second")
    assert first.take(NOON)
    journal = journal_of(first)
    journal.record_instance(an_instance(), NOON)
    end_connections(postgres)
    with pytest.raises(TransientFault):
        first.renew()
    first.renew()
    assert not second.take(NOON)
    journal.record_instance(an_instance("1.2.4", sha256="b" * 64), NOON)
    assert len(journal.instances("1.2")) == 2


def test_a_folder_that_is_not_the_journals_is_refused(a_node: Take, tmp_path: Path) -> None:
    first = a_node("first")
    assert first.take(NOON)
    first.close()
    elsewhere = a_node("second", root=tmp_path / "not mounted")
    with pytest.raises(ConfigurationError, match=r"not the folder of this journal .* is the shared storage mounted"):
        eventually(lambda: elsewhere.take(NOON), "the lock to be free")
    third = a_node("third")
    eventually(lambda: third.take(NOON), "the lock to be free")  # the refused one does not keep the others waiting


def test_a_node_without_the_address_does_not_begin_a_journal_of_its_own_in_a_shared_folder(
    a_node: Take, tmp_path: Path
) -> None:
    assert a_node("first").take(NOON)
    with pytest.raises(ConfigurationError, match=r"PostgreSQL database; name it in node\.journal"):
        DataFolder(tmp_path / "data").create()


@pytest.mark.parametrize("used", ["journal.sqlite", "derived/a/b/c.dcm"])
def test_a_new_journal_does_not_take_a_folder_in_which_a_node_has_worked(
    a_node: Take, tmp_path: Path, used: str
) -> None:
    file = tmp_path / "data" / used
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(ConfigurationError, match="move-journal"):
        a_node("first").take(NOON)
    assert file.exists()


def test_a_command_sees_the_journal_that_a_node_works_on_and_who_that_is(
    a_node: Take, address: str, tmp_path: Path
) -> None:
    first = a_node("first")
    folder = DataFolder(tmp_path / "data", address)
    with existing(folder) as stores:
        assert stores is None
    assert first.take(NOON)
    journal_of(first).record_instance(an_instance(), NOON)
    with existing(folder) as stores:
        assert stores is not None
        assert stores.journal.counts() == {"RECEIVING": 1}
        assert (holder := active_node(stores.journal)) is not None
        assert holder.name == "first"


def test_a_command_leaves_a_journal_of_another_version_alone(address: str, tmp_path: Path) -> None:
    engine = open_database(address)
    with engine.begin() as connection:
        connection.execute(tenure.update().values(version=1))
    with (
        pytest.raises(ConfigurationError, match="version 1, this program reads version"),
        existing(DataFolder(tmp_path, address)),
    ):
        pass
    with engine.begin() as connection:
        assert connection.execute(select(tenure.c.version)).scalar_one() == 1
    engine.dispose()


def test_a_database_that_is_away_is_a_passing_fault_and_found_again_when_it_is_back(
    a_node: Take, postgres: Postgres
) -> None:
    first = a_node("first")
    assert first.take(NOON)
    journal = journal_of(first)
    with postgres.away():
        for ask in (first.renew, first.holder, journal.counts, lambda: journal.record_instance(an_instance(), NOON)):
            with pytest.raises(TransientFault, match="the journal can't be used"):
                ask()
    eventually(lambda: works(first.renew), "the node to find the database again")
    eventually(lambda: works(lambda: journal.record_instance(an_instance(), NOON)), "the journal to be written")
    assert journal.counts() == {"RECEIVING": 1}


def works(action: Callable[[], object]) -> bool:
    try:
        action()
    except TransientFault:
        return False
    return True
