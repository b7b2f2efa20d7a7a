"""The sender says of every instance what became of it, and never calls lost what could be tried again."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from pynetdicom.sop_class import NuclearMedicineImageStorage, Verification

from dicomnode.config import DestinationSettings
from dicomnode.errors import ConfigurationError, InvariantBroken, TransientFault
from dicomnode.network import requestor
from dicomnode.network.sender import echo, send
from dicomnode.study import SendOutcome, SendReport
from tests.dicomnode.network.helpers import (
    NM,
    Inbox,
    certificates,
    dataset_bytes,
    eventually,
    free_port,
    listening,
    nm_file,
    sop_instance_uid,
)
from tests.dicomnode.network.scripted_peer import Misbehavior, ScriptedPeer
from tests.loopback import is_isolated

DELIVERED, REFUSED, TRANSIENT = SendOutcome.DELIVERED, SendOutcome.REFUSED, SendOutcome.TRANSIENT
CT = "1.2.840.10008.5.1.4.1.1.2"


def deliver(peer: ScriptedPeer, *instances: bytes | Path) -> list[SendReport]:
    """Send to a scripted peer, plain."""
    return list(send(peer.destination, instances, "DICOMNODE", None))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, DELIVERED),
        (0x0111, DELIVERED),  # duplicate SOP Instance
        (0xB000, DELIVERED),  # coercion of data elements
        (0xB007, DELIVERED),
        (0xA700, TRANSIENT),  # out of resources
        (0xA7FF, TRANSIENT),
        (0x0110, TRANSIENT),  # processing failure
        (0x0213, TRANSIENT),  # resource limitation
        (0xA900, REFUSED),  # dataset doesn't match SOP Class
        (0xA9FF, REFUSED),
        (0xC000, REFUSED),  # cannot understand
        (0xCFFF, REFUSED),
        (0x0117, REFUSED),  # invalid SOP Instance
        (0x0122, REFUSED),  # SOP Class not supported
        (0x0124, REFUSED),  # not authorized
    ],
)
def test_each_status_class_has_its_outcome(status: int, outcome: SendOutcome) -> None:
    file = nm_file()
    with ScriptedPeer([status]) as peer:
        (report,) = deliver(peer, file)
    assert (report.sop_instance_uid, report.outcome, report.status) == (sop_instance_uid(file), outcome, status)


def test_what_the_pacs_says_about_a_refusal_is_passed_on_with_control_characters_escaped() -> None:
    with ScriptedPeer([(0xA900, "no\x1bRows")]) as peer:
        (report,) = deliver(peer, nm_file())
    assert report.message == "refused (0xA900): no\\x1bRows"


def test_a_duplicate_is_noted_as_such() -> None:
    with ScriptedPeer([0x0111]) as peer:
        (report,) = deliver(peer, nm_file())
    assert report.message == "was there already (0x0111)"


def test_a_batch_goes_over_one_association_in_order_from_bytes_and_from_paths(tmp_path: Path) -> None:
    files = [nm_file() for _ in range(6)]
    path = tmp_path / "third.dcm"
    path.write_bytes(files[2])
    with ScriptedPeer([0x0000, 0xC000, 0x0000, 0xA700]) as peer:
        reports = deliver(peer, files[0], files[1], path, *files[3:])
        assert peer.associations == 1
    assert [report.sop_instance_uid for report in reports] == [sop_instance_uid(file) for file in files]
    assert [report.outcome for report in reports] == [DELIVERED, REFUSED, DELIVERED, TRANSIENT, DELIVERED, DELIVERED]


def test_reports_come_as_the_answers_come() -> None:
    with ScriptedPeer() as peer:
        reports = send(peer.destination, [nm_file(), nm_file()], "DICOMNODE", None)
        assert next(reports).outcome is DELIVERED
        assert len(peer.datasets) == 1
        reports.close()


def test_datasets_go_out_byte_for_byte_each_in_its_own_transfer_syntax() -> None:
    files = [nm_file(uid) for uid in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless)]
    with ScriptedPeer(transfer_syntaxes=(RLELossless, ImplicitVRLittleEndian, ExplicitVRLittleEndian)) as peer:
        assert [report.outcome for report in deliver(peer, *files)] == [DELIVERED] * 3
    assert peer.datasets == [dataset_bytes(file) for file in files]
    assert peer.received_in == [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless]
    assert peer.proposed == [
        (NM, (ExplicitVRLittleEndian,)),
        (NM, (ImplicitVRLittleEndian,)),
        (NM, (RLELossless,)),
    ]


def test_a_pacs_that_takes_only_implicit_vr_gets_the_same_dataset_in_it() -> None:
    file = nm_file(ExplicitVRLittleEndian)
    with ScriptedPeer(transfer_syntaxes=(ImplicitVRLittleEndian,)) as peer:
        (report,) = deliver(peer, file)
    assert report.outcome is DELIVERED
    sent = dcmread(BytesIO(peer.datasets[0]), force=True)
    original = dcmread(BytesIO(file))
    assert [(e.tag, e.VR, e.value) for e in sent] == [(e.tag, e.VR, e.value) for e in original]


def test_a_kind_of_object_that_the_pacs_does_not_take_is_refused_and_the_rest_delivered() -> None:
    with ScriptedPeer() as peer:
        reports = deliver(peer, nm_file(), nm_file(sop_class_uid=CT), nm_file(RLELossless), nm_file())
    assert [report.outcome for report in reports] == [DELIVERED, REFUSED, REFUSED, DELIVERED]
    assert reports[1].message == "no Presentation Context accepted for its kind of object"
    assert reports[1].status is None


def test_a_pacs_that_takes_none_of_it_refuses_all() -> None:
    with ScriptedPeer(sop_classes=(Verification,)) as peer:
        assert [report.outcome for report in deliver(peer, nm_file(), nm_file())] == [REFUSED, REFUSED]


@pytest.mark.parametrize(
    ("misbehavior", "reason"),
    [
        (Misbehavior.ABORT, "aborted the Association before it answered"),
        (Misbehavior.CLOSE, "closed the connection before it answered"),
        (Misbehavior.SILENCE, "stayed silent for 0.5 s before it answered"),
    ],
)
def test_when_the_pacs_breaks_off_in_mid_batch_the_rest_can_be_tried_again(
    misbehavior: Misbehavior, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestor, "RESPONSE_S", 0.5 if misbehavior is Misbehavior.SILENCE else 30.0)
    with ScriptedPeer([0x0000, misbehavior]) as peer:
        reports = deliver(peer, *(nm_file() for _ in range(4)))
    assert [report.outcome for report in reports] == [DELIVERED, TRANSIENT, TRANSIENT, TRANSIENT]
    assert reports[1].message.endswith(reason)
    assert reports[3].message == "the Association was lost before this instance was sent"
    assert [report.status for report in reports] == [0x0000, None, None, None]


PACS_PROCESS = """
import sys
from pynetdicom import AE, evt
ae = AE("PACS")
ae.add_supported_context("1.2.840.10008.5.1.4.1.1.20")
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)])
"""


def test_a_pacs_killed_in_mid_batch_leaves_the_rest_to_be_tried_again() -> None:
    port = free_port()
    pacs = subprocess.Popen([sys.executable, "-c", PACS_PROCESS, str(port)])
    try:
        destination = DestinationSettings(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
        assert eventually(lambda: _listens(port))
        reports = send(destination, [nm_file(frames=64) for _ in range(20)], "DICOMNODE", None)
        outcomes = [next(reports).outcome for _ in range(3)]
        pacs.kill()
        pacs.wait()
        outcomes += [report.outcome for report in reports]
    finally:
        pacs.kill()
        pacs.wait()
    assert outcomes == [DELIVERED] * 3 + [TRANSIENT] * 17


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("changes", "calling", "reason"),
    [
        ({"ae_title": "WRONG"}, "DICOMNODE", "called ae title not recogni"),
        ({}, "STRANGER", "calling ae title not recogni"),
        ({"port": 1}, "DICOMNODE", "can't be reached (connection refused)"),
        ({"host": "no.such.host.invalid"}, "DICOMNODE", "has an unknown host name"),
    ],
)
def test_without_an_association_one_sentence_says_why(changes: dict[str, object], calling: str, reason: str) -> None:
    with ScriptedPeer(callers=("DICOMNODE",)) as peer:
        destination = peer.destination.model_copy(update=changes)
        with pytest.raises(TransientFault) as caught:
            list(send(destination, [nm_file()], calling, None))
        assert str(caught.value).startswith(f"pacs ({destination.ae_title} at {destination.host}:{destination.port})")
        assert reason in str(caught.value)
        with pytest.raises(TransientFault) as caught:
            echo(destination, calling, None)
        assert reason in str(caught.value)


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_pacs_that_never_answers_the_request_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requestor, "ASSOCIATE_S", 0.5)
    with silent_server() as port:
        destination = DestinationSettings(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
        with pytest.raises(TransientFault, match=r"gave no answer to the request for an Association within 0\.5 s"):
            echo(destination, "DICOMNODE", None)


def test_echo_returns_when_the_destination_answers() -> None:
    with ScriptedPeer() as peer:
        echo(peer.destination, "DICOMNODE", None)


def test_echo_says_so_where_verification_is_not_supported() -> None:
    with (
        ScriptedPeer(sop_classes=(NuclearMedicineImageStorage,)) as peer,
        pytest.raises(TransientFault, match="does not support Verification"),
    ):
        echo(peer.destination, "DICOMNODE", None)


@pytest.mark.parametrize("max_pdu", [0, 1, 16_384])
def test_whatever_pdu_length_the_pacs_asks_for_the_dataset_arrives_whole(max_pdu: int) -> None:
    file = nm_file(frames=300)
    with ScriptedPeer(max_pdu=max_pdu) as peer:
        (report,) = deliver(peer, file)
    assert report.outcome is DELIVERED
    assert peer.datasets == [dataset_bytes(file)]


def test_what_is_no_dicom_file_is_not_sent() -> None:
    with ScriptedPeer() as peer, pytest.raises(InvariantBroken, match="not a DICOM file"):
        deliver(peer, b"nonsense")


def test_more_kinds_than_one_association_has_room_for_go_over_several() -> None:
    kinds = [nm_file(sop_class_uid=f"1.2.3.{number}") for number in range(70)]
    with ScriptedPeer() as peer:
        reports = deliver(peer, *kinds, nm_file())
        assert peer.associations == 2
        assert len(peer.proposed) <= 128
    assert [report.outcome for report in reports] == [REFUSED] * 70 + [DELIVERED]


def test_the_sender_fills_the_listener_under_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    ours, foreign = certificates(tmp_path / "ours"), certificates(tmp_path / "foreign")
    inbox, file = Inbox(), nm_file(frames=64)
    with listening(inbox, tls=ours, require_known_peers=False) as listener:
        destination = DestinationSettings(
            name="pacs", ae_title="DICOMNODE", host="127.0.0.1", port=listener.port, tls=True
        )
        assert [report.outcome for report in send(destination, [file], "US", ours)] == [DELIVERED]
        with pytest.raises(TransientFault, match="TLS"):
            echo(destination, "US", foreign)
        with pytest.raises(ConfigurationError, match="wants tls"):
            echo(destination, "US", None)
    assert dataset_bytes(inbox.received[0].file_bytes) == dataset_bytes(file)


@pytest.mark.skipif(shutil.which("storescp") is None, reason="dcmtk is not installed")
def test_dcmtk_receives_a_batch(tmp_path: Path) -> None:

    if not is_isolated():
        pytest.skip("storescp listens on every address: run by `python -m tests.loopback pytest ...`")
    port = free_port()
    pacs = subprocess.Popen(["storescp", "-q", "-aet", "PACS", "-od", str(tmp_path), "+B", str(port)])
    try:
        assert eventually(lambda: _listens(port))
        destination = DestinationSettings(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
        echo(destination, "DICOMNODE", None)
        files = [nm_file(frames=64) for _ in range(5)]
        reports = list(send(destination, files, "DICOMNODE", None))
    finally:
        pacs.terminate()
        pacs.wait()
    assert [report.outcome for report in reports] == [DELIVERED] * 5
    kept = {sop_instance_uid(path.read_bytes()): path.read_bytes() for path in tmp_path.iterdir()}
    assert {uid: dataset_bytes(kept[uid]) for uid in kept} == {sop_instance_uid(f): dataset_bytes(f) for f in files}
