"""Storage Commitment, both roles: we ask an archive to keep what we sent, and we answer scanners that ask us (PS3.4 J).

Whoever is asked answers the N-ACTION at once and reports later, by an N-EVENT-REPORT on the same Association or on one
that it opens itself; then the roles are the other way round than usual: role selection says so (PS3.7 D.3.3.4).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import build_context

from dicomnode.config import DestinationSettings, PeerSettings, TlsSettings
from dicomnode.errors import TransientFault
from dicomnode.network.admission import Guest, is_peer
from dicomnode.network.presentation import STORAGE_COMMITMENT, UNCOMPRESSED
from dicomnode.network.requestor import named, open_association, release, why_no_answer
from dicomnode.network.storage import UID_FORM
from dicomnode.network.unsound import if_sound
from dicomnode.network.upper_layer import DrivenAssociation
from dicomnode.study import CommitmentReport, CommitmentRequest, Reference

log = structlog.get_logger(__name__)

WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"  # the one SOP Instance of the service
REQUEST_COMMITMENT = 1  # Action Type ID (PS3.4 Table J.3.2-1)
ALL_KEPT, SOME_NOT_KEPT = 1, 2  # Event Type ID (PS3.4 Table J.3.3-1)
LINGER_S = 5.0  # how long an Association stays open for a report on it; whoever comes later opens one to us
LONGEST_REQUEST = 1 << 22  # bytes of a request or report: some 25,000 instances, of 2 KB each once decoded

SUCCESS, PROCESSING_FAILURE, NO_SUCH_INSTANCE = 0x0000, 0x0110, 0x0112
NO_SUCH_EVENT, INVALID_ARGUMENT, NO_SUCH_ACTION = 0x0113, 0x0115, 0x0123
NOT_AUTHORIZED, RESOURCE_LIMITATION = 0x0124, 0x0213


@dataclass(frozen=True)
class CommitmentService:
    """What the listener hands requests and reports to.

    `asked(peer's name, request)` returns once the request is recorded; `reported(report)` tells whether we had asked
    for it. Both raise TransientFault if the journal is busy.
    """

    asked: Callable[[str, CommitmentRequest], None]
    reported: Callable[[CommitmentReport], bool]


# --- as SCU: asking an archive


def ask(
    destination: DestinationSettings,
    request: CommitmentRequest,
    calling_ae_title: str,
    tls: TlsSettings | None,
    reported: Callable[[CommitmentReport], bool],
    enough: Callable[[], bool],
) -> None:
    """Ask a destination to commit (N-ACTION), and stay a while for a report on the same Association.

    `enough()` ends that stay. Raises TransientFault with a sentence if the destination can't be asked or refuses.
    """
    assoc = open_association(destination, calling_ae_title, tls, [build_context(STORAGE_COMMITMENT, [*UNCOMPRESSED])])
    try:
        _send_action(assoc, request, destination, reported)
        deadline = time.monotonic() + LINGER_S
        while not enough() and assoc.dul.is_open and (remaining_s := deadline - time.monotonic()) > 0:
            assoc.dul.read_until(lambda: not assoc.dimse.msg_queue.empty(), min(0.2, remaining_s))
            context_id, message = assoc.dimse.get_msg(block=False)
            if isinstance(message, N_EVENT_REPORT):
                answer_report(assoc, context_id, message, reported)
    finally:
        release(assoc)


def _send_action(
    assoc: DrivenAssociation,
    request: CommitmentRequest,
    destination: DestinationSettings,
    reported: Callable[[CommitmentReport], bool],
) -> None:
    context = next(iter(assoc.accepted_contexts), None)
    if context is None:
        raise TransientFault(f"{named(destination)} does not offer Storage Commitment")
    action = N_ACTION()
    action.MessageID, action.ActionTypeID = 1, REQUEST_COMMITMENT
    action.RequestedSOPClassUID, action.RequestedSOPInstanceUID = STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
    action.ActionInformation = _encoded(_request_dataset(request), context.transfer_syntax[0])
    assoc.dimse.send_msg(action, context.context_id)
    context_id, response = assoc.dimse.get_msg(block=True)
    while isinstance(response, N_EVENT_REPORT):  # some report before they answer
        answer_report(assoc, context_id, response, reported)
        context_id, response = assoc.dimse.get_msg(block=True)
    if response is None:
        raise TransientFault(f"{named(destination)} {why_no_answer(assoc)} instead of answering the N-ACTION")
    if not isinstance(response, N_ACTION) or response.Status != SUCCESS:
        status = getattr(response, "Status", None)
        raise TransientFault(f"{named(destination)} refused to be asked for commitment (0x{status or 0:04X})")


# --- as SCP: reporting to a scanner


def report_to(peer: PeerSettings, report: CommitmentReport, calling_ae_title: str, tls: TlsSettings | None) -> None:
    """Tell a peer which of its instances we keep, on an Association of our own.

    Raises TransientFault with a sentence if it can't be told.
    """
    address = DestinationSettings(
        name=peer.name, ae_title=peer.ae_title, host=peer.host or "", port=peer.port or 0, tls=peer.tls
    )
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = STORAGE_COMMITMENT, False, True
    contexts = [build_context(STORAGE_COMMITMENT, [*UNCOMPRESSED])]
    assoc = open_association(address, calling_ae_title, tls, contexts, [role])
    try:
        _send_report(assoc, report, address)
    finally:
        release(assoc)


def _send_report(assoc: DrivenAssociation, report: CommitmentReport, peer: DestinationSettings) -> None:
    context = next(iter(assoc.accepted_contexts), None)
    if context is None:
        raise TransientFault(f"{named(peer)} does not take reports of Storage Commitment")
    event = N_EVENT_REPORT()
    event.MessageID, event.EventTypeID = 1, SOME_NOT_KEPT if report.failed else ALL_KEPT
    event.AffectedSOPClassUID, event.AffectedSOPInstanceUID = STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
    event.EventInformation = _encoded(_report_dataset(report), context.transfer_syntax[0])
    assoc.dimse.send_msg(event, context.context_id)
    _, response = assoc.dimse.get_msg(block=True)
    if response is None:
        raise TransientFault(f"{named(peer)} {why_no_answer(assoc)} instead of taking the report")
    if not isinstance(response, N_EVENT_REPORT) or response.Status != SUCCESS:
        status = getattr(response, "Status", None)
        raise TransientFault(f"{named(peer)} did not take the report (0x{status or 0:04X})")


# --- what the listener is sent


def answer_report(
    assoc: DrivenAssociation, context_id: int, event: N_EVENT_REPORT, reported: Callable[[CommitmentReport], bool]
) -> None:
    """Hand a report on and answer it; success only if it is recorded."""
    response = N_EVENT_REPORT()
    response.MessageIDBeingRespondedTo = event.MessageID
    response.AffectedSOPClassUID, response.AffectedSOPInstanceUID = STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
    response.EventTypeID = event.EventTypeID
    response.Status = _status_of_report(assoc, context_id, event, reported)
    assoc.dimse.send_msg(response, context_id)


def _status_of_report(
    assoc: DrivenAssociation, context_id: int, event: N_EVENT_REPORT, reported: Callable[[CommitmentReport], bool]
) -> int:
    if event.EventTypeID not in (ALL_KEPT, SOME_NOT_KEPT):
        return NO_SUCH_EVENT
    too_long = event.EventInformation is not None and event.EventInformation.getbuffer().nbytes > LONGEST_REQUEST
    dataset = None if too_long else _decoded(assoc, context_id, event.EventInformation)
    report = None if dataset is None else if_sound("commitment report", lambda: _report_of(dataset))
    if report is None:
        return INVALID_ARGUMENT
    try:
        known = reported(report)
    except TransientFault as error:
        log.error("commitment report not recorded", error=str(error))
        return PROCESSING_FAILURE
    if not known:
        log.warning("commitment report refused", reason="nobody asked for this transaction")
    return SUCCESS if known else INVALID_ARGUMENT


def answer_request(
    assoc: DrivenAssociation,
    context_id: int,
    action: N_ACTION,
    peer: PeerSettings | None,
    asked: Callable[[str, CommitmentRequest], None],
) -> None:
    """Record a scanner's request and answer it; `peer` is where the report will go, None if that isn't known."""
    status, comment = _status_of_request(assoc, context_id, action, peer, asked)
    response = N_ACTION()
    response.MessageIDBeingRespondedTo = action.MessageID
    response.AffectedSOPClassUID, response.AffectedSOPInstanceUID = STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
    response.ActionTypeID, response.Status = action.ActionTypeID, status
    if comment:
        response.ErrorComment = comment
        log.warning("commitment request refused", status=f"0x{status:04X}", reason=comment)
    assoc.dimse.send_msg(response, context_id)


def _status_of_request(
    assoc: DrivenAssociation,
    context_id: int,
    action: N_ACTION,
    peer: PeerSettings | None,
    asked: Callable[[str, CommitmentRequest], None],
) -> tuple[int, str]:
    if action.ActionTypeID != REQUEST_COMMITMENT:
        return NO_SUCH_ACTION, "only Action Type 1, Request Storage Commitment"
    if action.RequestedSOPInstanceUID != WELL_KNOWN_INSTANCE:
        return NO_SUCH_INSTANCE, "not the well-known instance of Storage Commitment"
    if peer is None:
        return NOT_AUTHORIZED, "no address to report to is configured for this AE"
    if action.ActionInformation is not None and action.ActionInformation.getbuffer().nbytes > LONGEST_REQUEST:
        return RESOURCE_LIMITATION, "too many instances in one request"
    dataset = _decoded(assoc, context_id, action.ActionInformation)
    request = None if dataset is None else if_sound("request for commitment", lambda: _request_of(dataset))
    if request is None:
        return INVALID_ARGUMENT, "Transaction UID or Referenced SOP Sequence is unsound"
    try:
        asked(peer.name, request)
    except TransientFault:
        return RESOURCE_LIMITATION, "the request could not be recorded; try again"
    return SUCCESS, ""


# --- datasets


def _request_dataset(request: CommitmentRequest) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = request.transaction_uid
    ds.ReferencedSOPSequence = [_item(reference) for reference in request.references]
    return ds


def _report_dataset(report: CommitmentReport) -> Dataset:
    """Return Event Information; an empty sequence is left out (PS3.4 Table J.3.3-1: not allowed to be empty)."""
    ds = Dataset()
    ds.TransactionUID = report.transaction_uid
    if report.committed:
        ds.ReferencedSOPSequence = [_item(reference) for reference in report.committed]
    if report.failed:
        ds.FailedSOPSequence = [_item(reference) for reference, _ in report.failed]
        for item, (_, reason) in zip(ds.FailedSOPSequence, report.failed, strict=True):
            item.FailureReason = reason
    return ds


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item


def _request_of(ds: Dataset) -> CommitmentRequest:
    references = tuple(_reference(item) for item in ds.ReferencedSOPSequence)
    if not references:
        raise ValueError("no instances")
    return CommitmentRequest(_uid(ds.TransactionUID), references)


def _report_of(ds: Dataset) -> CommitmentReport:
    failed = tuple(
        (_reference(item), int(item.get("FailureReason") or PROCESSING_FAILURE))
        for item in ds.get("FailedSOPSequence") or ()
    )
    committed = tuple(_reference(item) for item in ds.get("ReferencedSOPSequence") or ())
    return CommitmentReport(_uid(ds.TransactionUID), committed, failed)


def _reference(item: Dataset) -> Reference:
    return Reference(_uid(item.ReferencedSOPClassUID), _uid(item.ReferencedSOPInstanceUID))


def _uid(value: Any) -> str:
    text = str(value)
    if not UID_FORM.fullmatch(text):
        raise ValueError("not a UID")
    return text


def _encoded(ds: Dataset, transfer_syntax: Any) -> BytesIO:
    encoded = encode(ds, transfer_syntax.is_implicit_VR, transfer_syntax.is_little_endian)
    return BytesIO(encoded or b"")


def _decoded(assoc: DrivenAssociation, context_id: int, content: BytesIO | None) -> Dataset | None:
    syntax = next((cx.transfer_syntax[0] for cx in assoc.accepted_contexts if cx.context_id == context_id), None)
    if syntax is None or content is None:
        return None
    return if_sound("dataset", lambda: decode(content, syntax.is_implicit_VR, syntax.is_little_endian))


def reporting_peer(guest: Guest, peers: Sequence[PeerSettings]) -> PeerSettings | None:
    """Return the peer that this guest is, if it has an address for reports.

    By its address too: of two scanners with one AE title, each must get the reports of what it stored itself.
    """
    return next((peer for peer in peers if peer.port is not None and peer.host and is_peer(guest, peer)), None)
