"""What the service manager is told, on a real socket; and that the watchdog hears only of a node that was looked at."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.systemd import Heartbeat, ServiceManager


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        server.settimeout(30)
        yield server


def test_a_start_a_reload_and_a_stop_are_told_in_the_words_of_sd_notify(channel: socket.socket) -> None:
    manager = ServiceManager(channel.getsockname())
    manager.ready("listens")
    manager.reloading()
    manager.stopping("draining", 80)
    said = [channel.recv(4096).decode().split("\n") for _ in range(3)]
    assert said[0] == ["READY=1", "STATUS=listens"]
    assert said[1][0] == "RELOADING=1"
    assert said[1][1].startswith("MONOTONIC_USEC=")
    assert said[2] == ["STOPPING=1", "STATUS=draining", "EXTEND_TIMEOUT_USEC=80000000"]


def test_a_line_of_status_can_not_smuggle_in_another(channel: socket.socket) -> None:
    ServiceManager(channel.getsockname()).status("one\nREADY=1")
    assert channel.recv(4096) == b"STATUS=one READY=1"


def test_without_a_service_manager_nobody_is_told() -> None:
    manager = ServiceManager.from_environment({})
    manager.ready("listens")
    assert (manager.address, manager.watchdog_s) == (None, None)


def test_a_service_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    ServiceManager(str(tmp_path / "nobody")).alive()


def test_a_watchdog_meant_for_another_process_is_not_ours() -> None:
    expected = {os.getpid(): 60.0, 1: None}
    for pid, seconds in expected.items():
        manager = ServiceManager.from_environment({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(pid)})
        assert manager.watchdog_s == seconds


def test_the_watchdog_hears_three_times_within_its_time_and_only_of_a_node_that_works(channel: socket.socket) -> None:
    channel.setblocking(False)
    answers = iter([True, False, True])
    heartbeat = Heartbeat(ServiceManager(channel.getsockname(), 60), lambda: next(answers))
    told = []
    for moment in (0, 10, 19, 20, 39, 40):
        heartbeat.beat(1000 + moment)
        try:
            told.append((moment, channel.recv(4096)))
        except BlockingIOError:
            continue
    assert told == [(0, b"WATCHDOG=1"), (40, b"WATCHDOG=1")]
