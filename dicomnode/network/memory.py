"""Memory for instances that are being received: one budget for all Associations together.

A peer may send instances of any size, and each is held in memory until it is on disk. What one Association may hold is
bounded by LARGEST_DATASET; this bounds what all of them hold. When the budget is used up, an Association stops reading
for a while: TCP makes its peer wait, and the others finish. Only then is an instance refused.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

from dicomnode.config import NodeSettings

SHARE = 0.25  # of the machine's memory
FREE = 1 << 22  # bytes that each Association has besides: most instances are smaller, and nothing is counted for them
STEP = 1 << 23  # bytes that are taken at a time
WAIT_S = 20.0  # for others to finish; peers give up on one that doesn't read after 30 s or more
LOOK_S = 0.1  # how often a waiting Association looks whether it has been ended


class ReceivingMemory:
    """Counts what the instances take that are on their way to the disk, in bytes; at most `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @property
    def taken(self) -> int:
        """How much is taken now."""
        with self._changed:
            return self._taken

    def take(self, held: int, is_over: Callable[[], bool]) -> bool:
        """Take one more STEP for an Association that holds `held`; wait for room, at most WAIT_S.

        False if there is none: nothing was taken then. `is_over` tells that nobody needs it any more.
        """
        if held + STEP > self.limit:
            return False
        deadline = time.monotonic() + WAIT_S
        with self._changed:
            while self._taken + STEP > self.limit:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0 or is_over():
                    return False
                self._changed.wait(min(remaining_s, LOOK_S))
            self._taken += STEP
            return True

    def give_back(self, held: int) -> None:
        """Give back what an Association held."""
        with self._changed:
            self._taken -= held
            self._changed.notify_all()


class Share:
    """What one Association has of the budget, for the message that it receives or serves."""

    def __init__(self, memory: ReceivingMemory) -> None:
        self.is_waiting = False
        self._memory, self.held = memory, 0  # bytes

    @property
    def room(self) -> int:
        """How long the message may be without asking for more."""
        return FREE + self.held

    def grow(self, is_over: Callable[[], bool]) -> bool:
        """Ask for more room, and wait for it if need be; False if there is none (see `ReceivingMemory.take`)."""
        self.is_waiting = True
        try:
            grown = self._memory.take(self.held, is_over)
        finally:
            self.is_waiting = False
        self.held += STEP if grown else 0
        return grown

    def give_back(self) -> None:
        """Give all of it back, when nobody holds the message any more."""
        if self.held:
            self._memory.give_back(self.held)
            self.held = 0


class Overflow(BytesIO):
    """Stands in for the data of an instance that there is no memory for: takes the bytes and forgets them."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def write(self, data: Any, /) -> int:
        """Forget the bytes."""
        return len(data)


def receiving_memory(node: NodeSettings) -> ReceivingMemory:
    """Return the budget as it is configured, else a share of the machine's memory."""
    if node.receive_memory_gb is not None:
        return ReceivingMemory(int(node.receive_memory_gb * 1e9))
    return ReceivingMemory(int(SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
