"""How long nobody listens when the active of two nodes is lost: until the standby answers a C-ECHO."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dicomnode.config import NodeSettings
from tests.benchmarks.database import database
from tests.peers import dcmtk
from tests.peers.node import Node, Settings
from tests.peers.process import accepts_connections, eventually

ROUNDS = 3
LOSSES = {"is stopped (SIGTERM)": signal.SIGTERM, "is killed": signal.SIGKILL, "is frozen": signal.SIGSTOP}
TAKEOVER_S = float(NodeSettings.model_fields["takeover_s"].default)


@dataclass(frozen=True)
class FailOver:
    """A way to lose the active node; s from then on until the standby answers, of each round."""

    loss: str
    seconds: tuple[float, ...]


def measure(directory: Path, say: Callable[[str], None]) -> list[FailOver]:
    """Return the times of all losses. Raises LeftOut where PostgreSQL can't be run."""
    directory.mkdir(parents=True, exist_ok=True)
    found = []
    with database() as server:
        for kind, (loss, number) in enumerate(LOSSES.items()):
            rounds = range(ROUNDS)
            seconds = tuple(_seconds(directory / f"{kind}{one}", server.address(), number) for one in rounds)
            found.append(FailOver(loss, seconds))
            say(f"{found[-1]}")
    return found


def _seconds(folder: Path, journal: str, number: signal.Signals) -> float:
    """Lose the active one of two nodes by a signal; return the seconds until the other one answers."""
    shared = {"data_dir": str(folder / "shared"), "journal": journal, "standby": True, "takeover_s": TAKEOVER_S}
    first, second = (Node(folder / name, Settings(node={**shared, "name": name})) for name in ("first", "second"))
    try:
        first.start()
        second.start(wait=False)
        eventually(lambda: "standby: waits for first" in second.output(), "the second node to stand by")
        began = time.monotonic()
        os.kill(first.pid, number)
        eventually(lambda: accepts_connections(second.port), "the standby to listen", timeout_s=120, every_s=0.02)
        assert dcmtk.echo(second.port)
        return time.monotonic() - began
    finally:
        if first.alive:
            first.kill()
        second.stop(timeout_s=30)
