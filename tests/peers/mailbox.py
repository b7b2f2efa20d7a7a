"""A mail server, a webhook and a syslog server on loopback that keep what they are told."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.peers.process import HOST


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a client needs to leave a message."""

    def handle(self) -> None:
        self._say("220 tests")
        for raw in self.rfile:
            verb = raw[:4].upper()
            if verb == b"DATA":
                self._say("354 go on")
                lines = list(iter(self.rfile.readline, b".\r\n"))
                self.server.kept.append(b"".join(lines).decode())  # type: ignore[attr-defined]
            self._say("221 bye" if verb == b"QUIT" else "250 well")
            if verb == b"QUIT":
                return

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Syslog(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.server.kept.append(self.request[0].decode())  # type: ignore[attr-defined]


class _Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.kept.append(body)  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _served(server: Any) -> Iterator[tuple[int, list[Any]]]:
    server.kept = []
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_address[1], server.kept
    finally:
        server.shutdown()
        server.server_close()


def mailbox() -> Any:
    """Serve mail; gives the port and the list of messages."""
    return _served(socketserver.ThreadingTCPServer((HOST, 0), _Mail))


def webhook() -> Any:
    """Serve a webhook; gives the port and the list of JSON bodies."""
    return _served(HTTPServer((HOST, 0), _Webhook))


def syslog() -> Any:
    """Serve syslog over UDP; gives the port and the list of messages."""
    return _served(socketserver.UDPServer((HOST, 0), _Syslog))
