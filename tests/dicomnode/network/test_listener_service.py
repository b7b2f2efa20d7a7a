"""The listener answers scanners: who may associate, what arrives, and which status the scanner sees."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from pynetdicom.dimse_primitives import C_STORE

from dicomnode.config import NodeSettings, PeerSettings
from dicomnode.errors import ConfigurationError, InstanceRejected, StoreStatus, TransientFault
from dicomnode.network.admission import Guest, Rejection
from dicomnode.network.listener import Listener
from dicomnode.study import ReceivedInstance
from tests.dicomnode.network.helpers import (
    NM,
    Inbox,
    associated,
    association_request,
    connection,
    dataset_bytes,
    eventually,
    free_port,
    in_background,
    listening,
    nm_file,
    read_pdu,
    sop_instance_uid,
    store,
    storescu,
)

REALDATA = Path(__file__).parents[4] / "shared" / "realdata"
needs_dcmtk = pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")


@needs_dcmtk
def test_a_c_echo_of_dcmtk_is_answered() -> None:
    with listening(Inbox()) as listener:
        command = ["echoscu", "-aet", "SPECT1", "-aec", "DICOMNODE", "127.0.0.1", str(listener.port)]
        assert subprocess.run(command, timeout=30, check=False).returncode == 0


@needs_dcmtk
def test_a_study_sent_by_dcmtk_arrives_instance_by_instance(tmp_path: Path) -> None:
    inbox = Inbox()
    files = {sop_instance_uid(file): file for file in (nm_file() for _ in range(5))}
    for uid, file in files.items():
        (tmp_path / uid).write_bytes(file)
    with listening(inbox) as listener:
        sent = storescu(listener.port, *(tmp_path / uid for uid in files))
        assert sent.returncode == 0, sent.stderr
        assert eventually(lambda: len(inbox.closed) == 1)
    assert [instance.sop_instance_uid for instance in inbox.received] == list(files)
    assert {instance.association for instance in inbox.received} == set(inbox.closed)
    for instance in inbox.received:
        assert (
            dcmread(BytesIO(instance.file_bytes)).PixelData
            == dcmread(BytesIO(files[instance.sop_instance_uid])).PixelData
        )


@needs_dcmtk
def test_a_real_compressed_camera_file_is_kept_as_it_came() -> None:
    file = REALDATA / "nema_wholebody_jpeg_lossless.dcm"
    if not file.exists():
        pytest.skip(f"the public camera files are not at {REALDATA}")
    inbox = Inbox()
    with listening(inbox) as listener:
        sent = storescu(listener.port, file, options=("-xs",))
        assert sent.returncode == 0, sent.stderr
    assert dcmread(BytesIO(inbox.received[0].file_bytes)).PixelData == dcmread(file).PixelData


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
def test_a_dataset_arrives_byte_for_byte_behind_a_proper_file_meta(transfer_syntax: UID) -> None:
    inbox = Inbox()
    file = nm_file(transfer_syntax, frames=40)
    with listening(inbox) as listener, associated(listener.port, transfer_syntax=transfer_syntax) as assoc:
        assert store(assoc, file).Status == 0x0000
    (received,) = inbox.received
    assert dataset_bytes(received.file_bytes) == dataset_bytes(file)
    meta = dcmread(BytesIO(received.file_bytes)).file_meta
    assert meta.TransferSyntaxUID == received.transfer_syntax_uid == transfer_syntax
    assert meta.MediaStorageSOPClassUID == received.sop_class_uid == NM
    assert meta.MediaStorageSOPInstanceUID == received.sop_instance_uid == sop_instance_uid(file)
    assert meta.SourceApplicationEntityTitle == received.calling_ae_title == "SPECT1"
    assert received.peer_host == "127.0.0.1"


@pytest.mark.skipif(shutil.which("dcmftest") is None, reason="dcmtk is not installed")
def test_dcmtk_reads_the_file_meta_of_what_was_received(tmp_path: Path) -> None:
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as assoc:
        store(assoc, nm_file())
    path = tmp_path / "received.dcm"
    path.write_bytes(inbox.received[0].file_bytes)
    dump = subprocess.run(["dcmdump", "-q", path], capture_output=True, text=True, timeout=30, check=True)
    assert "0002,0016) AE [SPECT1]" in dump.stdout
    assert "warning" not in dump.stderr.lower()


def test_bytes_that_no_reader_would_write_again_arrive_unchanged() -> None:
    strange = nm_file() + b"\xfc\xff\xfc\xffOB\0\0\x03\0\0\0\0\0\0"  # trailing padding of odd length
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as assoc:
        assert store(assoc, strange, sop_instance_uid="1.2.03").Status == 0x0000
    assert dataset_bytes(inbox.received[0].file_bytes) == dataset_bytes(strange)


@pytest.mark.parametrize(
    ("ae_title", "called", "diagnostic"),
    [
        ("STRANGER", "DICOMNODE", 0x03),
        ("spect1", "DICOMNODE", 0x03),
        ("SPECT1", "OTHER", 0x07),
        ("SPECT1", "dicomnode", 0x07),
    ],
)
def test_a_stranger_or_a_wrong_address_is_rejected_for_good_with_the_reason(
    ae_title: str, called: str, diagnostic: int
) -> None:
    inbox = Inbox()
    with listening(inbox) as listener, connection(listener.port, association_request(ae_title, called)) as sock:
        assert read_pdu(sock) == b"\x03\0\0\0\0\x04\0" + bytes((0x01, 0x01, diagnostic))  # A-ASSOCIATE-RJ
        assert listener.open_associations == 0
    assert inbox.closed == []


def test_who_is_rejected_again_and_again_is_told_of_once_a_minute() -> None:
    told: list[tuple[str, Rejection, int]] = []

    def rejected(guest: Guest, reason: Rejection, times: int) -> None:
        told.append((guest.calling_ae_title, reason, times))

    with listening(Inbox(), rejected=rejected) as listener:
        for _ in range(2):
            with connection(listener.port, association_request("STRANGER", "DICOMNODE")) as sock:
                read_pdu(sock)
    assert told == [("STRANGER", Rejection.CALLING_AE_TITLE_NOT_RECOGNIZED, 1)]


@pytest.mark.parametrize(
    ("host", "welcome"), [("127.0.0.1", True), ("localhost", True), ("10.0.0.5", False), ("no.such.invalid", False)]
)
def test_a_known_ae_title_must_come_from_its_host(host: str, welcome: bool) -> None:
    peer = PeerSettings(name="scanner", ae_title="SPECT1", host=host)
    with listening(Inbox(), peers=(peer,)) as listener, associated(listener.port) as assoc:
        assert assoc.is_established == welcome


def test_strangers_are_welcome_where_the_configuration_says_so() -> None:
    inbox = Inbox()
    with listening(inbox, require_known_peers=False) as listener, associated(listener.port, "STRANGER") as assoc:
        assert store(assoc, nm_file()).Status == 0x0000
    assert inbox.received[0].calling_ae_title == "STRANGER"


@pytest.mark.parametrize(
    ("error", "status", "comment"),
    [
        (
            InstanceRejected(StoreStatus.OUT_OF_RESOURCES, "no room on the spool's disk"),
            0xA700,
            "no room on the spool's disk",
        ),
        (InstanceRejected(StoreStatus.DOES_NOT_MATCH_SOP_CLASS, "x" * 99), 0xA900, "x" * 64),
        (InstanceRejected(StoreStatus.CANNOT_UNDERSTAND, "Größe"), 0xC000, "Gr??e"),
        (OSError(28, "No space left on device"), 0xA700, "the instance could not be kept; try again"),
        (TransientFault("journal is busy"), 0xA700, "the instance could not be kept; try again"),
        (KeyError("Doe^John"), 0xC000, "internal error"),
    ],
)
def test_an_instance_that_is_not_kept_is_never_called_a_success(error: Exception, status: int, comment: str) -> None:
    def refuse(instance: ReceivedInstance) -> None:
        raise error

    with listening(Inbox(), receive=refuse) as listener, associated(listener.port) as assoc:
        response = store(assoc, nm_file())
        assert (response.Status, response.ErrorComment) == (status, comment)
        assert store(assoc, nm_file()).Status == status  # the Association goes on


@needs_dcmtk
def test_dcmtk_shows_the_status_of_a_refusal(tmp_path: Path) -> None:
    def refuse(instance: ReceivedInstance) -> None:
        raise InstanceRejected(StoreStatus.OUT_OF_RESOURCES, "no room")

    (tmp_path / "nm.dcm").write_bytes(nm_file())
    with listening(Inbox(), receive=refuse) as listener:
        sent = storescu(listener.port, tmp_path / "nm.dcm", options=("-d",))
    assert "a700" in (sent.stdout + sent.stderr).lower()


def test_the_log_of_a_failure_holds_no_text_of_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(instance: ReceivedInstance) -> None:
        raise ValueError("Doe^John 19450301")

    with listening(Inbox(), receive=fail) as listener, associated(listener.port) as assoc:
        store(assoc, nm_file())
    output = "".join(capsys.readouterr())
    assert "ValueError" in output
    assert "Doe" not in output


def test_the_response_waits_until_the_instance_is_safe() -> None:
    arrived, safe = threading.Event(), threading.Event()
    responses: list[C_STORE | None] = []

    def receive(instance: ReceivedInstance) -> None:
        arrived.set()
        assert safe.wait(30)

    with listening(Inbox(), receive=receive) as listener, associated(listener.port) as assoc:
        sender = in_background(lambda: responses.append(store(assoc, nm_file())))
        assert arrived.wait(30)
        sender.join(0.3)
        assert not responses
        safe.set()
        sender.join(30)
        assert responses[0].Status == 0x0000


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2"}, 0xA900),
        ({"sop_instance_uid": "../../etc/passwd"}, 0xC000),
    ],
)
def test_a_command_that_contradicts_itself_is_refused_before_anything_is_kept(
    command: dict[str, str], status: int
) -> None:
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as assoc:
        assert store(assoc, nm_file(), **command).Status == status
    assert inbox.received == []


def test_a_c_store_without_dataset_is_answered() -> None:
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as assoc:
        assert store(assoc, b"", sop_instance_uid="1.2.3").Status == 0xC000
    assert inbox.received == []


def test_an_abort_in_the_middle_of_an_instance_hands_nothing_over_and_frees_the_slot() -> None:
    inbox = Inbox()
    with listening(inbox) as listener:
        with associated(listener.port) as assoc:
            request = C_STORE()
            request.MessageID, request.Priority = 1, 0
            request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = NM, "1.2.3"
            request.DataSet = BytesIO(b"\0" * 500_000)
            send_pdu, sent = assoc.dul.send_pdu, []
            assoc.dul.send_pdu = lambda pdu: (sent.append(pdu), send_pdu(pdu) if len(sent) < 4 else None)
            assoc.dimse.send_msg(request, assoc.accepted_contexts[0].context_id)
            assoc.dul.send_pdu = send_pdu
            assoc.abort()
        assert eventually(lambda: len(inbox.closed) == 1)
        assert listener.open_associations == 0
    assert inbox.received == []


def test_associations_are_counted_while_they_are_open() -> None:
    inbox = Inbox()
    with listening(inbox) as listener:
        with associated(listener.port), associated(listener.port):
            assert eventually(lambda: listener.open_associations == 2)
        assert eventually(lambda: listener.open_associations == 0)
    assert len(set(inbox.closed)) == 2


def test_beyond_the_limit_a_newcomer_is_rejected_for_the_moment_and_who_is_at_work_is_left_in_peace() -> None:
    at_work, done = threading.Event(), threading.Event()
    responses: list[C_STORE | None] = []

    def receive(instance: ReceivedInstance) -> None:
        at_work.set()
        assert done.wait(30)

    with listening(Inbox(), receive=receive, max_associations=1) as listener, associated(listener.port) as busy:
        sender = in_background(lambda: responses.append(store(busy, nm_file())))
        assert at_work.wait(30)
        with associated(listener.port) as newcomer:
            assert newcomer.is_rejected
            answer = newcomer.acceptor.primitive
            assert (answer.result, answer.result_source, answer.diagnostic) == (0x02, 0x03, 0x02)
        done.set()
        sender.join(30)
        assert responses[0].Status == 0x0000
        assert store(busy, nm_file()).Status == 0x0000


def test_stopping_lets_a_sender_finish_and_takes_no_newcomers() -> None:
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as assoc:
        listener.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", listener.port), timeout=5)
        assert store(assoc, nm_file()).Status == 0x0000
        assoc.release()
        listener.stop(drain_s=20)
    assert len(inbox.received) == len(inbox.closed) == 1


def test_stopping_ends_an_association_that_stays_silent() -> None:
    inbox = Inbox()
    with listening(inbox) as listener, associated(listener.port) as assoc:
        listener.stop(drain_s=20)
        assert eventually(lambda: assoc.is_aborted)
    assert len(inbox.closed) == 1


def test_a_port_in_use_is_said_so_with_its_key() -> None:
    with listening(Inbox()) as listener:
        second = Listener(NodeSettings(port=listener.port), (), None, Inbox().receive, Inbox().closed.append)
        with pytest.raises(ConfigurationError, match=rf"\[node\] port: port {listener.port} on 127.0.0.1 is in use"):
            second.start()


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_is_not_ours_is_said_so_with_its_key(host: str) -> None:
    listener = Listener(NodeSettings(host=host, port=free_port()), (), None, Inbox().receive, Inbox().closed.append)
    with pytest.raises(ConfigurationError, match=r"\[node\] host: can't listen on"):
        listener.start()
