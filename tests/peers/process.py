"""A server of the tests as its own process: started, waited for, ended by its own pid, its output kept in a file."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def accepts_connections(port: int) -> bool:
    """Tell whether somebody listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def eventually(question: Callable[[], Found], what: str, timeout_s: float = 60, every_s: float = 0.1) -> Found:
    """Ask until the answer is true and return it.

    Raises TimeoutError, naming `what` and the last answer, once `timeout_s` is over.
    """
    deadline = time.monotonic() + timeout_s
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s in vain for {what}; last seen: {answer!r}")
        time.sleep(every_s)
    return answer


class PeerProcess:
    """One server process; it can't outlive the tests that started it."""

    def __init__(self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self.env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The pid of the running process."""
        assert self._process is not None, f"{self.command[0]} was never started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; its output is appended to the log."""
        assert not self.alive, f"{self.command[0]} already runs"
        dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*dies_with_us, *self.command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self.env,
            )  # fmt: skip

    def wait(self, timeout_s: float = 60) -> int:
        """Wait until the process ends and return its exit status (negative: the signal that ended it)."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def stop(self, timeout_s: float = 60) -> int:
        """End the process by SIGTERM, by SIGKILL after the time-out; return its exit status."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
            try:
                return self.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.wait() if self._process else 0

    def kill(self) -> None:
        """End the process by SIGKILL, as a crash or the kernel would."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def output(self) -> str:
        """All that the process printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def children_of(pid: int) -> list[int]:
    """Return the pids of all living descendants of a process, parents before children."""
    by_parent: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent_of(entry)) is not None:
            by_parent.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        below = by_parent.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def _parent_of(entry: Path) -> int | None:
    """Return the parent's pid of a /proc entry; None if the process has ended."""
    try:
        state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else int(parent)


def command_line(pid: int) -> str:
    """Return the command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_running(pid: int) -> bool:
    """Tell whether a process lives (one that only waits to be reaped doesn't)."""
    return _parent_of(Path(f"/proc/{pid}")) is not None


def processor_s(pid: int) -> float:
    """Return the processor time that a process has used, in s."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def highest_memory_mb(pid: int) -> float:
    """Return the most memory that a process has ever held (resident), in MB."""
    return _status_mb(pid, "VmHWM")


def memory_mb(pid: int) -> float:
    """Return the memory that a process holds (resident), in MB."""
    return _status_mb(pid, "VmRSS")


def _status_mb(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024
