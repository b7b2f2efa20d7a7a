"""The tree of errors, grouped by who must act.

NodeError
  InstanceRejected      the peer acts: becomes a C-STORE status
  TransientFault        nobody acts: retried with back-off (peer away, disk busy, worker lost)
    EngineAway          the same, and no study's fault: does not count as an attempt (no scheduler, no worker)
  StudyUnsuitable       the physicist acts: the study is HELD, with a sentence fit for the web page
  ConfigurationError    IT acts: the node does not start; names file, key, remedy
  InvariantBroken       a developer acts: never caught below a stage's wall
"""

from __future__ import annotations

from enum import IntEnum


class StoreStatus(IntEnum):
    """DIMSE status of a C-STORE response (PS3.4 Table B.2-1)."""

    SUCCESS = 0x0000
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000


class NodeError(Exception):
    """Base of every error that the node raises on purpose; the text is the message."""


class InstanceRejected(NodeError):
    """An instance can't be taken; the peer is told by a DIMSE status and a comment of at most 64 characters."""

    def __init__(self, status: StoreStatus, comment: str) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment[:64]


class TransientFault(NodeError):
    """Something is away or busy for the moment; the same attempt may succeed later."""


class EngineAway(TransientFault):
    """There is nowhere to run a pipeline at the moment; no study is to blame, so no attempt is counted."""


class StudyUnsuitable(NodeError):
    """A study can't be processed as it is; the text tells a physicist what was found and what was expected."""


class ConfigurationError(NodeError):
    """The configuration is wrong; the text names file, line, key and remedy."""


class InvariantBroken(NodeError):
    """A rule of our own code was broken; only a developer can mend it."""
