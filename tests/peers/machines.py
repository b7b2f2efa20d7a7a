"""Two machines: network namespaces joined by a cable, so that nothing but the network leads from one to the other.

Where namespaces are not permitted, both are this machine, under two addresses of its loopback.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.process import PeerProcess, eventually

HERE, THERE = "10.77.0.1", "10.77.0.2"


@dataclass(frozen=True)
class Machine:
    """Where a program is started (a prefix of its command), and the address under which others reach it."""

    address: str
    prefix: tuple[str, ...] = ()

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a program there to its end."""
        return subprocess.run(
            [*self.prefix, *map(str, command)], capture_output=True, text=True, timeout=200, check=False
        )


@dataclass(frozen=True)
class TwoMachines:
    """The node's machine and that of the workers."""

    here: Machine
    there: Machine
    joined: bool  # by a cable of their own; False: both are this machine

    def cut(self) -> None:
        """Pull the cable."""
        assert self.here.run(["ip", "link", "set", "cable", "down"]).returncode == 0

    def mend(self) -> None:
        """Put the cable back."""
        assert self.here.run(["ip", "link", "set", "cable", "up"]).returncode == 0


@contextmanager
def two_machines(folder: Path) -> Iterator[TwoMachines]:
    """Yield two machines that end with the test."""
    holders = [PeerProcess(["unshare", "-n", "sleep", "1000"], folder / f"machine{number}") for number in (0, 1)]
    try:
        for holder in holders:
            holder.start()
        yield _joined(*holders) or TwoMachines(Machine("127.0.0.2"), Machine("127.0.0.3"), joined=False)
    finally:
        for holder in holders:
            holder.kill()


def _joined(first: PeerProcess, second: PeerProcess) -> TwoMachines | None:
    ours = Path("/proc/self/ns/net").readlink()

    def apart() -> bool:
        names = [Path(f"/proc/{one.pid}/ns/net") for one in (first, second) if one.alive]
        return len(names) < 2 or all(name.exists() and name.readlink() != ours for name in names)

    eventually(apart, "the namespaces", timeout_s=10)
    if not (first.alive and second.alive):
        return None
    here, there = (
        Machine(address, ("nsenter", "-t", str(one.pid), "-n", "--"))
        for one, address in ((first, HERE), (second, THERE))
    )
    commands = [(here, f"link add cable type veth peer name cable netns {second.pid}")]
    for machine in (here, there):
        commands += [(machine, f"address add {machine.address}/24 dev cable"), (machine, "link set cable up")]
        commands += [(machine, "link set lo up")]
    if all(machine.run(["ip", *words.split()]).returncode == 0 for machine, words in commands):
        return TwoMachines(here, there, joined=True)
    return None
