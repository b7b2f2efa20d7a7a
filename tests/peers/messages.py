"""DIMSE messages as bytes (PS3.7 9.3, PS3.8 9.3.5), written by hand so that they can be spoilt."""

from __future__ import annotations

import struct

NM = "1.2.840.10008.5.1.4.1.1.20"
_COMMAND_LAST, _DATA_LAST = 3, 2  # message control header


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def _uid(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def command(*elements: bytes) -> bytes:
    """Return a command set with its group length."""
    body = b"".join(elements)
    return _element(0x0000, struct.pack("<L", len(body))) + body


def data_pdu(*values: bytes, context_id: int = 1) -> bytes:
    """Return a P-DATA-TF PDU of these presentation data values, each with its control header in front."""
    items = b"".join(struct.pack(">LB", len(value) + 1, context_id) + value for value in values)
    return b"\x04\0" + struct.pack(">L", len(items)) + items


def c_echo() -> bytes:
    """Return a C-ECHO request (in a context that was made for storage: the listener doesn't mind)."""
    request = command(
        _element(0x0002, _uid("1.2.840.10008.1.1")),
        _element(0x0100, b"\x30\0"),
        _element(0x0110, b"\1\0"),
        _element(0x0800, b"\1\1"),
    )
    return data_pdu(bytes([_COMMAND_LAST]) + request)


def c_store(sop_instance_uid: str, dataset: bytes, sop_class_uid: str = NM, most: int = 16_000) -> bytes:
    """Return a C-STORE request and its dataset, in PDUs of at most `most` bytes of data each."""
    request = command(
        _element(0x0002, _uid(sop_class_uid)),
        _element(0x0100, b"\1\0"),
        _element(0x0110, b"\1\0"),
        _element(0x0700, b"\0\0"),
        _element(0x0800, b"\0\0"),
        _element(0x1000, _uid(sop_instance_uid)),
    )
    parts = [dataset[at : at + most] for at in range(0, len(dataset), most)] or [b""]
    last = len(parts) - 1
    return data_pdu(bytes([_COMMAND_LAST]) + request) + b"".join(
        data_pdu(bytes([_DATA_LAST if k == last else 0]) + part) for k, part in enumerate(parts)
    )
