"""A Dask cluster of our own members, each its own process: `dicomnode scheduler` and `dicomnode worker`."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomnode.config import TlsSettings
from tests.peers.node import DICOMNODE, environment, toml
from tests.peers.process import HOST, PeerProcess, children_of, command_line, eventually, free_port
from tests.peers.relay import Relay

RESTART_S = 1.0  # of the supervisor


def engine_table(port: int, tls: TlsSettings | None, host: str = HOST, **more: Any) -> dict[str, Any]:
    """Return the [engine] table that node, scheduler and workers of a cluster share."""
    files = {} if tls is None else {"certificate": str(tls.certificate), "key": str(tls.key), "ca": str(tls.ca)}
    scheme = "tcp" if tls is None else "tls"
    return {"kind": "dask", "scheduler": f"{scheme}://{host}:{port}", "device": "cpu", **files, **more}


class Member(PeerProcess):
    """A member with a folder of its own."""

    def __init__(
        self, directory: Path, command: Sequence[str], table: Mapping[str, Any], prefix: Sequence[str] = ()
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._seen = 0  # letters of the log that were written in former lives
        config = directory / "config.toml"
        config.write_text(toml({"engine": table}))
        super().__init__([*prefix, DICOMNODE, *command, "--config", config], directory / "log", environment())

    def wait_until_ready(self) -> None:
        """Return once the member said `ready` since its last start."""
        eventually(lambda: '"ready"' in self._said(), f"{self.directory.name} to be ready: {self.output()[-2000:]}")

    def start(self) -> None:
        """Start the member."""
        self._seen = len(self.output())
        super().start()

    def kill_if_alive(self) -> bool:
        """End it by SIGKILL; tells whether it was there to be ended."""
        there = self.alive
        self.kill()
        return there

    def _said(self) -> str:
        new = self.output()[self._seen :]
        assert self.alive, f"{self.directory.name} ended before it was ready:\n{new[-4000:]}"
        return new


class Scheduler(Member):
    """`dicomnode scheduler`."""

    def __init__(self, directory: Path, table: Mapping[str, Any], prefix: Sequence[str] = ()) -> None:
        super().__init__(directory, ["scheduler"], table, prefix)


class Worker(Member):
    """`dicomnode worker`."""

    def __init__(
        self, directory: Path, table: Mapping[str, Any], prefix: Sequence[str] = (), options: Sequence[str] = ()
    ) -> None:
        self.cache = directory / "cache"
        command = ["worker", "--title", directory.name, "--cache", str(self.cache), *options]
        super().__init__(directory, command, table, prefix)

    @property
    def works(self) -> bool:
        """Whether it runs a job at the moment."""
        said = self.output()[self._seen :]
        return self.alive and said.count('"job began"') > said.count('"job ended"')

    def children(self) -> list[int]:
        """Return the pids of its child that runs pipelines."""
        return [pid for pid in children_of(self.pid) if self.alive and "spawn_main" in command_line(pid)]


class Cluster:
    """A scheduler and some workers, which are told by number; `relayed`: all reach the scheduler by a relay.

    Whoever made the cluster starts and stops the relay.
    """

    def __init__(self, directory: Path, tls: TlsSettings | None, workers: int, relayed: bool = False) -> None:
        self.port = free_port()
        self.relay = Relay(self.port) if relayed else None
        self.table = engine_table(self.relay.port if self.relay else self.port, tls)
        self.scheduler = Scheduler(directory / "scheduler", engine_table(self.port, tls))
        self.workers = [Worker(directory / f"worker{number}", self.table) for number in range(workers)]
        self._over = threading.Event()
        self._keeper: threading.Thread | None = None

    def supervise(self) -> None:
        """Start all, and whichever has ended again, as systemd does."""

        def keep() -> None:
            while not self._over.wait(RESTART_S):
                for member in (self.scheduler, *self.workers):
                    if not member.alive:
                        member.start()

        # a member dies with the thread that started it
        self._keeper = threading.Thread(target=keep, name="supervisor", daemon=True)
        self._keeper.start()

    def start(self) -> None:
        """Start all, and wait for none."""
        for member in (self.scheduler, *self.workers):
            member.start()

    def wait_until_ready(self) -> None:
        """Return once all are ready."""
        for member in (self.scheduler, *self.workers):
            member.wait_until_ready()

    def stop(self) -> None:
        """End all, by force: what they do on SIGTERM is a matter of tests of its own."""
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()
        for member in (*self.workers, self.scheduler):
            member.kill()

    def busy_worker(self) -> Worker:
        """Return the first worker found that runs a job."""
        return eventually(lambda: [one for one in self.workers if one.works], "a worker with a job", every_s=0.02)[0]
