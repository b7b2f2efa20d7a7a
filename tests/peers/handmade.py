"""A peer whose PDUs are written by hand, so that it can send what no library would (PS3.8 9.3)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.peers.messages import NM, c_store
from tests.peers.process import HOST

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
ACCEPTED, REJECTED, DATA, RELEASED, ABORTED = 2, 3, 4, 6, 7  # PDU types of answers
ABORT = b"\x07\0\0\0\0\4\0\0\0\0"
RELEASE = b"\x05\0\0\0\0\4\0\0\0\0"


def association_request(
    transfer_syntax: str = EXPLICIT, sop_class: str = NM, calling: str = "SPECT1", called: str = "DICOMNODE"
) -> bytes:
    """Return an A-ASSOCIATE-RQ PDU with one Presentation Context, number 1."""
    context = b"\1\0\0\0" + _item(0x30, sop_class.encode()) + _item(0x40, transfer_syntax.encode())
    user = _item(0x51, struct.pack(">L", 16_384)) + _item(0x52, b"1.2.3.4")
    items = _item(0x10, _APPLICATION_CONTEXT.encode()) + _item(0x20, context) + _item(0x50, user)
    titles = called.encode().ljust(16) + calling.encode().ljust(16)
    body = b"\0\1\0\0" + titles + bytes(32) + items
    return b"\x01\0" + struct.pack(">L", len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def read_pdu(sock: socket.socket) -> bytes:
    """Read one PDU; empty once the node has closed the connection."""
    header = _read(sock, 6)
    return header + _read(sock, int.from_bytes(header[2:])) if header else b""


def _read(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        try:
            more = sock.recv(count - len(found))
        except ConnectionError:
            return b""
        if not more:
            return b""
        found += more
    return found


@contextmanager
def connected(port: int, first: bytes = b"") -> Iterator[socket.socket]:
    """Connect, send some bytes, and stay."""
    with socket.create_connection((HOST, port), timeout=60) as sock:
        sock.sendall(first)
        yield sock


@contextmanager
def associated(port: int, transfer_syntax: str = EXPLICIT, sop_class: str = NM) -> Iterator[socket.socket]:
    """Open an Association. Raises ConnectionRefusedError if it, or its one Presentation Context, is not accepted."""
    with connected(port, association_request(transfer_syntax, sop_class)) as sock:
        answer = read_pdu(sock)
        if not answer or answer[0] != ACCEPTED or not _context_accepted(answer):
            raise ConnectionRefusedError
        yield sock


def _context_accepted(answer: bytes) -> bool:
    """Tell whether the A-ASSOCIATE-AC accepts its Presentation Context (item 21H: id, 0, result)."""
    at = 74
    while at < len(answer):
        kind, length = answer[at], int.from_bytes(answer[at + 2 : at + 4])
        if kind == 0x21:
            return answer[at + 6] == 0
        at += 4 + length
    return False


def store(
    port: int, dataset: bytes, sop_instance_uid: str, sop_class: str = NM, transfer_syntax: str = EXPLICIT
) -> int | None:
    """Send one dataset over an Association of its own; return the DIMSE status, None if none came."""
    with associated(port, transfer_syntax, sop_class) as sock:
        status = store_over(sock, dataset, sop_instance_uid, sop_class)
        if status is not None:
            sock.sendall(RELEASE)
            read_pdu(sock)
        return status


def store_over(sock: socket.socket, dataset: bytes, sop_instance_uid: str, sop_class: str = NM) -> int | None:
    """Send one dataset over an open Association; return the DIMSE status, None if none came."""
    try:
        sock.sendall(c_store(sop_instance_uid, dataset, sop_class))
    except ConnectionError:
        return None
    answer = read_pdu(sock)
    return _status(answer[12:]) if answer and answer[0] == DATA else None


def _status(command: bytes) -> int | None:
    while len(command) >= 8:
        _group, number, length = struct.unpack_from("<HHL", command)
        if number == 0x0900:
            return int.from_bytes(command[8:10], "little")
        command = command[8 + length :]
    return None
