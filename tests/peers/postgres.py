"""PostgreSQL as its own process: a cluster for the tests, on a socket in a folder of its own, or on TCP as well."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.peers.process import HOST, PeerProcess, eventually, free_port

USER = "dicomnode"
QUICK = ("fsync=off", "full_page_writes=off")  # it need not survive a power cut, so that a test waits for no disk


def program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs; Debian keeps them out of PATH, by version."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    return shutil.which(name) or next((str(path) for path in reversed(versions)), None)


class Postgres(PeerProcess):
    """One cluster. Root's runs as somebody else, for PostgreSQL refuses root.

    `over_tcp`: it listens on loopback, where it asks nobody for a password: for a network of its own alone.
    """

    def __init__(self, settings: Sequence[str] = QUICK, over_tcp: bool = False) -> None:
        self.port = free_port()
        self.root = Path(tempfile.mkdtemp(prefix="dicomnode-pg-"))  # short: a socket's path has 107 letters
        self._as_user = as_other_user() or []
        if self._as_user[:1] == ["setpriv"]:
            user = pwd.getpwnam("postgres")
            os.chown(self.root, user.pw_uid, user.pw_gid)
        self._journals = 0
        server = str(program("postgres"))
        options = [f"unix_socket_directories={self.root}", f"port={self.port}", "max_connections=100"]
        options += [f"listen_addresses={HOST if over_tcp else ''}", *settings]
        arguments = [part for option in options for part in ("-c", option)]
        # who changes its user loses what PeerProcess has arranged for the case that we die: once more
        dies_with_us = ["setpriv", "--pdeathsig", "QUIT"] if self._as_user else []
        command: list[str | Path] = [*self._as_user, *dies_with_us, server, "-D", self.root / "data", *arguments]
        super().__init__(command, self.root / "log")

    def start(self) -> None:
        """Make the cluster if it is not there, start it, and wait until it answers."""
        if not (self.root / "data").exists():
            making = [str(program("initdb")), "-D", str(self.root / "data"), "-U", USER, "--auth=trust", "-E", "UTF8"]
            subprocess.run([*self._as_user, *making, "--locale=C", "--no-sync"], check=True, capture_output=True)
        super().start()
        eventually(lambda: self._answers() or not self.alive, "PostgreSQL to answer", every_s=0.05)
        assert self.alive, self.output()

    def _answers(self) -> bool:
        return subprocess.run(self._psql("SELECT 1"), capture_output=True, check=False).returncode == 0

    def address(self, over_port: int | None = None) -> str:
        """Return the address of a place for a journal: a schema of its own, which is made sooner than a database.

        On the socket, or on a port of loopback: the own one, or that of a relay before it.
        """
        self._journals += 1
        self.sql(f"CREATE SCHEMA journal{self._journals}")
        options = f"-csearch_path%3Djournal{self._journals}"
        where, port = (HOST, over_port) if over_port else (self.root, self.port)
        return f"postgresql+psycopg://{USER}@/postgres?host={where}&port={port}&options={options}"

    def sql(self, statement: str) -> list[list[str]]:
        """Return the rows that a statement gives."""
        done = subprocess.run(self._psql(statement), capture_output=True, text=True, check=True)
        return [line.split("|") for line in done.stdout.splitlines()]

    def _psql(self, statement: str) -> list[str]:
        there = ["-h", str(self.root), "-p", str(self.port), "-U", USER, "-d", "postgres"]
        return [str(program("psql")), "-qAtX", *there, "-c", statement]

    @contextmanager
    def away(self) -> Iterator[None]:
        """End the cluster at once, whoever is connected, and start it again at the end with all that was committed."""
        self._end()
        try:
            yield
        finally:
            self.start()

    def _end(self) -> None:
        if self.alive:
            os.kill(self.pid, signal.SIGQUIT)  # SIGKILL would leave shared memory behind
            self.wait()

    def remove(self) -> None:
        """End the cluster and delete it."""
        self._end()
        shutil.rmtree(self.root, ignore_errors=True)


def as_other_user() -> list[str] | None:
    """Return what makes a command run as somebody else than root; None if there is no way to."""
    if os.getuid() != 0:
        return []
    ways = []
    with suppress(KeyError):
        user = pwd.getpwnam("postgres")
        ways.append(["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"])
    # root of a user namespace, as `tests.loopback` may have made it, has nobody else to become: one more inside it
    ways.append(["unshare", "--user", "--map-user=1000", "--map-group=1000"])
    for way in ways:
        if subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            return way
    return None
