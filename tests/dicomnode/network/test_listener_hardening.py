"""Silent, slow, strange and hostile peers keep no scanner out and cost no memory."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pynetdicom.dimse_primitives import C_FIND, N_EVENT_REPORT

from dicomnode.config import PeerSettings, TlsSettings
from dicomnode.errors import ConfigurationError
from dicomnode.network import admission, upper_layer
from dicomnode.network import listener as listener_module
from dicomnode.network.admission import HALF_OPEN_PER_HOST
from tests.dicomnode.network.helpers import (
    NM,
    Inbox,
    associated,
    association_request,
    certificates,
    connection,
    dataset_bytes,
    eventually,
    listening,
    nm_file,
    raw_association,
    read_pdu,
    store,
    storescu,
)

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def is_ended(sock: socket.socket) -> bool:
    """Tell whether the peer ends the connection, perhaps after an A-ABORT."""
    sock.settimeout(30)
    try:
        while sock.recv(65_536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def half_a_request(port: int) -> AbstractContextManager[socket.socket]:
    return connection(port, association_request()[:40])


@contextmanager
def half_a_data_pdu(port: int) -> Iterator[None]:
    with raw_association(port) as sock:
        sock.sendall(b"\x04\x00\x00\x00\x40\x00" + b"\0" * 100)
        yield


Silence = Callable[[int], AbstractContextManager[object]]


@pytest.mark.parametrize("silent", [connection, half_a_request, raw_association, half_a_data_pdu])
@pytest.mark.parametrize("max_associations", [4, 16])
def test_twelve_silent_clients_keep_no_scanner_out(
    silent: Callable[[int], AbstractContextManager[object]], max_associations: int
) -> None:
    inbox = Inbox()
    with listening(inbox, max_associations=max_associations) as listener, ExitStack() as clients:
        for _ in range(12):
            clients.enter_context(silent(listener.port))
        started = time.monotonic()
        with associated(listener.port) as scanner:
            assert store(scanner, nm_file(frames=64)).Status == 0x0000
        assert time.monotonic() - started < 20  # generous: this is about being served at all
    assert len(inbox.received) == 1


def test_of_sixty_silent_connections_only_the_newest_stay_and_no_scanner_is_kept_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "REQUEST_S", 600.0)  # none of them goes by itself
    inbox = Inbox()
    with listening(inbox) as listener, ExitStack() as clients:
        silent = [clients.enter_context(connection(listener.port)) for _ in range(60)]
        assert all(is_ended(sock) for sock in silent[: 60 - HALF_OPEN_PER_HOST])
        with associated(listener.port) as scanner:
            assert store(scanner, nm_file()).Status == 0x0000
    assert len(inbox.received) == 1


def test_an_association_that_is_sending_is_not_cut_to_make_room() -> None:
    inbox = Inbox()
    with listening(inbox, max_associations=2) as listener, ExitStack() as clients:
        clients.enter_context(raw_association(listener.port))
        with associated(listener.port) as scanner:
            for _ in range(3):
                clients.enter_context(raw_association(listener.port))  # each makes an older silent one leave
                assert store(scanner, nm_file()).Status == 0x0000
    assert len(inbox.received) == 3


@pytest.mark.parametrize(("pause_s", "stays"), [(30.0, True), (0.0, False)])
def test_a_camera_that_pauses_between_its_images_is_not_cut_to_make_room(
    monkeypatch: pytest.MonkeyPatch, pause_s: float, stays: bool
) -> None:
    monkeypatch.setattr(admission, "SILENT_S", 0.0)
    monkeypatch.setattr(admission, "BETWEEN_IMAGES_S", pause_s)
    monkeypatch.setattr(admission, "ROOM_S", 0.3 if stays else 20.0)
    inbox = Inbox()
    with listening(inbox, max_associations=1) as listener, associated(listener.port) as camera:
        assert store(camera, nm_file()).Status == 0x0000
        with connection(listener.port, association_request()) as newcomer:
            answer = read_pdu(newcomer)
            assert answer[0] == (0x03 if stays else 0x02)  # A-ASSOCIATE-RJ or -AC
            if stays:
                assert store(camera, nm_file()).Status == 0x0000
    assert len(inbox.received) == (2 if stays else 1)


@pytest.mark.parametrize(
    "first",
    [
        b"\x01\x00\xff\xff\xff\xff",  # the longest length there is
        b"\x01\x00\x18\x00\x00\x00",  # 400 MB
        b"\x04\x00\x00\x00\x00\x10" + b"\0" * 16,  # data before any request
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\x00\x00\x00\x04\xff\xff\xff\xff",  # a request of nothing
        b"",
    ],
)
def test_a_connection_that_begins_with_nonsense_is_ended(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "REQUEST_S", 0.5)
    inbox = Inbox()
    with listening(inbox) as listener, connection(listener.port, first) as sock:
        assert is_ended(sock)
        with associated(listener.port) as scanner:
            assert store(scanner, nm_file()).Status == 0x0000


def test_half_a_request_is_dropped_after_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upper_layer, "STALL_S", 0.3)
    with listening(Inbox()) as listener, connection(listener.port, association_request()[:40]) as sock:
        assert is_ended(sock)


def test_half_a_data_pdu_is_dropped_after_a_stall_and_its_slot_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upper_layer, "STALL_S", 0.3)
    inbox = Inbox()
    with listening(inbox) as listener, raw_association(listener.port) as sock:
        sock.sendall(b"\x04\x00\x00\x00\x40\x00" + b"\0" * 100)
        assert is_ended(sock)
        assert eventually(lambda: listener.open_associations == 0)
    assert len(inbox.closed) == 1


def test_a_pdu_that_drips_is_dropped_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upper_layer, "PDU_TIME_S", 0.5)
    with listening(Inbox()) as listener, connection(listener.port, b"\x01\x00\x00\x00\x40\x00") as sock:
        for _ in range(200):
            try:
                sock.sendall(b"\0")
            except OSError:
                return
            time.sleep(0.05)
    pytest.fail("still reading after 10 s")


def test_an_idle_association_is_aborted_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "IDLE_S", 0.3)
    inbox = Inbox()
    with listening(inbox) as listener, raw_association(listener.port) as sock:
        assert read_pdu(sock)[0] == 0x07  # A-ABORT
        assert is_ended(sock)
        assert eventually(lambda: len(inbox.closed) == 1)


def test_a_data_pdu_beyond_what_we_asked_for_is_refused_before_it_is_read() -> None:
    inbox = Inbox()
    with listening(inbox) as listener, raw_association(listener.port) as sock:
        sent, chunk = 0, b"\0" * 1_000_000
        try:
            sock.sendall(b"\x04\x00" + (400_000_000).to_bytes(4))
            while sent < 400_000_000:
                sock.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
        assert sent < 40_000_000  # what the sockets' buffers hold
        assert eventually(lambda: listener.open_associations == 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\x00\x00",
        b"\x00\x00\x00\x01\x01",  # an item without control byte
        b"\x00\x00\xff\xff\x01\x03\x00\x00",  # an item longer than its PDU
        b"\x00\x00\x00\x0a\x01\x03" + b"\xff" * 8,  # a command that can't be read
        b"\x00\x00\x00\x06\x01\x02" + b"\0" * 4,  # data without a command
    ],
)
def test_malformed_data_ends_only_its_own_association(body: bytes) -> None:
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as scanner, raw_association(listener.port) as sock:
        sock.sendall(b"\x04\x00" + len(body).to_bytes(4) + body)
        assert is_ended(sock)
        assert store(scanner, nm_file()).Status == 0x0000
    assert len(inbox.received) == 1


def test_a_command_without_end_ends_its_association() -> None:
    with listening(Inbox()) as listener, raw_association(listener.port) as sock:
        item = b"\x01\x01" + b"\0" * 60_000  # a command fragment, never the last
        pdu = (len(item)).to_bytes(4) + item
        try:
            for _ in range(1_000):
                sock.sendall(b"\x04\x00" + len(pdu).to_bytes(4) + pdu)
        except OSError:
            return
    pytest.fail("60 MB of one command were taken")


def test_an_instance_larger_than_any_camera_makes_is_refused_without_being_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upper_layer, "LARGEST_DATASET", 100_000)
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as scanner:
        assert store(scanner, nm_file(frames=640)).Status == 0xA700
        small = nm_file()
        assert store(scanner, small).Status == 0x0000
    assert [dataset_bytes(instance.file_bytes) for instance in inbox.received] == [dataset_bytes(small)]


@pytest.mark.parametrize("request_type", [C_FIND, N_EVENT_REPORT])
def test_a_service_that_is_not_offered_ends_the_association_of_who_asks(request_type: type) -> None:
    request = request_type()
    request.MessageID, request.AffectedSOPClassUID = 1, NM
    if request_type is C_FIND:
        request.Priority, request.Identifier = 0, BytesIO(b"\x08\0\x52\0CS\0\0")
    else:
        request.AffectedSOPInstanceUID, request.EventTypeID = "1.2.3", 1
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as curious, associated(listener.port) as scanner:
        curious.dimse.send_msg(request, curious.accepted_contexts[0].context_id)
        assert eventually(lambda: curious.is_aborted)
        assert store(scanner, nm_file()).Status == 0x0000


def test_the_listener_serves_on_ipv6() -> None:
    with listening(Inbox(), host="::1", require_known_peers=False) as listener:
        try:
            sock = socket.create_connection(("::1", listener.port), timeout=30)
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        with sock:
            sock.sendall(association_request())
            assert read_pdu(sock)[:1] == b"\x02"


def test_control_characters_of_a_peer_reach_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    request = association_request("EVIL").replace(b"EVIL  ", b"EV\n\x1b[m")
    with listening(Inbox()) as listener, connection(listener.port, request) as sock:
        assert is_ended(sock)
    output = "".join(capsys.readouterr())
    assert "\x1b[mEV" not in output
    assert "EV\n" not in output


def test_connections_that_come_and_go_leave_no_threads_behind() -> None:
    before = threading.active_count()
    with listening(Inbox()) as listener:
        for _ in range(100):
            with connection(listener.port):
                pass
        assert eventually(lambda: threading.active_count() <= before + 1)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return certificates(tmp_path_factory.mktemp("ca"))


def tls_client(tls: TlsSettings, with_certificate: bool = True) -> ssl.SSLContext:
    """Return the context of a peer that trusts the same CA."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.check_hostname = False
    if with_certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return context


def associates(port: int, context: ssl.SSLContext) -> bool:
    """Tell whether a peer gets an Association through this TLS context."""
    try:
        with connection(port) as plain, context.wrap_socket(plain) as sock:
            sock.sendall(association_request())
            return read_pdu(sock)[:1] == b"\x02"
    except OSError:
        return False


def test_a_silent_client_on_the_tls_port_blocks_nobody(tls: TlsSettings) -> None:
    with listening(Inbox(), tls=tls) as listener, ExitStack() as clients:
        for _ in range(12):
            clients.enter_context(connection(listener.port))
        assert associates(listener.port, tls_client(tls))


def test_under_tls_only_a_peer_with_a_certificate_of_our_ca_is_heard(tls: TlsSettings, tmp_path: Path) -> None:
    stranger = certificates(tmp_path)
    context = tls_client(tls, with_certificate=False)
    context.load_cert_chain(stranger.certificate, stranger.key)
    with listening(Inbox(), tls=tls) as listener:
        assert not associates(listener.port, tls_client(tls, with_certificate=False))
        assert not associates(listener.port, context)
        with connection(listener.port, association_request()) as plain:
            assert is_ended(plain)
        assert associates(listener.port, tls_client(tls))


def test_a_certificate_is_not_asked_for_where_the_configuration_says_so(tls: TlsSettings) -> None:
    lenient = tls.model_copy(update={"require_peer_certificate": False})
    with listening(Inbox(), tls=lenient) as listener:
        assert associates(listener.port, tls_client(tls, with_certificate=False))


def test_ciphers_without_forward_secrecy_or_authentication_are_refused(tls: TlsSettings) -> None:
    weak = tls_client(tls)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE-RSA-AES128-SHA256:AES128-GCM-SHA256")
    strong = tls_client(tls)
    strong.maximum_version = ssl.TLSVersion.TLSv1_2
    with listening(Inbox(), tls=tls) as listener:
        assert not associates(listener.port, weak)
        assert associates(listener.port, strong)


@pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
def test_dcmtk_sends_under_tls(tls: TlsSettings, tmp_path: Path) -> None:
    (tmp_path / "nm.dcm").write_bytes(nm_file(frames=64))
    inbox = Inbox()
    options = ("+tls", str(tls.key), str(tls.certificate), "+cf", str(tls.ca))
    with listening(inbox, tls=tls) as listener:
        sent = storescu(listener.port, tmp_path / "nm.dcm", options=options)
        assert sent.returncode == 0, sent.stderr
    assert len(inbox.received) == 1


def test_a_full_house_of_silent_tls_associations_makes_room(tls: TlsSettings) -> None:
    with listening(Inbox(), tls=tls, max_associations=2) as listener, ExitStack() as clients:
        for _ in range(2):
            plain = clients.enter_context(connection(listener.port))
            silent = clients.enter_context(tls_client(tls).wrap_socket(plain))
            silent.sendall(association_request())
            assert read_pdu(silent)[:1] == b"\x02"
        assert associates(listener.port, tls_client(tls))


@pytest.mark.parametrize("key", ["certificate", "key", "ca"])
def test_a_missing_or_unusable_tls_file_is_named(key: str, tls: TlsSettings, tmp_path: Path) -> None:
    (tmp_path / "nonsense.pem").write_text("nonsense")
    for path in (tmp_path / "absent.pem", tmp_path / "nonsense.pem"):
        broken = tls.model_copy(update={key: path})
        with pytest.raises(ConfigurationError, match=r"tls\." + key), listening(Inbox(), tls=broken):
            pass


def test_a_known_peer_is_looked_up_under_its_mapped_address_too() -> None:
    peer = PeerSettings(name="scanner", ae_title="SPECT1", host="::ffff:127.0.0.1")
    with listening(Inbox(), peers=(peer,)) as listener, associated(listener.port) as assoc:
        assert assoc.is_established
