"""What PostgreSQL does otherwise than SQLite, and must not show: letters, lengths, versions, addresses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from dicomnode.errors import ConfigurationError
from dicomnode.store import postgres as module
from dicomnode.store.journal import Journal
from dicomnode.store.migrations import STEPS, bring_up, version
from dicomnode.store.schema import connect, metadata, open_database
from dicomnode.study import Event
from tests.dicomnode.store.test_migrations import ONE_MORE
from tests.fakes import NOON, an_instance
from tests.peers.postgres import Postgres


@pytest.fixture
def address(postgres: Postgres) -> str:
    return postgres.address()


@pytest.fixture
def journal(address: str) -> Iterator[Journal]:
    opened = Journal(open_database(address))
    yield opened
    opened.close()


def test_a_peers_words_are_kept_however_long_and_whatever_they_hold(journal: Journal) -> None:
    instance = an_instance(calling_ae_title="SEVENTEEN_LETTERS", flaw="ends in \0", PatientName="Müller^\0\ud83d")
    journal.record_instance(instance, NOON)
    with journal.transaction() as connection:
        journal.move(connection, "1.2", Event.NO_RULE, "what the archive said: \0", NOON)
    (found,) = journal.instances("1.2")
    assert found.header.attributes == instance.header.attributes
    assert (found.calling_ae_title, found.header.flaw) == ("SEVENTEEN_LETTERS", "ends in \N{REPLACEMENT CHARACTER}")
    assert journal.moves("1.2")[-1].reason == "what the archive said: \N{REPLACEMENT CHARACTER}"


def test_a_view_stays_as_it_was_when_it_was_opened(journal: Journal) -> None:
    with journal.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM studies").scalar() == 0
        journal.record_instance(an_instance(), NOON)
        assert connection.exec_driver_sql("SELECT count(*) FROM studies").scalar() == 0
    assert journal.counts() == {"RECEIVING": 1}


def test_a_commit_is_on_the_disk_whatever_the_server_is_set_to(address: str) -> None:
    with connect(address).connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_step_changes_the_tables_and_keeps_the_rows(journal: Journal, address: str) -> None:
    journal.record_instance(an_instance(), NOON)
    engine = connect(address)
    for _ in range(2):
        bring_up(engine, metadata, address, ONE_MORE)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT colour FROM studies").all() == [("red",)]
        assert connection.exec_driver_sql("SELECT version FROM tenure").scalar() == version(STEPS) + 1
    with pytest.raises(ConfigurationError, match=f"version {version(STEPS) + 1}.*start that one"):
        open_database(address)
    engine.dispose()


def test_a_step_that_fails_leaves_everything_as_it_was(journal: Journal, address: str) -> None:
    engine = connect(address)
    with pytest.raises(Exception, match="nonsense"):
        bring_up(engine, metadata, address, {**ONE_MORE, version(STEPS) + 2: ("nonsense",)})
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version FROM tenure").scalar() == version(STEPS)
    open_database(address).dispose()


def test_what_the_address_says_goes_before_what_we_would_say() -> None:
    url = connect("postgresql://a@h/d?connect_timeout=60&options=-clock_timeout%3D1s").url
    assert url.drivername == "postgresql+psycopg"
    assert url.query["connect_timeout"] == "60"
    assert url.query["keepalives_idle"] == "5"
    assert str(url.query["options"]).endswith(
        "-c lock_timeout=10s -c idle_in_transaction_session_timeout=10s -clock_timeout=1s"
    )
    several = make_url(str(connect("postgresql://a@/d?host=one&host=two").url))
    assert several.query["host"] == ("one", "two")


def test_an_address_that_cannot_be_read_is_told_without_quoting_it() -> None:
    with pytest.raises(ConfigurationError, match=r"node\.journal: is no address") as told:
        connect("postgresql://user:secret@:wrong:/x")
    assert "secret" not in str(told.value)


def test_where_psycopg_is_missing_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_psycopg(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'")

    monkeypatch.setattr(module, "create_engine", without_psycopg)
    with pytest.raises(ConfigurationError, match=r"pip install 'dicomnode\[postgresql\]'"):
        connect("postgresql://a@h/d")
