"""Jobs that come back without an answer, again and again: is it the cluster, or is it the job?

A scheduler that dies takes all jobs with it, and none of them is to blame; but one that is too large for it kills it
each time. So a job that was lost before travels with no other of its kind, and from its third loss on the loss is its
own where other jobs were answered meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dicomnode.errors import EngineAway, TransientFault

ALONE_AFTER = 2  # losses in a row
OWN_FAULT_FROM = 3


@dataclass
class _Suspect:
    losses: int
    answered_before: int  # jobs that had been answered when it was lost for the first time


class Losses:
    """Remembers which jobs were lost since the node's start; safe to be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._suspects: dict[str, _Suspect] = {}  # by the source of the job
        self._travelling: set[str] = set()  # of those that travel alone
        self._answered = 0

    @contextmanager
    def turn(self, source: str) -> Iterator[None]:
        """Let a job go; one that was lost before, alone: raises EngineAway while another of them is on its way."""
        with self._lock:
            suspect = self._suspects.get(source)
            alone = suspect is not None and suspect.losses >= ALONE_AFTER
            if alone and self._travelling:
                raise EngineAway("another job that was lost again and again is tried first")
            if alone:
                self._travelling.add(source)
        try:
            yield
        finally:
            if alone:
                with self._lock:
                    self._travelling.discard(source)

    @contextmanager
    def watched(self, source: str) -> Iterator[None]:
        """Wait for the answer of a job in this block, which ends with EngineAway where it was lost.

        Raises TransientFault in its place where the loss is the job's own.
        """
        try:
            yield
        except EngineAway as error:
            if self._is_own_fault(source):
                raise TransientFault(f"{error}, as before with this job, while others were answered") from None
            raise
        with self._lock:
            self._answered += 1
            self._suspects.pop(source, None)

    def _is_own_fault(self, source: str) -> bool:
        with self._lock:
            suspect = self._suspects.setdefault(source, _Suspect(0, self._answered))
            suspect.losses += 1
            return suspect.losses >= OWN_FAULT_FROM and self._answered > suspect.answered_before
