"""Does our own listener still take connections? Asked by the watchdog, without an Association."""

from __future__ import annotations

import socket

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where we listen, not a bind


def is_answering(host: str, port: int, timeout_s: float = 5.0) -> bool:
    """Tell whether the listener accepts a connection and sees it end: its thread works, and so do those it starts.

    A probe like that of a port monitor: it needs no AE title and no certificate, and leaves no line in the log.
    """
    try:
        with socket.create_connection((_EVERY_ADDRESS.get(host, host), port), timeout_s) as probe:
            probe.shutdown(socket.SHUT_WR)
            probe.recv(1024)
            return True
    except ConnectionResetError:
        return True  # it saw us go
    except OSError:
        return False
