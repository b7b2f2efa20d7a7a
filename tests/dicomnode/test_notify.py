"""Notices reach a mail server and a webhook as they are; a server that is away is a fault that passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.config import MailSettings, NotifySettings
from dicomnode.errors import TransientFault
from dicomnode.notify import Notice, open_channels
from tests.peers.mailbox import mailbox, webhook
from tests.peers.process import HOST, free_port

NOTICE = Notice("held", "1 study HELD", "2026-03-02 12:00:00 UTC  HELD  1.2\n    no counts\n", ("1.2",))


def mail(port: int) -> MailSettings:
    return MailSettings(host=HOST, port=port, starttls=False, sender="node@hospital.test", to=("it@hospital.test",))


def test_without_mail_and_webhook_nobody_is_told() -> None:
    assert open_channels(NotifySettings(), "DICOMNODE") is None


def test_a_notice_goes_to_mail_and_webhook_alike() -> None:
    with mailbox() as (mail_port, mails), webhook() as (hook_port, bodies):
        settings = NotifySettings(mail=mail(mail_port), webhook=f"http://{HOST}:{hook_port}/")
        tell = open_channels(settings, "DICOMNODE")
        assert tell is not None
        tell(NOTICE)
    assert "Subject: [DICOMNODE] 1 study HELD" in mails[0]
    assert "no counts" in mails[0]
    assert bodies == [
        {"node": "DICOMNODE", "occasion": "held", "subject": NOTICE.subject, "text": NOTICE.text, "studies": ["1.2"]}
    ]


def test_a_mail_server_that_is_away_is_a_fault_that_passes() -> None:
    tell = open_channels(NotifySettings(mail=mail(free_port())), "DICOMNODE")
    assert tell is not None
    with pytest.raises(TransientFault, match="ConnectionRefusedError"):
        tell(NOTICE)


def test_a_password_file_that_is_away_is_a_fault_that_passes(tmp_path: Path) -> None:
    with mailbox() as (port, _mails):
        settings = mail(port).model_copy(update={"user": "node", "password_file": tmp_path / "nowhere"})
        tell = open_channels(NotifySettings(mail=settings), "DICOMNODE")
        assert tell is not None
        with pytest.raises(TransientFault, match="FileNotFoundError"):
            tell(NOTICE)
