"""The page's door into the node: all that it may know and do, handed in, so that it needs no other part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from dicomnode.config import Config
from dicomnode.engine.gpu import Gpu
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox
from dicomnode.store.spool import Spool


class Decision(Enum):
    """What an operator may decide on a HELD or FAILED study."""

    REQUEUE = "requeue"
    RELEASE = "release"
    REJECT = "reject"


Decide = Callable[[Decision, str, str], str]  # what, Study Instance UID, who -> what was done, in words


@dataclass(frozen=True)
class Check:
    """One thing that must be so before studies can be sent here."""

    name: str
    passed: bool
    words: str = ""


class AccessKind(Enum):
    """What a person did on the page that an audit asks for; decisions are recorded where they are made."""

    LOGGED_IN = "logged in"
    LOG_IN_REFUSED = "log-in refused"
    LOGGED_OUT = "logged out"
    IDENTITY_SHOWN = "identity shown"


@dataclass(frozen=True)
class Access:
    """One such act; `study` is the Study Instance UID where one study was looked at."""

    kind: AccessKind
    user: str
    address: str
    at: datetime
    study: str = ""


@dataclass(frozen=True)
class Door:
    """What the node hands to its page. The configuration is asked for anew each time, for it may be read again."""

    config: Callable[[], Config]
    journal: Journal
    outbox: Outbox
    spool: Spool
    decide: Decide
    gpus: Callable[[datetime], Sequence[Gpu]]
    checks: Callable[[], Sequence[Check]]
    metrics: Callable[[], bytes]  # in the text format of Prometheus
    record: Callable[[Access], None]
    clock: Callable[[], datetime]
    version: str
    started_at: datetime
    engine_trouble: Callable[[], str]  # why no pipeline can be run at the moment; empty while all is well
