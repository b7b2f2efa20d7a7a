"""Associations that we ask for: opened at a destination, released in good manners, failures said in words."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from pynetdicom import AE
from pynetdicom._globals import MODE_REQUESTOR
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation

from dicomnode.config import DestinationSettings, TlsSettings
from dicomnode.errors import ConfigurationError, TransientFault
from dicomnode.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomnode.network.memory import ReceivingMemory
from dicomnode.network.tls import client_context
from dicomnode.network.upper_layer import LARGEST_DATASET, DrivenAssociation, TimedSocket

log = structlog.get_logger(__name__)

CONNECT_S = 10.0
ASSOCIATE_S = 30.0
RESPONSE_S = 120.0  # some archives index an instance before they answer
MAX_PDU = 131_072


def open_association(
    destination: DestinationSettings,
    calling_ae_title: str,
    tls: TlsSettings | None,
    contexts: list[PresentationContext],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    response_s: float | None = None,
    memory: ReceivingMemory | None = None,
) -> DrivenAssociation:
    """Open an Association; `response_s` is how long each response may take, `memory` is for instances that come by it.

    Raises TransientFault with a sentence if that fails.
    """
    assoc = _requestor(destination, calling_ae_title, contexts, memory or ReceivingMemory(LARGEST_DATASET))
    assoc.dimse_timeout = response_s or RESPONSE_S
    for role in roles:
        assoc.requestor.add_negotiation_item(role)
    if destination.tls:
        if tls is None:
            raise ConfigurationError(f"destination {destination.name!r} wants tls, but there is no [tls] table")
        assoc.dul.socket.tls_args = (client_context(tls), destination.host)
    assoc.acse.negotiate_association()
    if assoc.is_established or assoc.rejected_contexts:
        return assoc
    reason = _why_not_open(assoc)
    assoc.end()
    log.warning("no Association", destination=destination.name, reason=reason)
    raise TransientFault(f"{named(destination)} {reason}")


def _requestor(
    destination: DestinationSettings,
    calling_ae_title: str,
    contexts: list[PresentationContext],
    memory: ReceivingMemory,
) -> DrivenAssociation:
    """Return an Association that is ready to be asked for."""
    ae = AE(calling_ae_title)
    ae.connection_timeout, ae.acse_timeout, ae.dimse_timeout = CONNECT_S, ASSOCIATE_S, RESPONSE_S
    ae.maximum_pdu_size = MAX_PDU
    try:
        remote = AddressInformation(destination.host, destination.port)
    except OSError as error:
        raise TransientFault(f"{named(destination)} has an unknown host name") from error
    local = AddressInformation("0.0.0.0" if remote.is_ipv4 else "::", 0)  # noqa: S104  outgoing: any interface
    assoc = DrivenAssociation(ae, MODE_REQUESTOR, memory)
    assoc.set_socket(TimedSocket(assoc, address=local))
    assoc.acceptor.ae_title, assoc.acceptor.address_info = destination.ae_title, remote
    assoc.requestor.ae_title, assoc.requestor.address_info = calling_ae_title, local
    assoc.requestor.maximum_length = MAX_PDU
    assoc.requestor.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    assoc.requestor.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    assoc.requestor.requested_contexts = contexts
    return assoc


def _why_not_open(assoc: DrivenAssociation) -> str:
    """Return why no Association came about, as the rest of a sentence about the destination."""
    if assoc.is_rejected:
        answer = assoc.acceptor.primitive
        lasting = "until its configuration or ours changes" if answer.result == 1 else "for the moment"
        return f"rejected the Association {lasting} ({answer.reason_str.lower()})"
    if assoc.dul.socket.failure:
        return f"can't be reached ({assoc.dul.socket.failure})"
    if assoc._sent_abort:
        return f"gave no answer to the request for an Association within {ASSOCIATE_S:g} s"
    return "closed the connection instead of opening an Association"


def why_no_answer(assoc: DrivenAssociation) -> str:
    """Return why a response is missing, as the rest of a sentence about the destination."""
    if assoc.acse.is_aborted("a-abort"):
        return "aborted the Association"
    return f"stayed silent for {assoc.dimse.dimse_timeout:g} s" if assoc.dul.is_open else "closed the connection"


def named(destination: DestinationSettings) -> str:
    """Return the destination as it is called in messages."""
    return f"{destination.name} ({destination.ae_title} at {destination.host}:{destination.port})"


def release(assoc: DrivenAssociation) -> None:
    """End the Association in good manners where that is still possible."""
    if assoc.is_established and assoc.dul.is_open:
        assoc.acse.negotiate_release()
    assoc.end()
