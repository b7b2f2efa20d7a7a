"""A new version starts on the journal of an older one, with studies on their way: they arrive, once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pydicom import dcmread

from tests.conftest import Start, StartNode
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.studies import StudyUids, small_tomo, write

ADDED = {"deliveries": ("transaction_uid", "asks", "resends", "committed_at"), "instances": ("promised_at",)}


def make_older(journal: Path) -> None:
    """Take from a journal what the first version did not have."""
    with closing(sqlite3.connect(journal)) as connection, connection:
        for index in ("studies_by_arrival", "deliveries_sent"):
            connection.execute(f"DROP INDEX {index}")
        for table in ("readers", "commitments", "promises", "fetches"):
            connection.execute(f"DROP TABLE {table}")
        for table, columns in ADDED.items():
            for column in columns:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 0")


def tried(node: Node, uids: StudyUids) -> bool:
    return any(delivery["attempts"] for delivery in node.show(uids.study)["deliveries"])


def test_what_waits_for_a_destination_while_the_version_changes_is_sent_once_after_it(
    start: Start, start_node: StartNode, tmp_path: Path
) -> None:
    archive = dcmtk.StoreSCP(tmp_path / "archive")
    node = start_node(Settings(destinations=[destination(archive.port, "STORESCP")]))
    uids = StudyUids.from_seed("upgrade", tmp_path)
    assert dcmtk.store(node.port, [write(small_tomo(uids), tmp_path / "a.dcm")]).accepted
    node.wait_for(uids.study, "DELIVERING")
    node.wait_until(lambda: tried(node, uids), "a first attempt to send")
    assert node.stop() == 0
    make_older(node.data_dir / "journal.sqlite")
    start(archive)
    node.start()
    node.wait_for(uids.study, "DELIVERED")
    received = sorted(str(dcmread(path).SOPInstanceUID) for path in archive.received.iterdir())
    assert received == node.derived(uids.study) != []
