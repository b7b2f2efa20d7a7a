"""One Association on one thread: pynetdicom's protocol machinery, driven by whoever waits for the next PDU.

pynetdicom gives each Association two threads that wake a thousand times a second, reads 4 KB at a time, formats a
debug line for every PDU, waits for ever in the middle of a PDU, and buffers a PDU of whatever length the peer names.
The classes here keep its state machine, its negotiation, its PDUs and its service classes (PS3.8, PS3.7), and replace
only how they are driven: the thread that needs the next message reads the socket until it is there, with time-outs
and length limits. They lean on pynetdicom's inner names (`to_user_queue`, `state_machine`, `_recv_pdu`); the version
is pinned and tests/dicomnode/network pins the behavior.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import structlog
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL, C_ECHO
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from dicomnode.network.known_requests import ASSOCIATE_RQ, LONGEST_KNOWN, known_request
from dicomnode.network.memory import Overflow, ReceivingMemory, Share
from dicomnode.network.unsound import if_sound

log = structlog.get_logger(__name__)

STALL_S = 5.0  # silence inside a PDU
PDU_TIME_S = 60.0  # one PDU from its first byte to its last, however it drips
SEND_S = 30.0  # a peer that doesn't read what we send
LONGEST_CONTROL_PDU = 262_144  # bytes; an A-ASSOCIATE-RQ with 128 contexts of 20 Transfer Syntaxes has 90,000
PDU_SLACK = 65_536  # bytes by which a P-DATA PDU may exceed what we asked for: some peers count headers differently
LONGEST_SENT, SHORTEST_SENT = 1 << 20, 1 << 10  # bytes of a PDU of ours, whatever the peer asks for
LONGEST_COMMAND = 65_536  # bytes of a DIMSE command set
LARGEST_DATASET = 1 << 30  # bytes of one instance; the largest enhanced CT series stay below

# DCMTK and Orthanc leave Nagle's algorithm on and write a message in pieces: they then wait for our ACK of the first
# piece, which the kernel would delay by 40 ms. Linux forgets the option, so it is set again before each read.
QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)

LAST_WORDS = 65_536  # bytes that a peer may still send when we have ended the Association

P_DATA_TF = 0x04
LAST_OF_COMMAND = b"\x03"  # message control header of a command set's last fragment (PS3.8 E.2)
KNOWN_PDUS = range(0x01, 0x08)
REQUESTED, READY_FOR_DATA = "Sta3", "Sta6"  # states of PS3.8 Table 9-10
CLOSED = ("Sta1", "Sta13")
REQUEST_ARRIVED, CONNECTION_CLOSED, INVALID_PDU = "Evt6", "Evt17", "Evt19"

Connection = socket.socket


class TimedSocket(AssociationSocket):  # type: ignore[misc]
    """A socket that waits only so long, and answers in one segment at once."""

    socket: Connection | None

    def __init__(self, assoc: Association, client_socket: Connection | None = None, **kwargs: Any) -> None:
        super().__init__(assoc, client_socket=client_socket, **kwargs)
        self.last_heard = time.monotonic()
        self.failure = ""  # why connect() failed

    def connect(self, primitive: Any) -> None:
        """Connect, under TLS if `tls_args` are set, and tell the state machine how it went.

        Nagle's algorithm is off: it would hold the last segment of a command until the peer's delayed ACK.
        """
        try:
            if self.socket is None:
                raise ConnectionError("closed")
            self.socket.settimeout(self.assoc.connection_timeout)
            self.socket.connect(primitive.address_info.as_tuple)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls_args:
                context, name = self.tls_args
                self.socket = context.wrap_socket(self.socket, server_hostname=name)
            self._is_connected, primitive.result = True, "Evt2"
        except OSError as error:
            self.failure = why(error)
            self._shutdown_socket()
            self.socket, primitive.result = None, CONNECTION_CLOSED
        self.provider_queue.put(primitive)
        self._ready.set()

    def read_some(self, view: memoryview, timeout_s: float | None) -> int:
        """Read at least one byte into `view` and return how many.

        Raises TimeoutError if none came in time, another OSError if the connection has ended.
        """
        if self.socket is None:
            raise ConnectionError("closed")
        self.socket.settimeout(timeout_s)
        if QUICK_ACK is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
        count = self.socket.recv_into(view)
        if not count:
            raise ConnectionError("closed by the peer")
        self.last_heard = time.monotonic()
        return count

    def fill(self, view: memoryview, deadline: float) -> None:
        """Read until `view` is full. Raises OSError if the peer stalls, drips past the deadline, or goes away."""
        while view:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise TimeoutError("PDU took too long")
            view = view[self.read_some(view, min(STALL_S, remaining_s)) :]

    def send(self, bytestream: bytes) -> None:
        """Send all bytes, or tell the state machine that the connection is gone."""
        try:
            if self.socket is None:
                raise ConnectionError("closed")
            self.socket.settimeout(SEND_S)
            self.socket.sendall(bytestream)
        except OSError:
            self.event_queue.put(CONNECTION_CLOSED)

    def interrupt(self) -> None:
        """Wake the thread that reads; called from another thread."""
        if self.socket is not None:
            end_reading(self.socket)

    def close_after_peer(self, patience_s: float = 1.0) -> None:
        """Close once the peer has read our last PDU and closed its side, or has had `patience_s` to do so."""
        sock, self.socket, self._is_connected = self.socket, None, False
        if sock is None:
            return
        try:
            socket.socket.shutdown(sock, socket.SHUT_WR)
            sock.settimeout(patience_s)
            sock.recv(LAST_WORDS)
        except (OSError, ValueError):
            pass  # the peer was faster
        finally:
            sock.close()


def why(error: OSError) -> str:
    """Return the reason of a failed connection in words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'handshake failed').lower().replace('_', ' ')}"
    return (error.strerror or type(error).__name__).lower()


def end_reading(sock: socket.socket) -> None:
    """Let a read that waits in another thread return at once.

    An SSLSocket's own shutdown() would pull the TLS layer from under the reader, so the plain one is called.
    """
    with contextlib.suppress(OSError):  # closed already
        socket.socket.shutdown(sock, socket.SHUT_RD)


class DrivenUpperLayer(DULServiceProvider):  # type: ignore[misc]
    """The upper layer without its thread: it works when something is sent or waited for."""

    def __init__(self, assoc: DrivenAssociation) -> None:
        super().__init__(assoc)
        self.longest_data_pdu = assoc.ae.maximum_pdu_size + PDU_SLACK

    @property
    def is_open(self) -> bool:
        """Whether the peer still counts on us."""
        return self.state_machine.current_state not in CLOSED

    def send_pdu(self, primitive: Any) -> None:
        """Send now, in the caller's thread; data for a peer that has gone is dropped."""
        if isinstance(primitive, P_DATA) and self.state_machine.current_state != READY_FOR_DATA:
            return
        super().send_pdu(primitive)
        self.work()

    def receive_pdu(self, wait: bool = False, timeout: float | None = None) -> Any:
        """Return the next association primitive; with `wait`, read until it is there, or `timeout` s of silence."""
        if wait:
            self.read_until(lambda: False, timeout)
        return super().receive_pdu(wait=False)

    def read_until(self, arrived: Callable[[], bool], patience_s: float | None) -> None:
        """Read PDUs until something arrived, the Association changed its state, or the peer was silent too long."""
        self.work()
        while not arrived() and self.to_user_queue.empty() and self.is_open:
            if not self.read_pdu(patience_s):
                return
            self.work()

    def work(self) -> None:
        """Let the state machine take every event and primitive that waits for it."""
        while not self._kill_thread:
            if self.event_queue.empty() and not self._process_recv_primitive():
                return
            try:
                self.state_machine.do_action(self.event_queue.get_nowait())
            except InvalidEventError:  # a primitive of ours that came after the peer had ended the Association
                self.kill_dul()

    def read_pdu(self, patience_s: float | None) -> bool:
        """Read one PDU and hand it on; False if none began within `patience_s` seconds, or someone interrupted."""
        sock: TimedSocket = self.socket
        header = bytearray(6)
        try:
            begun = sock.read_some(memoryview(header), patience_s)
        except TimeoutError:
            return False
        except OSError:
            return self._connection_ended()
        deadline = time.monotonic() + PDU_TIME_S
        try:
            sock.fill(memoryview(header)[begun:], deadline)
            kind, length = header[0], int.from_bytes(header[2:])
            if kind not in KNOWN_PDUS or length > self._longest(kind):
                log.warning("PDU refused", kind=kind, length=length)
                self.event_queue.put(INVALID_PDU)
                return True
            pdu = bytearray(6 + length)
            pdu[:6] = header
            sock.fill(memoryview(pdu)[6:], deadline)
        except OSError:
            return self._connection_ended()
        self._take(kind, pdu)
        return True

    def _connection_ended(self) -> bool:
        if self.assoc.interrupted:
            return False
        self.event_queue.put(CONNECTION_CLOSED)
        return True

    def _longest(self, kind: int) -> int:
        return self.longest_data_pdu if kind == P_DATA_TF else LONGEST_CONTROL_PDU

    def _take(self, kind: int, pdu: bytearray) -> None:
        """Hand a whole PDU on: data straight to the message that it belongs to, the rest to the state machine."""
        if kind == P_DATA_TF and self.state_machine.current_state == READY_FOR_DATA:
            data = P_DATA()
            data.presentation_data_value_list.extend(_presentation_data_values(memoryview(pdu)[6:]))
            if data.presentation_data_value_list:
                self.assoc.dimse.receive_primitive(data)
            else:
                self.event_queue.put(INVALID_PDU)
            return
        found = if_sound(f"PDU of type {kind}", lambda: self._decode_pdu(pdu))
        if found is None:
            self.event_queue.put(INVALID_PDU)
            return
        decoded, event = found
        self._recv_pdu.put(decoded)
        self.event_queue.put(event)

    def _decode_pdu(self, pdu: bytearray) -> tuple[Any, str]:
        if pdu[0] == ASSOCIATE_RQ and len(pdu) <= LONGEST_KNOWN:
            return known_request(bytes(pdu)), REQUEST_ARRIVED
        decoded: tuple[Any, str] = super()._decode_pdu(pdu)
        return decoded


def _presentation_data_values(body: memoryview) -> list[tuple[int, memoryview]]:
    """Return (context id, control byte and fragment) of each item of a P-DATA-TF (PS3.8 9.3.5.1); none if malformed."""
    items: list[tuple[int, memoryview]] = []
    while body:
        length = int.from_bytes(body[:4])
        if length < 2 or length > len(body) - 4:
            return []
        items.append((body[4], body[5 : 4 + length]))
        body = body[4 + length :]
    return items


class DrivenMessages(DIMSEServiceProvider):  # type: ignore[misc]
    """The message layer: waiting for a message reads the socket; a message may not grow without end."""

    message: DIMSEMessage | None  # the one that is being received

    def __init__(self, assoc: DrivenAssociation, memory: ReceivingMemory) -> None:
        super().__init__(assoc)
        self.share = Share(memory)  # what the message takes that is being received or served

    def drop(self) -> None:
        """Let go of all that was received: an Association that has ended may wait long for the garbage collector."""
        self.message = None
        while not self.msg_queue.empty():
            self.msg_queue.get_nowait()
        self.share.give_back()

    def get_msg(self, block: bool = False) -> Any:
        """Return the next (context id, message); with `block`, read until it is whole. (None, None): there is none."""
        if block:
            self.dul.read_until(lambda: not self.msg_queue.empty(), self.dimse_timeout)
        return super().get_msg(block=False)

    def send_command(self, context_id: int, command_set: bytes) -> None:
        """Send a message without data, its command set encoded already and shorter than any PDU (PS3.8 Annex E)."""
        data = P_DATA()
        data.presentation_data_value_list.append((context_id, LAST_OF_COMMAND + command_set))
        self.dul.send_pdu(data)

    @property
    def maximum_pdu_size(self) -> int:
        """The longest PDU that we send: what the peer takes (0: any), within reason."""
        peer_takes = super().maximum_pdu_size or LONGEST_SENT
        return int(min(max(peer_takes, SHORTEST_SENT), LONGEST_SENT))

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Add a fragment to the message, and queue it once it is whole; raises ValueError if the command has no end.

        pynetdicom would serve an N-EVENT-REPORT on a thread of its own, beside the one that reads.
        """
        self.message = message = self.message or DIMSEMessage()
        if message.decode_msg(primitive, self.assoc):
            self.message = None
            self._queue(message)
        elif message.encoded_command_set.tell() > LONGEST_COMMAND:
            raise ValueError("command set too long")
        elif message.data_set.tell() > self.share.room and (reason := self._why_no_room(message.data_set.tell())):
            message.data_set = Overflow(reason)
            self.share.give_back()

    def _why_no_room(self, length: int) -> str:
        """Take memory for more of a message, and wait for it if need be; return why there is none, "" if there is."""
        if length > LARGEST_DATASET:
            return f"larger than {LARGEST_DATASET >> 20} MiB"
        grown = self.share.grow(lambda: self.assoc.interrupted is not None)
        self.dul.socket.last_heard = time.monotonic()  # the silence was ours
        return "" if grown else "no memory for so large an instance now; try again"

    def _queue(self, message: DIMSEMessage) -> None:
        whole = if_sound("message", message.message_to_primitive)
        if whole is None:
            self.dul.event_queue.put(INVALID_PDU)
            return
        if not isinstance(whole, C_CANCEL):  # nothing that we do for peers can be cancelled
            self.msg_queue.put((message.context_id, whole))


class DrivenAssociation(Association):  # type: ignore[misc]
    """An Association, either role, without threads of its own."""

    def __init__(self, ae: AE, mode: str, memory: ReceivingMemory) -> None:
        super().__init__(ae, mode)
        self.dul = DrivenUpperLayer(self)
        self.dimse = DrivenMessages(self, memory)
        self.interrupted: str | None = None  # why another thread wants this Association to end
        self._is_paused = True  # there is no reactor to pause

    def _bind_defaults(self) -> None:
        """Bind what answers requests, and none of the handlers that format a debug line for every PDU."""
        for event in evt._INTERVENTION_EVENTS:
            self.bind(event, evt.get_default_handler(event))

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """Serve C-ECHO; whoever asks for anything else that the listener doesn't serve itself is shown out."""
        if isinstance(msg, C_ECHO):
            super()._serve_request(msg, context_id)
        else:
            self.interrupt("asked for a service that isn't offered")

    @property
    def silent_s(self) -> float:
        """Seconds since the peer's last byte; none while it is us who don't read."""
        return 0.0 if self.dimse.share.is_waiting else float(time.monotonic() - self.dul.socket.last_heard)

    def interrupt(self, reason: str) -> None:
        """Make the thread of this Association end it with an A-ABORT; called from another thread."""
        self.interrupted = reason
        self.dul.socket.interrupt()

    def end(self) -> None:
        """Send A-ABORT if the Association is still open, and close the connection."""
        if self.dul.is_open:
            self.acse.send_abort(0x00)
        self.kill()
        self.dul.socket.close_after_peer()
        self.dimse.drop()
