"""Peers that misbehave beside an honest scanner: they say nothing, stall, or leave in the middle of an instance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.peers.handmade import ABORT, associated, connected
from tests.peers.messages import c_store

EACH = 4  # of a kind
LAST = 8_000  # bytes of data in the last PDU
INSTANCE = c_store("1.2.826.0.1.3680043.8.498.666", bytes(32_000 + LAST))
WHOLE_PDUS = INSTANCE[: -LAST - 12]
HALF_A_PDU = INSTANCE[: -LAST // 2]


@contextmanager
def intruders(port: int, each: int = EACH) -> Iterator[None]:
    """Let so many of each kind come, and those that stay stay until the end. Raises OSError where nobody answers."""
    with ExitStack() as staying:
        for _ in range(each):
            staying.enter_context(connected(port))
            staying.enter_context(associated(port)).sendall(HALF_A_PDU)
            staying.enter_context(associated(port)).sendall(WHOLE_PDUS)
            with associated(port) as aborting:
                aborting.sendall(WHOLE_PDUS + ABORT)
            with associated(port) as leaving:
                leaving.sendall(HALF_A_PDU)
        yield
