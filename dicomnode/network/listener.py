"""Storage, Verification and Storage Commitment SCP: hands what arrives to the callables it was given, and answers.

The answer to a C-STORE is sent when that callable has returned, so success means that the instance is safe.
"""

from __future__ import annotations

import errno
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import structlog
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from dicomnode.config import NodeSettings, PeerSettings, TlsSettings
from dicomnode.errors import ConfigurationError
from dicomnode.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomnode.network.admission import Guest, Rejection, RejectionLog, Slots, is_verified, printable, rejection
from dicomnode.network.commitment import CommitmentService, answer_report, answer_request, reporting_peer
from dicomnode.network.memory import ReceivingMemory, receiving_memory
from dicomnode.network.presentation import accepted_contexts
from dicomnode.network.server import AssociationServer
from dicomnode.network.storage import Receive, serve_store
from dicomnode.network.tls import RenewedContext
from dicomnode.network.upper_layer import REQUESTED, DrivenAssociation
from dicomnode.study import ReceivedInstance

log = structlog.get_logger(__name__)

REQUEST_S = 5.0  # from the TCP connection to the A-ASSOCIATE-RQ (ARTIM, PS3.8 9.1.5)
IDLE_S = 60.0  # silence between two requests, after which the Association is ended

AssociationClosed = Callable[[str], None]
AssociationRejected = Callable[[Guest, Rejection, int], None]


class Listener:
    """Listens on the node's port from `start` to `stop`.

    `receive` is called on the Association's own thread, several at a time. When it returns, the peer is told success;
    InstanceRejected becomes its DIMSE status and comment; OSError and TransientFault become "out of resources", so
    that the peer tries again; anything else "cannot understand", and an error in the log. `association_closed` is
    called with the name of an Association when it has ended, in whichever way; `association_rejected` when
    peers were rejected, for the same guest and reason once a minute, with the number of times since. `memory` bounds
    what all Associations hold of instances that are on their way to `receive`.
    """

    def __init__(
        self,
        node: NodeSettings,
        peers: Sequence[PeerSettings],
        tls: TlsSettings | None,
        receive: Receive,
        association_closed: AssociationClosed,
        commitment: CommitmentService | None = None,
        association_rejected: AssociationRejected | None = None,
        memory: ReceivingMemory | None = None,
    ) -> None:
        self._node, self._peers, self._tls = node, tuple(peers), tls
        self._receive, self._association_closed = receive, association_closed
        self._commitment, self._association_rejected = commitment, association_rejected
        self._memory = memory or receiving_memory(node)
        self._slots = Slots(node.max_associations)
        self._numbers = itertools.count(1)
        self._rejected = RejectionLog()
        self._server: AssociationServer | None = None
        self._accepting = False

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1]) if self._server is not None else self._node.port

    @property
    def open_associations(self) -> int:
        """How many Associations are open."""
        return len(self._slots)

    def start(self) -> None:
        """Listen. Raises ConfigurationError if the address can't be listened on or a TLS file is unusable."""
        context = RenewedContext(self._tls) if self._tls is not None else None
        try:
            self._server = self._bound(context)
        except OSError as error:
            raise ConfigurationError(_why_not_bound(self._node, error)) from error
        self._accepting = True
        self._server.start()
        log.info("listening", host=self._node.host, port=self.port, ae_title=self._node.ae_title, tls=bool(context))

    def admit(self, peers: Sequence[PeerSettings]) -> None:
        """Let these peers associate from now on; open Associations go on, also those of a peer that is gone."""
        self._peers = tuple(peers)

    def stop_accepting(self) -> None:
        """Take no new connections; open Associations go on."""
        if self._server is not None and self._accepting:
            self._accepting = False
            self._server.shutdown()

    def stop(self, drain_s: float) -> None:
        """Stop accepting, let open Associations finish for at most `drain_s` seconds, and end those that remain."""
        self.stop_accepting()
        self._slots.drain(drain_s)

    def _bound(self, context: RenewedContext | None) -> AssociationServer:
        ae = AE(self._node.ae_title)
        ae.maximum_pdu_size = self._node.max_pdu
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.maximum_associations = 1_000_000  # counted by our slots
        ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = REQUEST_S, IDLE_S, IDLE_S
        address = (self._node.host, self._node.port)
        return AssociationServer(ae, address, accepted_contexts(), context, self._serve, self._memory)

    def _serve(self, assoc: DrivenAssociation, host: str, associates: Callable[[], None]) -> None:
        """Serve one connection; the outer wall of its thread."""
        name = f"association-{next(self._numbers)}"
        try:
            self._associate(assoc, host, name, associates)
        except Exception as error:  # noqa: BLE001  outer wall: a peer's bytes must not end more than its Association
            log.warning("Association failed", association=name, host=host, error=type(error).__name__)
        finally:
            assoc.end()

    def _associate(self, assoc: DrivenAssociation, host: str, name: str, associates: Callable[[], None]) -> None:
        request = assoc.dul.receive_pdu(wait=True, timeout=REQUEST_S)
        associates()
        if assoc.dul.state_machine.current_state != REQUESTED:
            return  # a port probe; a silent or malformed peer
        assoc.requestor.primitive = request
        guest = Guest(request.calling_ae_title.strip(), request.called_ae_title.strip(), host, *_identity(assoc))
        refused = rejection(guest, self._node, self._peers) or self._place(assoc, guest)
        if refused is not None:
            self._reject(assoc, guest, refused)
            return
        try:
            self._converse(assoc, guest, name)
        finally:
            self._slots.leave(assoc)
            self._association_closed(name)

    def _reject(self, assoc: DrivenAssociation, guest: Guest, reason: Rejection) -> None:
        times = self._rejected.times(guest, reason, time.monotonic())
        if times:
            log.warning(
                "Association rejected",
                reason=reason.name.lower().replace("_", " "),
                calling_ae=printable(guest.calling_ae_title),
                called_ae=printable(guest.called_ae_title),
                host=guest.host,
                count=times,
            )
            if self._association_rejected is not None:
                self._association_rejected(guest, reason, times)
        assoc.acse.send_reject(*reason.value)

    def _place(self, assoc: DrivenAssociation, guest: Guest) -> Rejection | None:
        if not self._accepting:
            return Rejection.TEMPORARY_CONGESTION
        return None if self._slots.enter(assoc, guest) else Rejection.LOCAL_LIMIT_EXCEEDED

    def _converse(self, assoc: DrivenAssociation, guest: Guest, name: str) -> None:
        """Negotiate, then answer requests until the peer releases or aborts, is silent too long, or must make room."""
        if is_verified(guest, self._peers):
            _confirm_identity(assoc)
        assoc.acse.negotiate_association()
        log.info(
            "Association opened",
            association=name,
            calling_ae=printable(guest.calling_ae_title),
            host=guest.host,
            contexts=len(assoc.accepted_contexts),
        )
        while assoc.is_established:
            context_id, message = assoc.dimse.get_msg(block=True)
            if message is None:
                break
            self._answer(assoc, guest, name, context_id, message)
            if assoc.dimse.share.held:  # small ones stay until the next is there: malloc is twice as quick then
                message = None
                assoc.dimse.share.give_back()
        log.info("Association closed", association=name, ending=_ending(assoc))

    def _answer(self, assoc: DrivenAssociation, guest: Guest, name: str, context_id: int, message: Any) -> None:
        self._slots.set_busy(assoc, True)
        try:
            if isinstance(message, C_STORE):
                serve_store(assoc, context_id, message, guest, name, partial(self._keep, assoc))
            elif self._commitment is not None and isinstance(message, N_ACTION):
                peer = reporting_peer(guest, self._peers)
                answer_request(assoc, context_id, message, peer, self._commitment.asked)
            elif self._commitment is not None and isinstance(message, N_EVENT_REPORT):
                answer_report(assoc, context_id, message, self._commitment.reported)
            else:
                assoc._serve_request(message, context_id)
        finally:
            self._slots.set_busy(assoc, False)

    def _keep(self, assoc: DrivenAssociation, received: ReceivedInstance) -> None:
        self._receive(received)
        self._slots.set_stored(assoc)


def _identity(assoc: DrivenAssociation) -> tuple[str, str]:
    """Return user name and passcode of the peer's User Identity Negotiation; empty where it offers none of these."""
    offered = assoc.requestor.user_identity
    if offered is None or offered.user_identity_type not in (1, 2):
        return "", ""
    fields = (offered.primary_field or b"", offered.secondary_field or b"")
    return fields[0].decode("utf-8", "replace"), fields[1].decode("utf-8", "replace")


def _confirm_identity(assoc: DrivenAssociation) -> None:
    """Have the acceptance say that the user was verified, if that was asked for (PS3.7 D.3.3.7.2).

    The response is empty for a user name, with or without passcode; pynetdicom makes none for these.
    """
    offered = assoc.requestor.user_identity
    if offered is not None and offered.positive_response_requested:
        confirmation = UserIdentityNegotiation()
        confirmation.server_response = b""
        assoc.acceptor.add_negotiation_item(confirmation)


def _ending(assoc: DrivenAssociation) -> str:
    """Return how the Association ended, in words; answers the peer's release if that is how."""
    if assoc.acse.is_release_requested():
        assoc.acse.send_release(is_response=True)
        return "released"
    if assoc.interrupted is not None:
        return assoc.interrupted
    if assoc.acse.is_aborted("a-abort"):
        return "aborted by the peer"
    return "idle" if assoc.dul.is_open else "broken"


def _why_not_bound(node: NodeSettings, error: OSError) -> str:
    """Return a sentence for the administrator: what is wrong, in which key, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"[node] port: port {node.port} on {node.host} is in use by another program;"
            " stop that program or choose another port"
        )
    if error.errno == errno.EACCES:
        return (
            f"[node] port: this user may not listen on port {node.port};"
            " choose a port above 1023 or give the service CAP_NET_BIND_SERVICE"
        )
    return (
        f"[node] host: can't listen on {node.host!r} ({error.strerror or error});"
        f" give an address of this machine (used with node.port {node.port})"
    )
