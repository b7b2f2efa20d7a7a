"""Who may associate: AE title, address, and the user where one is configured."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification

from dicomnode.config import Config, NodeSettings, PeerSettings
from dicomnode.network.admission import Guest, Rejection, RejectionLog, rejection
from tests.dicomnode.network.helpers import Inbox, listening, nm_file, storescu
from tests.peers.turns import steady

NAMED = PeerSettings.model_validate(
    {"name": "camera", "ae_title": "SPECT1", "user": "camera-1", "password": "s3cret"}
)  # fmt: skip


def an_identity(user: str, password: str | None) -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type = 1 if password is None else 2
    item.primary_field = user.encode()
    if password is not None:
        item.secondary_field = password.encode()
    return item


def is_welcome(peer: PeerSettings, *identity: UserIdentityNegotiation, **node: object) -> bool:
    with listening(Inbox(), peers=(peer,), **node) as listener:
        ae = AE("SPECT1")
        ae.add_requested_context(Verification)
        assoc = steady(ae.associate("127.0.0.1", listener.port, ae_title="DICOMNODE", ext_neg=list(identity)))
        if not assoc.is_established:
            return False
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        return True


@pytest.mark.parametrize(
    ("identity", "welcome"),
    [
        ((), False),
        ((an_identity("camera-1", None),), False),
        ((an_identity("camera-1", "wrong"),), False),
        ((an_identity("camera-2", "s3cret"),), False),
        ((an_identity("camera-1", "s3cret"),), True),
    ],
)
def test_a_peer_with_a_user_must_say_who_it_is(identity: tuple[UserIdentityNegotiation, ...], welcome: bool) -> None:
    assert is_welcome(NAMED, *identity) is welcome
    assert is_welcome(NAMED, *identity, require_known_peers=False) is welcome


@pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
def test_dcmtk_is_let_in_with_its_password_only(tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(nm_file())
    inbox = Inbox()
    with listening(inbox, peers=(NAMED,)) as listener:
        assert storescu(listener.port, file, options=("-usr", "camera-1", "-pwd", "wrong")).returncode != 0
        assert inbox.received == []
        assert storescu(listener.port, file, options=("-usr", "camera-1", "-pwd", "s3cret")).returncode == 0
    assert len(inbox.received) == 1


@pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
@pytest.mark.parametrize("password", ["s3cret", None])
def test_dcmtk_is_told_that_its_user_is_right_where_it_asks_for_that(password: str | None, tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(nm_file())
    inbox, peer = Inbox(), NAMED if password else PeerSettings(name="camera", ae_title="SPECT1", user="camera-1")
    identity = ("-usr", "camera-1", *(("-pwd", password) if password else ()), "-rsp")
    with listening(inbox, peers=(peer,)) as listener:
        done = storescu(listener.port, file, options=identity)
    assert done.returncode == 0, done.stderr
    assert len(inbox.received) == 1


def test_an_identity_that_nobody_checked_is_not_confirmed() -> None:
    asked = an_identity("whoever", "whatever")
    asked.positive_response_requested = True
    with listening(Inbox(), peers=(PeerSettings(name="camera", ae_title="SPECT1"),)) as listener:
        ae = AE("SPECT1")
        ae.add_requested_context(Verification)
        assoc = steady(ae.associate("127.0.0.1", listener.port, ae_title="DICOMNODE", ext_neg=[asked]))
        assert assoc.is_established
        assert assoc.acceptor.user_identity is None
        assoc.release()


def test_the_user_of_any_other_peer_is_ignored() -> None:
    assert is_welcome(PeerSettings(name="camera", ae_title="SPECT1"), an_identity("whoever", "whatever"))


def test_a_user_name_alone_is_enough_where_no_password_is_configured() -> None:
    peer = PeerSettings(name="camera", ae_title="SPECT1", user="camera-1")
    assert is_welcome(peer, an_identity("camera-1", None))


def test_an_ae_title_that_needs_a_user_can_not_be_taken_from_another_address() -> None:
    peer = NAMED.model_copy(update={"host": "10.0.0.5"})
    guest = Guest("SPECT1", "DICOMNODE", "10.0.0.6")
    assert (
        rejection(guest, NodeSettings(require_known_peers=False), [peer]) is Rejection.CALLING_AE_TITLE_NOT_RECOGNIZED
    )


def test_no_password_is_ever_shown() -> None:
    assert "s3cret" not in repr(Guest("A", "B", "127.0.0.1", "camera-1", "s3cret"))
    assert "s3cret" not in repr(NAMED)
    assert "s3cret" not in str(Config(peers=(NAMED,)).model_dump(mode="json"))


def test_destinations_that_come_to_us_by_themselves_are_known_peers() -> None:
    tables = [
        {"name": name, "ae_title": name.upper(), "host": "10.0.0.9", "port": 104, **more}
        for name, more in (("plain", {}), ("commits", {"storage_commitment": True}), ("source", {}))
    ]
    rule = {
        "name": "hybrid", "pipeline": "reconstruction", "needs": ["projections", "ct"], "destinations": ["plain"],
        "fetch": [{"need": "ct", "source": "source"}],
    }  # fmt: skip
    config = Config.model_validate({"destinations": tables, "rules": [rule]})
    assert {peer.ae_title for peer in config.known_peers} == {"COMMITS", "SOURCE"}
    assert {peer.host for peer in config.known_peers} == {"10.0.0.9"}


def test_a_peer_that_is_rejected_again_and_again_is_told_of_once_a_minute_with_the_number() -> None:
    log, reason = RejectionLog(60.0), Rejection.CALLING_AE_TITLE_NOT_RECOGNIZED
    stranger, other = Guest("X", "DICOMNODE", "10.0.0.6"), Guest("Y", "DICOMNODE", "10.0.0.6")
    assert [log.times(stranger, reason, now_s) for now_s in (0, 1, 2, 59, 61, 62)] == [1, 0, 0, 0, 4, 0]
    assert log.times(other, reason, 3) == 1
    assert log.times(stranger, Rejection.LOCAL_LIMIT_EXCEEDED, 3) == 1
