"""PostgreSQL as the journal's database: how it is opened, and the one row by which all who write take turns.

SQLite lets one writer in at a time, and all that writes to the journal relies on it: what a transaction reads stays
true until it commits, and the moves are numbered in the order in which they become visible. PostgreSQL would let many
in. So each transaction that writes first locks the row of `tenure`: the next one begins when it has ended. The same row
holds the epoch, by which a node that is no longer the active one is kept from writing (see tenure.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, Text, create_engine, event, make_url
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION
from sqlalchemy.dialects.postgresql import insert as insert_into
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from dicomnode.errors import ConfigurationError

# what a transaction that only reads needs to see one moment of the journal
READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

# That a commit is on the disk when it returns; how long one may wait for the other's transaction (as long as SQLite
# waits); how long a transaction may stay open with nothing said: its process is frozen or cut off, and others wait.
_SERVER_SETTINGS = "-c synchronous_commit=on -c lock_timeout=10s -c idle_in_transaction_session_timeout=10s"
# a database that is cut off is noticed within seconds, not after the quarter of an hour that TCP takes
_CLIENT_SETTINGS = {
    "application_name": "dicomnode",
    "client_encoding": "utf8",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_THREADS = 32  # that may read at the same time; the others wait for one of them
_PREPARING = 0x6469636F6D  # an advisory lock: two that begin at once must not both make the first table

_own = MetaData()
# one row: what SQLite keeps in the file itself, and who works on the journal
tenure = Table(
    "tenure", _own,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),  # of the journal's tables
    Column("epoch", Integer, nullable=False),  # counts the nodes that became the active one
    Column("holder", Text, nullable=False),  # the name of the last that did
    Column("since", DOUBLE_PRECISION),  # when, in seconds since 1970; none once it has left its place in good order
    Column("folder", Text, nullable=False),  # the mark of the data folder that belongs to this journal
)  # fmt: skip


def connect(address: str) -> Engine:
    """Return an engine on the database; nothing is asked of it yet.

    Raises ConfigurationError if the address can't be read or psycopg is not installed.
    """
    try:
        url = make_url(address).set(drivername="postgresql+psycopg")
        engine = create_engine(
            _with_settings(url), pool_size=8, max_overflow=_THREADS - 8, pool_timeout=10, hide_parameters=True
        )
    except (ArgumentError, ValueError):
        raise ConfigurationError("node.journal: is no address; write postgresql+psycopg://USER@HOST/DATABASE") from None
    except ImportError as error:
        raise ConfigurationError(
            f"node.journal: PostgreSQL needs psycopg, which can't be loaded ({error});"
            " install it with: pip install 'dicomnode[postgresql]'"
        ) from None

    @event.listens_for(engine, "begin")
    def _take_turn(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", False):
            epoch = connection.exec_driver_sql("SELECT epoch FROM tenure FOR UPDATE").scalar_one()
            connection.info["epoch"] = epoch

    return engine


def epoch_of(connection: Connection) -> int:
    """Return the epoch that a writing transaction found when its turn came."""
    return int(connection.info["epoch"])


def _with_settings(url: URL) -> URL:
    """Return the address with what it does not say itself."""
    options = url.query.get("options", "")
    said = options if isinstance(options, str) else " ".join(options)
    return url.update_query_dict(
        {**_CLIENT_SETTINGS, **dict(url.query), "options": f"{_SERVER_SETTINGS} {said}".rstrip()}
    )


def prepare(engine: Engine) -> None:
    """Make the row that writers lock, where it is not there yet.

    Raises ConfigurationError if the database can't hold every letter of a name.
    """
    with engine.begin() as connection:
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise ConfigurationError(
                f"node.journal: the database is encoded in {encoding}; make it with ENCODING 'UTF8'"
            )
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PREPARING})")
        _own.create_all(connection)
        row: dict[str, Any] = {"id": 1, "version": 0, "epoch": 0, "holder": "", "folder": ""}
        connection.execute(insert_into(tenure).values(**row).on_conflict_do_nothing())
