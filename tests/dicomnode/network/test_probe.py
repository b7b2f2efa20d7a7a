"""The watchdog's look at our own listener."""

from __future__ import annotations

import socket

from dicomnode.network.probe import is_answering
from tests.peers.process import HOST, free_port


def test_nobody_listening_is_no_answer() -> None:
    assert not is_answering(HOST, free_port())


def test_a_listener_that_accepts_but_never_goes_on_is_no_answer() -> None:
    with socket.create_server((HOST, 0)) as server:
        assert not is_answering(HOST, server.getsockname()[1], timeout_s=0.2)
