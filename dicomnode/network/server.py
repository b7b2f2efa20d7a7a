"""The TCP side of the listener: accepts connections, one thread each, and nothing that a peer does stops the others.

The accepting thread only accepts: TLS handshake, negotiation and service run on the connection's own thread, each under
a time-out.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from socketserver import BaseServer
from typing import Any

import structlog
from pynetdicom import AE
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, ThreadedAssociationServer

from dicomnode.network.admission import HalfOpenConnections
from dicomnode.network.memory import ReceivingMemory
from dicomnode.network.tls import RenewedContext
from dicomnode.network.upper_layer import DrivenAssociation, TimedSocket, why

log = structlog.get_logger(__name__)

HANDSHAKE_S = 5.0
POLL_S = 0.1

Serve = Callable[[DrivenAssociation, str, Callable[[], None]], None]


class AssociationServer(ThreadedAssociationServer):  # type: ignore[misc]
    """pynetdicom's threaded server, with threads that can't be held up and connections that can't pile up.

    `serve(assoc, host, associates)` is called on the connection's own thread for each connection, and returns when it
    is over; it calls `associates()` once the peer has asked for an Association, or will never.
    The constructor raises OSError if the address can't be bound.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        contexts: list[PresentationContext],
        tls: RenewedContext | None,
        serve: Serve,
        memory: ReceivingMemory,
    ) -> None:
        self.half_open = HalfOpenConnections()
        self._serve, self._tls, self._memory = serve, tls, memory
        super().__init__(ae, address, ae.ae_title, contexts)

    def start(self) -> None:
        """Accept connections on a thread of the server's own."""
        threading.Thread(target=self.serve_forever, args=(POLL_S,), name="dicom-listener", daemon=True).start()

    def shutdown(self) -> None:
        """Stop accepting and end the connections that haven't asked for an Association; open Associations go on."""
        BaseServer.shutdown(self)
        self.server_close()
        self.half_open.drop_all()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; under TLS the handshake is left to the connection's thread."""
        connection, address = self.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._tls is not None:
            context = self._tls.current()
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        """Start the connection's thread; it is counted from here on, so that threads can't pile up."""
        self.half_open.enter(request, client_address[0])
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket.socket, client_address: Any) -> None:
        """Serve one connection from its first byte to its last."""
        own_address = ""
        try:
            own_address = request.getsockname()[0]
            if isinstance(request, ssl.SSLSocket):
                request.settimeout(HANDSHAKE_S)
                request.do_handshake()
            assoc = self._association(request, client_address)
            self._serve(assoc, client_address[0], lambda: self.half_open.leave(request))
        except OSError as error:
            # our own watchdog looks in like that under TLS, three times within its time
            tell = log.debug if client_address[0] == own_address else log.info
            tell("connection ended before an Association", host=client_address[0], reason=why(error))
        finally:
            self.half_open.leave(request)
            self.shutdown_request(request)

    def _association(self, request: socket.socket, client_address: Any) -> DrivenAssociation:
        assoc = DrivenAssociation(self.ae, MODE_ACCEPTOR, self._memory)
        assoc.set_socket(TimedSocket(assoc, client_socket=request))
        assoc.requestor.address_info = AddressInformation.from_tuple(client_address)
        assoc.acceptor.address_info = AddressInformation.from_tuple(self.server_address)
        assoc.acceptor.ae_title = self.ae_title
        assoc.acceptor.maximum_length = self.ae.maximum_pdu_size
        assoc.acceptor.implementation_class_uid = self.ae.implementation_class_uid
        assoc.acceptor.implementation_version_name = self.ae.implementation_version_name
        assoc.acceptor.supported_contexts = self.contexts
        return assoc

    def service_actions(self) -> None:
        """Do nothing between connections: pynetdicom collects garbage here, while every Association waits."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log that a connection could not be served."""
        log.exception("connection could not be served", host=client_address[0])
