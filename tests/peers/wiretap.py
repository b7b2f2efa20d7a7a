"""A tap on the wire: passes on what goes between two programs on loopback, and keeps a copy of every byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.peers.process import HOST


@dataclass
class Wiretap:
    """What was heard in both directions by those who connected to `port`."""

    port: int
    heard: bytearray = field(default_factory=bytearray)
    _sockets: list[socket.socket] = field(default_factory=list)

    def holds(self, *words: bytes) -> list[bytes]:
        """Return which of these words went over the wire in the clear."""
        return [word for word in words if word in self.heard]

    def pass_on(self, one: socket.socket, other: socket.socket) -> None:
        """Copy bytes from one end to the other until it closes."""
        with suppress(OSError):
            while data := one.recv(65536):
                self.heard += data
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def serve(self, listener: socket.socket, target: int) -> None:
        """Connect every newcomer with the target's port."""
        with suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.create_connection((HOST, target))
                self._sockets += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self.pass_on, args=ends, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for end in self._sockets:
            end.close()


@contextmanager
def tapped(target: int) -> Iterator[Wiretap]:
    """Listen on a port of its own for what is meant for the target's port."""
    with socket.create_server((HOST, 0)) as listener:
        tap = Wiretap(int(listener.getsockname()[1]))
        threading.Thread(target=tap.serve, args=(listener, target), daemon=True).start()
        yield tap
        listener.shutdown(socket.SHUT_RDWR)
    tap.close()
