"""Where audit messages go, and that none is thought written that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.audit.sinks import open_sinks
from dicomnode.config import AuditSettings
from dicomnode.errors import TransientFault
from tests.fakes import NOON
from tests.peers.mailbox import syslog
from tests.peers.process import eventually


def test_without_a_place_there_is_no_trail() -> None:
    assert open_sinks(AuditSettings()) is None


def test_a_file_gets_one_message_a_line_and_may_be_taken_away_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    write = open_sinks(AuditSettings(file=path))
    assert write is not None
    write("<one/>", NOON)
    path.rename(tmp_path / "audit.log.1")
    write("<two/>", NOON)
    assert path.read_text() == "<two/>\n"
    assert (tmp_path / "audit.log.1").read_text() == "<one/>\n"


def test_a_syslog_server_gets_it_in_the_form_of_rfc_5424() -> None:
    with syslog() as (port, kept):
        write = open_sinks(AuditSettings(syslog=f"udp://127.0.0.1:{port}"))
        assert write is not None
        write("<one/>", NOON)
        (line,) = eventually(lambda: list(kept), "a syslog message")
    assert line.startswith("<85>1 2026-03-02T12:00:00+00:00 ")
    assert line.endswith(" DICOM+RFC3881 - \ufeff<one/>")


def test_a_place_that_is_away_is_a_fault_that_passes(tmp_path: Path) -> None:
    write = open_sinks(AuditSettings(file=tmp_path / "nowhere" / "audit.log"))
    assert write is not None
    with pytest.raises(TransientFault, match="No such file"):
        write("<one/>", NOON)
