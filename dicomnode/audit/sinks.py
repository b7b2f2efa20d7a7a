"""Where audit messages go: a file of one message a line, a syslog server (RFC 5424 over UDP or TCP), or both."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from dicomnode.config import AuditSettings
from dicomnode.errors import TransientFault

_PRIORITY = 10 * 8 + 5  # facility security/authorization, severity notice
_MESSAGE_ID = "DICOM+RFC3881"  # PS3.15 A.6
_TIMEOUT_S = 5.0

Write = Callable[[str, datetime], None]


def open_sinks(settings: AuditSettings) -> Write | None:
    """Return what writes a message to every place that is configured; None where none is.

    It raises TransientFault if a message could not be handed over: the same may succeed later.
    """
    sinks: list[Write] = []
    if settings.file is not None:
        sinks.append(_to_file(settings.file))
    if settings.syslog is not None:
        sinks.append(_to_syslog(settings.syslog))
    if not sinks:
        return None

    def write(message: str, at: datetime) -> None:
        try:
            for sink in sinks:
                sink(message, at)
        except OSError as error:
            raise TransientFault(f"the audit trail can't be written ({error.strerror or error})") from error

    return write


def _to_file(path: Path) -> Write:
    def write(message: str, _at: datetime) -> None:
        # opened for each message, so that logrotate may take the file away at any time
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, f"{message}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    return write


def _to_syslog(address: str) -> Write:
    parts = urlsplit(address)

    def write(message: str, at: datetime) -> None:
        head = f"<{_PRIORITY}>1 {at.isoformat()} {socket.gethostname()} dicomnode {os.getpid()} {_MESSAGE_ID} - "
        line = head.encode() + b"\xef\xbb\xbf" + message.encode()  # the mark says: what follows is UTF-8
        if parts.scheme == "tcp":
            with socket.create_connection((parts.hostname or "", parts.port or 0), _TIMEOUT_S) as channel:
                channel.sendall(f"{len(line)} ".encode() + line)  # octet counting, RFC 6587
            return
        family = socket.AF_UNIX if parts.scheme == "unix" else socket.AF_INET
        to = parts.path if parts.scheme == "unix" else (parts.hostname, parts.port)
        with socket.socket(family, socket.SOCK_DGRAM) as channel:
            channel.sendto(line, to)

    return write
