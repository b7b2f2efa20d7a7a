"""Storage Commitment on the wire, against pynetdicom: what is refused; no report is lost, or believed blindly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel as MODEL
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as INSTANCE

from dicomnode.config import DestinationSettings, PeerSettings
from dicomnode.errors import TransientFault
from dicomnode.network import commitment
from dicomnode.network.commitment import CommitmentService, ask, report_to
from dicomnode.study import CommitmentReport, CommitmentRequest, Reference
from tests.dicomnode.network.helpers import NM, Inbox, listening
from tests.peers.turns import steady

KEPT, LOST = Reference(NM, "1.2.3.1"), Reference(NM, "1.2.3.2")
REQUEST = CommitmentRequest("1.9.1", (KEPT, LOST))
CAMERA = PeerSettings(name="camera", ae_title="SPECT1", host="127.0.0.1", port=104)


def a_request(transaction_uid: str = "1.9.1", *references: Reference) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = [an_item(one) for one in references]
    return ds


def an_item(reference: Reference, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference.sop_class_uid, reference.sop_instance_uid
    if reason is not None:
        item.FailureReason = reason
    return item


@dataclass
class Notebook:
    """What the listener handed over."""

    asked: list[tuple[str, CommitmentRequest]] = field(default_factory=list)
    reported: list[CommitmentReport] = field(default_factory=list)
    knows: bool = True
    busy: bool = False

    def take_request(self, peer: str, request: CommitmentRequest) -> None:
        """Record a request."""
        if self.busy:
            raise TransientFault("the journal is busy")
        self.asked.append((peer, request))

    def take_report(self, report: CommitmentReport) -> bool:
        """Record a report."""
        if self.busy:
            raise TransientFault("the journal is busy")
        self.reported.append(report)
        return self.knows


@contextmanager
def associated(notebook: Notebook, *peers: PeerSettings, as_scp: bool = False) -> Iterator[Association]:
    """Open an Association for Storage Commitment with a listener that writes into the notebook."""
    service = CommitmentService(notebook.take_request, notebook.take_report)
    with listening(Inbox(), peers=peers or (CAMERA,), commitment=service) as listener:
        ae = AE(CAMERA.ae_title)
        ae.add_requested_context(MODEL)
        roles = [build_role(MODEL, scp_role=True)] if as_scp else []
        assoc = steady(ae.associate("127.0.0.1", listener.port, ae_title="DICOMNODE", ext_neg=roles))
        yield assoc
        if assoc.is_established:
            assoc.release()


def test_a_request_of_a_scanner_is_recorded_before_it_is_answered() -> None:
    notebook = Notebook()
    with associated(notebook) as assoc:
        status, _ = assoc.send_n_action(a_request("1.9.1", KEPT, LOST), 1, MODEL, INSTANCE)
    assert status.Status == 0x0000
    assert notebook.asked == [("camera", REQUEST)]


@pytest.mark.parametrize(
    ("dataset", "action", "instance", "status"),
    [
        (a_request("1.9.1", KEPT), 2, INSTANCE, 0x0123),
        (a_request("1.9.1", KEPT), 1, "1.2.3", 0x0112),
        (a_request("1.9.1"), 1, INSTANCE, 0x0115),
        (a_request("", KEPT), 1, INSTANCE, 0x0115),
        (a_request("1.9.1", Reference(NM, "")), 1, INSTANCE, 0x0115),
        (None, 1, INSTANCE, 0x0115),
    ],
)  # fmt: skip
def test_a_request_that_can_not_be_meant_so_is_refused(
    dataset: Dataset | None, action: int, instance: str, status: int
) -> None:
    notebook = Notebook()
    with associated(notebook) as assoc:
        answer, _ = assoc.send_n_action(dataset, action, MODEL, instance)
    assert answer.Status == status
    assert notebook.asked == []


def test_a_peer_without_an_address_is_told_that_no_report_could_reach_it() -> None:
    with associated(Notebook(), PeerSettings(name="camera", ae_title="SPECT1")) as assoc:
        answer, _ = assoc.send_n_action(a_request("1.9.1", KEPT), 1, MODEL, INSTANCE)
    assert answer.Status == 0x0124


def test_of_two_peers_with_one_ae_title_the_one_that_asked_gets_the_report() -> None:
    notebook = Notebook()
    elsewhere = PeerSettings(name="camera upstairs", ae_title="SPECT1", host="127.0.0.9", port=104)
    with associated(notebook, elsewhere, CAMERA) as assoc:
        assoc.send_n_action(a_request("1.9.1", KEPT), 1, MODEL, INSTANCE)
    assert [peer for peer, _ in notebook.asked] == ["camera"]


def test_no_peer_elsewhere_gets_the_report_of_one_without_an_address() -> None:
    notebook = Notebook()
    elsewhere = PeerSettings(name="camera upstairs", ae_title="SPECT1", host="127.0.0.9", port=104)
    with associated(notebook, elsewhere, PeerSettings(name="camera", ae_title="SPECT1")) as assoc:
        answer, _ = assoc.send_n_action(a_request("1.9.1", KEPT), 1, MODEL, INSTANCE)
    assert answer.Status == 0x0124
    assert notebook.asked == []


def test_what_could_not_be_recorded_is_never_called_a_success() -> None:
    with associated(Notebook(busy=True)) as assoc:
        answer, _ = assoc.send_n_action(a_request("1.9.1", KEPT), 1, MODEL, INSTANCE)
        assert answer.Status == 0x0213
    with associated(Notebook(busy=True), as_scp=True) as assoc:
        answer, _ = assoc.send_n_event_report(a_request("1.9.1", KEPT), 1, MODEL, INSTANCE)
        assert answer.Status == 0x0110


def test_a_report_on_an_association_of_the_archives_own_is_taken_with_its_failures() -> None:
    notebook, information = Notebook(), a_request("1.9.1", KEPT)
    information.FailedSOPSequence = [an_item(LOST, 0x0112)]
    with associated(notebook, as_scp=True) as assoc:
        answers = [assoc.send_n_event_report(information, 2, MODEL, INSTANCE)[0].Status for _ in range(2)]
    assert answers == [0x0000, 0x0000]
    assert notebook.reported == [CommitmentReport("1.9.1", (KEPT,), ((LOST, 0x0112),))] * 2


@pytest.mark.parametrize(("event", "transaction", "status"), [(3, "1.9.1", 0x0113), (1, "", 0x0115)])
def test_a_report_that_can_not_be_understood_is_refused(event: int, transaction: str, status: int) -> None:
    notebook = Notebook()
    with associated(notebook, as_scp=True) as assoc:
        answer, _ = assoc.send_n_event_report(a_request(transaction, KEPT), event, MODEL, INSTANCE)
    assert answer.Status == status
    assert notebook.reported == []


def test_a_report_that_nobody_asked_for_is_refused() -> None:
    with associated(Notebook(knows=False), as_scp=True) as assoc:
        answer, _ = assoc.send_n_event_report(a_request("1.9.1", KEPT), 1, MODEL, INSTANCE)
    assert answer.Status == 0x0115


# --- as SCU


@dataclass
class Answering:
    """A peer that answers N-ACTION and N-EVENT-REPORT with one status."""

    status: int = 0x0000
    offers: bool = True
    events: list[tuple[int, Dataset]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[int]:
        """Run it; yields its port."""
        ae = AE("PEER")
        ae.add_supported_context(MODEL if self.offers else "1.2.840.10008.1.1", scu_role=True, scp_role=True)
        handlers: Any = [(evt.EVT_N_ACTION, self._action), (evt.EVT_N_EVENT_REPORT, self._event)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()

    def _action(self, _event: Any) -> tuple[int, None]:
        return self.status, None

    def _event(self, event: Any) -> tuple[int, None]:
        self.events.append((int(event.event_type), event.event_information))
        return self.status, None


@pytest.mark.parametrize(
    ("peer", "words"),
    [(Answering(0x0110), "refused to be asked .*0x0110"), (Answering(offers=False), "does not offer")],
)
def test_an_archive_that_does_not_want_to_be_asked_is_tried_again(peer: Answering, words: str) -> None:
    with peer.running() as port:
        destination = DestinationSettings(name="pacs", ae_title="PEER", host="127.0.0.1", port=port)
        with pytest.raises(TransientFault, match=words):
            ask(destination, REQUEST, "DICOMNODE", None, lambda report: True, lambda: True)


def test_we_stay_for_a_report_only_as_long_as_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitment, "LINGER_S", 0.3)
    with Answering().running() as port:
        destination = DestinationSettings(name="pacs", ae_title="PEER", host="127.0.0.1", port=port)
        ask(destination, REQUEST, "DICOMNODE", None, lambda report: True, lambda: False)


def test_a_scanner_is_told_of_both_what_is_kept_and_what_is_not() -> None:
    peer = Answering()
    with peer.running() as port:
        camera = PeerSettings(name="camera", ae_title="PEER", host="127.0.0.1", port=port)
        report_to(camera, CommitmentReport("1.9.1", (KEPT,), ((LOST, 0x0112),)), "DICOMNODE", None)
        report_to(camera, CommitmentReport("1.9.2", (KEPT,)), "DICOMNODE", None)
    (mixed, first), (all_kept, second) = peer.events
    assert (mixed, all_kept) == (2, 1)
    assert [item.FailureReason for item in first.FailedSOPSequence] == [0x0112]
    assert "FailedSOPSequence" not in second


@pytest.mark.parametrize(
    ("peer", "words"),
    [(Answering(0x0110), "did not take the report .*0x0110"), (Answering(offers=False), "does not take reports")],
)
def test_a_scanner_that_does_not_take_its_report_is_tried_again(peer: Answering, words: str) -> None:
    with peer.running() as port:
        camera = PeerSettings(name="camera", ae_title="PEER", host="127.0.0.1", port=port)
        with pytest.raises(TransientFault, match=words):
            report_to(camera, CommitmentReport("1.9.1", (KEPT,)), "DICOMNODE", None)
