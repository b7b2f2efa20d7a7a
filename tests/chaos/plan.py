"""How large a campaign is, and what came of it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

ENGINES, JOURNALS = ("local", "dask"), ("sqlite", "postgres")


@dataclass(frozen=True)
class Plan:
    """How large the campaign is; the seed decides who is harmed when."""

    studies: int
    kills: int
    troubles: int  # of other kinds
    seed: int
    pause_s: float  # mean time between two instances of the scanner
    between_s: float  # mean time between the beginnings of two troubles
    second_acquisition_every: int = 5  # each n-th study holds stress and rest
    engine: str = "local"
    journal: str = "sqlite"
    kinds: tuple[str, ...] = ()  # of other troubles; none named: all
    lasting: float = 1.0  # how long they last, of what they usually do

    def rng(self, purpose: str) -> random.Random:
        """Return a random generator of its own for each purpose, so that one does not disturb the other."""
        return random.Random(f"{self.seed} {purpose}")


@dataclass
class Result:
    """What was found at the end; `faults` is empty if nothing was lost, nothing doubled, nothing stuck."""

    plan: Plan
    kills: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    left_out: list[str] = field(default_factory=list)  # troubles that can't be made here, and why
    ended: Counter[str] = field(default_factory=Counter)  # processes that ended without having been killed
    sent: int = 0
    acknowledged: int = 0
    in_spool: int = 0
    derived: int = 0
    in_outbox: int = 0
    left_over: int = 0  # files of derived instances that no row names
    in_archive: int = 0
    attempts: int = 0
    lost: int = 0
    doubled: int = 0
    mixed_up: int = 0  # sources whose derived pixels are not those of their heart
    ended_amid: int = 0  # studies, when sending and troubles were over
    sending_s: float = 0
    wall_s: float = 0
    faults: list[str] = field(default_factory=list)
