"""C-STORE and C-ECHO SCU: sends instances to a destination, and says of each whether it arrived, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import structlog
from pydicom import dcmread
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import PresentationContext, build_context

from dicomnode.config import DestinationSettings, TlsSettings
from dicomnode.errors import InvariantBroken, TransientFault
from dicomnode.network.admission import printable
from dicomnode.network.presentation import VERIFICATION, alternatives, proposed_contexts
from dicomnode.network.requestor import named, open_association, release, why_no_answer
from dicomnode.network.upper_layer import DrivenAssociation
from dicomnode.study import SendOutcome, SendReport

log = structlog.get_logger(__name__)

MAX_CONTEXTS = 128  # context ids are the odd numbers of one byte (PS3.8 9.3.2.2)

SUCCESS, DUPLICATE_SOP_INSTANCE = 0x0000, 0x0111
REFUSED_FOR_GOOD = frozenset(
    (
        0x0105, 0x0106, 0x0112, 0x0115, 0x0117, 0x0118, 0x0119,  # the instance is not what it should be
        0x0120, 0x0121, 0x0122, 0x0123, 0x0124,  # SOP Class not supported, not authorized
        0x0211, 0x0212,  # the peer doesn't know C-STORE
    )
)  # fmt: skip


@dataclass(frozen=True)
class _Outgoing:
    """An instance on its way: what its File Meta Information says, and where its bytes are."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    source: bytes | Path
    dataset_offset: int

    @property
    def kind(self) -> tuple[str, str]:
        """SOP Class and Transfer Syntax: what a Presentation Context is proposed for."""
        return self.sop_class_uid, self.transfer_syntax_uid


def send(
    destination: DestinationSettings,
    instances: Sequence[bytes | Path],
    calling_ae_title: str,
    tls: TlsSettings | None,
) -> Iterator[SendReport]:
    """Send DICOM files (PS3.10; their bytes or their paths) over one Association; yield a report for each, in order.

    A dataset goes out byte for byte as it is in the file; only where the destination takes nothing but the other
    uncompressed Transfer Syntax, it is rewritten in that. Once the Association is lost, the reports of all that remain
    are TRANSIENT.
    Raises TransientFault if the Association can't be opened, OSError if a file can't be read, InvariantBroken if one
    is no DICOM file.
    """
    outgoing = [_outgoing(source) for source in instances]
    for batch in _batches(outgoing):
        assoc = open_association(destination, calling_ae_title, tls, proposed_contexts(item.kind for item in batch))
        try:
            for number, item in enumerate(batch, start=1):
                yield _send_one(assoc, item, number % 0xFFFF, destination)
        finally:
            release(assoc)


def echo(destination: DestinationSettings, calling_ae_title: str, tls: TlsSettings | None) -> None:
    """Ask the destination whether it is there (C-ECHO).

    Raises TransientFault with the reason if it isn't, or doesn't want to talk to us.
    """
    assoc = open_association(destination, calling_ae_title, tls, [build_context(VERIFICATION)])
    try:
        context_id = next((cx.context_id for cx in assoc.accepted_contexts), None)
        if context_id is None:
            raise TransientFault(f"{named(destination)} does not support Verification")
        request = C_ECHO()
        request.MessageID, request.AffectedSOPClassUID = 1, VERIFICATION
        assoc.dimse.send_msg(request, context_id)
        _, response = assoc.dimse.get_msg(block=True)
        if response is None:
            raise TransientFault(f"{named(destination)} {why_no_answer(assoc)} instead of answering C-ECHO")
        if response.Status != SUCCESS:
            raise TransientFault(f"{named(destination)} answered C-ECHO with status 0x{response.Status or 0:04X}")
    finally:
        release(assoc)


def outcome_of(status: int) -> SendOutcome:
    """Return what a C-STORE status means for the instance (PS3.4 Table B.2-1, PS3.7 Annex C).

    What isn't known to be final is TRANSIENT: the retries of a delivery are limited anyway.
    """
    if status in (SUCCESS, DUPLICATE_SOP_INSTANCE) or is_warning(status):
        return SendOutcome.DELIVERED
    if status in REFUSED_FOR_GOOD or 0xA900 <= status <= 0xA9FF or 0xC000 <= status <= 0xCFFF:
        return SendOutcome.REFUSED
    return SendOutcome.TRANSIENT


def is_warning(status: int) -> bool:
    """Tell whether a status means: stored, with a remark."""
    return 0xB000 <= status <= 0xBFFF or status in (0x0001, 0x0107, 0x0116)


def _outgoing(source: bytes | Path) -> _Outgoing:
    """Read the File Meta Information, which is small, and leave the rest where it is."""
    head = source[:144] if isinstance(source, bytes) else _read(source, 0, 144)
    if head[128:132] != b"DICM" or head[132:138] != b"\x02\0\0\0UL":
        raise InvariantBroken("not a DICOM file with File Meta Information")
    offset = 144 + int.from_bytes(head[140:144], "little")
    meta = dcmread(BytesIO(source[:offset] if isinstance(source, bytes) else _read(source, 0, offset))).file_meta
    return _Outgoing(
        str(meta.MediaStorageSOPClassUID),
        str(meta.MediaStorageSOPInstanceUID),
        str(meta.TransferSyntaxUID),
        source,
        offset,
    )


def _read(path: Path, offset: int, length: int = -1) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _batches(outgoing: Sequence[_Outgoing]) -> Iterator[list[_Outgoing]]:
    """Yield all instances as one batch; more only where one Association has no room for so many kinds."""
    batch: list[_Outgoing] = []
    kinds: set[tuple[str, str]] = set()
    for item in outgoing:
        if item.kind not in kinds and len(proposed_contexts(kinds | {item.kind})) > MAX_CONTEXTS:
            yield batch
            batch, kinds = [], set()
        kinds.add(item.kind)
        batch.append(item)
    if batch:
        yield batch


def _send_one(
    assoc: DrivenAssociation, item: _Outgoing, message_id: int, destination: DestinationSettings
) -> SendReport:
    """Send one instance and wait for the answer."""
    context = _context_for(assoc, item)
    if context is None:
        return _report(item, SendOutcome.REFUSED, None, "no Presentation Context accepted for its kind of object")
    if not assoc.dul.is_open:
        return _report(item, SendOutcome.TRANSIENT, None, "the Association was lost before this instance was sent")
    request = C_STORE()
    request.MessageID, request.Priority = message_id, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = item.sop_class_uid, item.sop_instance_uid
    request.DataSet = BytesIO(_dataset(item, context))
    assoc.dimse.send_msg(request, context.context_id)
    _, response = assoc.dimse.get_msg(block=True)
    if (
        isinstance(response, C_STORE)
        and response.MessageIDBeingRespondedTo == message_id
        and response.is_valid_response
    ):
        return _report(item, outcome_of(response.Status), response.Status, _in_words(response))
    reason = "answered something else" if response is not None else f"{why_no_answer(assoc)} before it answered"
    assoc.end()
    return _report(item, SendOutcome.TRANSIENT, None, f"{named(destination)} {reason}")


def _context_for(assoc: DrivenAssociation, item: _Outgoing) -> PresentationContext | None:
    """Return the accepted context for an instance as it is, else for it rewritten without loss, else None."""
    accepted = {(str(cx.abstract_syntax), str(cx.transfer_syntax[0])): cx for cx in assoc.accepted_contexts}
    for transfer_syntax_uid in (item.transfer_syntax_uid, *alternatives(item.transfer_syntax_uid)):
        context = accepted.get((item.sop_class_uid, str(transfer_syntax_uid)))
        if context is not None:
            return context
    return None


def _dataset(item: _Outgoing, context: PresentationContext) -> bytes:
    """Return the dataset's bytes in the context's Transfer Syntax: those of the file wherever that is possible."""
    wanted = context.transfer_syntax[0]
    if wanted == item.transfer_syntax_uid:
        if isinstance(item.source, bytes):
            return item.source[item.dataset_offset :]
        return _read(item.source, item.dataset_offset)
    dataset = dcmread(BytesIO(item.source) if isinstance(item.source, bytes) else item.source)
    encoded = encode(dataset, wanted.is_implicit_VR, wanted.is_little_endian)
    if encoded is None:
        raise InvariantBroken("a derived instance can't be encoded")
    return bytes(encoded)


def _report(item: _Outgoing, outcome: SendOutcome, status: int | None, message: str) -> SendReport:
    log.info(
        "instance sent",
        sop_instance=item.sop_instance_uid,
        outcome=outcome.value,
        status=None if status is None else f"0x{status:04X}",
    )
    return SendReport(item.sop_instance_uid, outcome, status, message)


def _in_words(response: Any) -> str:
    """Return an answer in words, with the peer's own comment."""
    status = response.Status
    if status == SUCCESS:
        return "stored"
    if status == DUPLICATE_SOP_INSTANCE:
        meaning = "was there already"
    elif is_warning(status):
        meaning = "stored with a warning"
    elif outcome_of(status) is SendOutcome.REFUSED:
        meaning = "refused"
    else:
        meaning = "not stored for the moment"
    comment = f": {printable(str(response.ErrorComment))}" if response.ErrorComment else ""
    return f"{meaning} (0x{status:04X}){comment}"
