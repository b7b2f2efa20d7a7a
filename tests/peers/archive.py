"""An archive in this process that is asked for Storage Commitment, and answers as it is told: how, when, or never."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from tests.peers.process import HOST, eventually
from tests.peers.turns import steady

NO_SUCH_OBJECT = 0x0112


class Way(Enum):
    """How the archive reports."""

    SAME_ASSOCIATION = "on the Association that asked"
    NEW_ASSOCIATION = "on an Association of its own"
    WHEN_TOLD = "on an Association of its own, when the test says so"
    NEVER = "never"


@dataclass
class Archive:
    """Runs while it is entered; keeps what it was sent and asked.

    `loses` says of a SOP Instance UID and the number of times that it came whether the archive says it has lost it.
    """

    node_port: int
    way: Way = Way.NEW_ASSOCIATION
    ae_title: str = "ARCHIVE"
    loses: Callable[[str, int], bool] = lambda _uid, _times: False
    offers_commitment: bool = True
    node_ae_title: str = "DICOMNODE"
    stored: Counter[str] = field(default_factory=Counter)
    asked: list[Dataset] = field(default_factory=list)
    told: list[int] = field(default_factory=list)  # statuses of the node's answers to our reports

    def __enter__(self) -> Archive:
        ae = AE(self.ae_title)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        if self.offers_commitment:
            ae.add_supported_context(StorageCommitmentPushModel)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action)]
        self._server = ae.start_server((HOST, 0), block=False, evt_handlers=handlers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()

    @property
    def port(self) -> int:
        """The port that the archive listens on."""
        return int(self._server.server_address[1])

    @property
    def transactions(self) -> list[str]:
        """The Transaction UIDs under which it was asked."""
        return [str(request.TransactionUID) for request in self.asked]

    @property
    def asked_about(self) -> set[str]:
        """The SOP Instance UIDs that it was asked about."""
        return {str(item.ReferencedSOPInstanceUID) for one in self.asked for item in one.ReferencedSOPSequence}

    def report(self, request: Dataset) -> None:
        """Report on a request over an Association of its own."""
        ae = AE(self.ae_title)
        ae.add_requested_context(StorageCommitmentPushModel)
        roles = [build_role(StorageCommitmentPushModel, scp_role=True)]
        assoc = steady(ae.associate(HOST, self.node_port, ae_title=self.node_ae_title, ext_neg=roles))
        assert assoc.is_established, "the node took no Association for a report"
        self._report(assoc, request)
        assoc.release()

    def _store(self, event: Any) -> int:
        self.stored[str(event.request.AffectedSOPInstanceUID)] += 1
        return 0x0000

    def _action(self, event: Any) -> tuple[int, None]:
        request = event.action_information
        self.asked.append(request)
        if self.way is Way.SAME_ASSOCIATION:
            threading.Thread(target=self._report, args=(event.assoc, request), daemon=True).start()
        elif self.way is Way.NEW_ASSOCIATION:
            threading.Thread(target=self.report, args=(request,), daemon=True).start()
        return 0x0000, None

    def _report(self, assoc: Any, request: Dataset) -> None:
        lost = [item for item in request.ReferencedSOPSequence if self._is_lost(item.ReferencedSOPInstanceUID)]
        kept = [item for item in request.ReferencedSOPSequence if item not in lost]
        information = event_information(request.TransactionUID, kept, lost)
        status, _ = assoc.send_n_event_report(
            information, 2 if lost else 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        self.told.append(int(status.Status))

    def _is_lost(self, uid: str) -> bool:
        return self.loses(uid, self.stored[uid])


def event_information(transaction_uid: str, kept: Sequence[Dataset], lost: Sequence[Dataset]) -> Dataset:
    """Return the information of an N-EVENT-REPORT (PS3.4 Table J.3.3-1)."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    if kept:
        ds.ReferencedSOPSequence = list(kept)
    if lost:
        ds.FailedSOPSequence = list(lost)
        for item in ds.FailedSOPSequence:
            item.FailureReason = NO_SUCH_OBJECT
    return ds


class CommittingScanner:
    """A scanner that asks the node whether it keeps what it was sent, and listens for the report."""

    def __init__(self, node_port: int, port: int, ae_title: str = "SPECT1") -> None:
        self.node_port, self.port, self.ae_title = node_port, port, ae_title
        self.reports: list[tuple[int, Dataset]] = []
        self._server: Any = None

    def listen(self) -> None:
        """Take reports from now on."""
        ae = AE(self.ae_title)
        ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        self._server = ae.start_server(
            (HOST, self.port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._reported)]
        )

    def stop(self) -> None:
        """Take no more reports."""
        if self._server is not None:
            self._server.shutdown()

    def ask(self, transaction_uid: str, instances: Sequence[tuple[str, str]]) -> int:
        """Ask for the commitment of (SOP Class UID, SOP Instance UID) pairs; return the status of the answer."""
        request = Dataset()
        request.TransactionUID = transaction_uid
        request.ReferencedSOPSequence = []
        for sop_class_uid, sop_instance_uid in instances:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
            request.ReferencedSOPSequence.append(item)
        ae = AE(self.ae_title)
        ae.add_requested_context(StorageCommitmentPushModel)
        assoc = steady(ae.associate(HOST, self.node_port, ae_title="DICOMNODE"))
        assert assoc.is_established
        status, _ = assoc.send_n_action(request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        assoc.release()
        return int(status.Status)

    def report_of(self, transaction_uid: str) -> tuple[int, Dataset]:
        """Wait for the report of a transaction; return its event type and information."""
        return eventually(
            lambda: next((one for one in self.reports if one[1].TransactionUID == transaction_uid), None),
            "a report from the node",
        )  # type: ignore[return-value]

    def _reported(self, event: Any) -> tuple[int, None]:
        self.reports.append((int(event.event_type), event.event_information))
        return 0x0000, None
