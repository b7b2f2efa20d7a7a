"""The PostgreSQL that parts of the bench need: on a Unix socket, with all flushes as it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.recon import LeftOut
from tests.peers.postgres import Postgres, as_other_user, program


@contextmanager
def database() -> Iterator[Postgres]:
    """Run a server of its own for a while. Raises LeftOut where PostgreSQL can't be run."""
    if program("initdb") is None or as_other_user() is None:
        raise LeftOut("PostgreSQL is not installed, or there is no user that may run it (`make peers` installs it)")
    server = Postgres(settings=())
    try:
        server.start()
        yield server
    finally:
        server.remove()
