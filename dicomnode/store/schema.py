"""The journal's tables, and how the database is opened so that what was committed survives a power cut."""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Dialect,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
)  # fmt: skip
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from dicomnode.store import postgres
from dicomnode.store.faults import faults, whole
from dicomnode.store.migrations import bring_up


class UtcTime(TypeDecorator[datetime]):
    """A moment, stored as seconds since 1970 so that every database compares it alike."""

    impl = Float(53)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> float | None:
        """Return the seconds of an aware datetime."""
        return None if value is None else value.timestamp()

    def process_result_value(self, value: float | None, dialect: Any) -> datetime | None:
        """Return the aware datetime (UTC) of stored seconds."""
        return None if value is None else datetime.fromtimestamp(value, UTC)


class Words(TypeDecorator[str]):
    """Text, of at most `length` letters if that is given; only SQLite is told, which takes longer ones all the same.

    PostgreSQL can't hold the letter NUL, which a peer's comment may.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column."""
        length = None if dialect.name == "postgresql" else self.length
        return dialect.type_descriptor(Text() if length is None else String(length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as the database can hold it."""
        if value is None or dialect.name != "postgresql":
            return value
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


metadata = MetaData()

studies = Table(
    "studies", metadata,
    Column("study_instance_uid", Words(64), primary_key=True),
    Column("state", Words(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", Words(), nullable=False),
    Column("calling_ae_title", Words(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("last_instance_at", UtcTime, nullable=False),
    Column("next_at", UtcTime),  # when a stage should look again
    Column("attempts", Integer, nullable=False, default=0),  # counted when an attempt starts
    Column("claim", Words(32)),  # the fence: only who holds it may commit the attempt
    Column("lease_until", UtcTime),
    Column("rule", Words()),
    Column("pipeline", Words(64)),
    Column("options", JSON, nullable=False, default=dict),
    Column("destinations", JSON, nullable=False, default=list),
    Column("sources", JSON, nullable=False, default=list),
    Column("priority", Integer, nullable=False, default=0),
    Index("studies_by_state", "state", "next_at"),
    Index("studies_by_arrival", "created_at"),  # the page shows the newest
)  # fmt: skip

instances = Table(
    "instances", metadata,
    Column("sop_instance_uid", Words(64), primary_key=True),
    Column("sha256", Words(64), primary_key=True),  # of the dataset as received; a conflicting copy has its own row
    Column("kept", Boolean, nullable=False),  # False: came under a UID that was taken by other content
    Column("study_instance_uid", Words(64), ForeignKey("studies.study_instance_uid"), nullable=False),
    Column("series_instance_uid", Words(64), nullable=False),
    Column("sop_class_uid", Words(64), nullable=False),
    Column("transfer_syntax_uid", Words(64), nullable=False),
    Column("content", Words(32), nullable=False),
    Column("flaw", Words()),
    Column("attributes", JSON, nullable=False),
    Column("path", Words(), nullable=False, unique=True),
    Column("size_bytes", Integer, nullable=False),
    Column("calling_ae_title", Words(16), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("purged_at", UtcTime),
    Column("promised_at", UtcTime),  # when we promised a scanner to keep it
    Index("instances_by_study", "study_instance_uid"),
)  # fmt: skip

moves = Table(
    "moves", metadata,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", Words(64), ForeignKey("studies.study_instance_uid"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("event", Words(20), nullable=False),
    Column("from_state", Words(16)),
    Column("to_state", Words(16), nullable=False),
    Column("reason", Words(), nullable=False),
    Column("actor", Words(64), nullable=False),
    Index("moves_by_study", "study_instance_uid"),
)  # fmt: skip

derived = Table(
    "derived", metadata,
    Column("sop_instance_uid", Words(64), primary_key=True),
    Column("study_instance_uid", Words(64), ForeignKey("studies.study_instance_uid"), nullable=False),
    Column("series_instance_uid", Words(64), nullable=False),
    Column("sop_class_uid", Words(64), nullable=False),
    Column("kind", Words(64), nullable=False),
    Column("derivation_key", Words(64), nullable=False),
    Column("path", Words(), nullable=False),
    Column("sha256", Words(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("purged_at", UtcTime),
    Index("derived_by_study", "study_instance_uid"),
    Index("derived_by_key", "derivation_key"),
)  # fmt: skip

deliveries = Table(
    "deliveries", metadata,
    Column("sop_instance_uid", Words(64), ForeignKey("derived.sop_instance_uid"), primary_key=True),
    Column("destination", Words(64), primary_key=True),
    Column("study_instance_uid", Words(64), ForeignKey("studies.study_instance_uid"), nullable=False),
    Column("state", Words(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", UtcTime, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("status", Integer),
    Column("message", Words(), nullable=False, default=""),
    Column("transaction_uid", Words(64)),  # of the last request for commitment
    Column("asks", Integer, nullable=False, default=0, server_default="0"),
    Column("resends", Integer, nullable=False, default=0, server_default="0"),
    Column("committed_at", UtcTime),
    Index("deliveries_due", "destination", "state", "next_at"),
    Index("deliveries_by_study", "study_instance_uid"),
    Index("deliveries_sent", "destination", "sent_at"),  # the page shows the last success
)  # fmt: skip

# how far somebody has followed the moves: the audit trail, the notifications
readers = Table(
    "readers", metadata,
    Column("name", Words(32), primary_key=True),
    Column("position", Integer, nullable=False),  # id of the last move that was followed
)  # fmt: skip

# our requests for commitment: a report counts only if it names one of these
commitments = Table(
    "commitments", metadata,
    Column("transaction_uid", Words(64), primary_key=True),
    Column("destination", Words(64), nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("reported_at", UtcTime),
)  # fmt: skip

# what scanners asked us to keep
promises = Table(
    "promises", metadata,
    Column("peer", Words(64), primary_key=True),
    Column("transaction_uid", Words(64), primary_key=True),
    Column("wanted", JSON, nullable=False),  # [SOP Class UID, SOP Instance UID] each
    Column("state", Words(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("asked_at", UtcTime, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("reported_at", UtcTime),
    Column("message", Words(), nullable=False, default=""),
    Index("promises_due", "state", "next_at"),
)  # fmt: skip

# what is fetched for a study that waits for it
fetches = Table(
    "fetches", metadata,
    Column("study_instance_uid", Words(64), ForeignKey("studies.study_instance_uid"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("need", Words(16), primary_key=True),
    Column("rule", Words(), nullable=False),
    Column("source", Words(64), nullable=False),
    Column("state", Words(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", UtcTime, nullable=False),
    Column("begun_at", UtcTime),
    Column("companion", Words(64)),  # the other study of the patient that it was found in
    Column("message", Words(), nullable=False, default=""),
    Index("fetches_due", "state", "next_at"),
    Index("fetches_by_companion", "companion"),
)  # fmt: skip

# SQLite before 3.51.3 can corrupt a write-ahead log when it is reset; the rollback journal has no such fault.
_SAFE_WAL = (3, 51, 3)


def open_database(where: Path | str) -> Engine:
    """Open (and create) the journal, a SQLite file or the address of a PostgreSQL database; an older one is brought up.

    Raises ConfigurationError if a newer version of this program wrote it, TransientFault if it can't be reached.
    """
    engine = connect(where)
    with faults(), nullcontext() if isinstance(where, str) else whole(where):
        bring_up(engine, metadata, where)
    return engine


def connect(where: Path | str) -> Engine:
    """Return an engine on the database by which a commit is on the disk when it returns.

    Raises ConfigurationError if an address can't be used.
    """
    return postgres.connect(where) if isinstance(where, str) else _connect_file(where)


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that may say what is done with a row that is there already."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _connect_file(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 10.0, "check_same_thread": False})
    # PERSIST overwrites its journal in place, which costs fewer flushes than TRUNCATE and is as durable: with
    # synchronous=FULL the end of a transaction is flushed too, which DELETE leaves out (sqlite.org/pragma.html)
    mode = "WAL" if sqlite3.sqlite_version_info >= _SAFE_WAL else "PERSIST"

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        for pragma in (
            f"journal_mode={mode}",
            "synchronous=FULL",
            "busy_timeout=10000",
            "foreign_keys=ON",
            "journal_size_limit=4194304",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
