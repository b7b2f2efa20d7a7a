"""Opens the node's web page: hands it what it may know and do, and writes down who did what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version

import structlog

from dicomnode.config import Config
from dicomnode.engine.gpu import GpuWatch
from dicomnode.errors import TransientFault
from dicomnode.stages import operate
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox
from dicomnode.store.spool import Spool
from dicomnode.web.door import Access, Check, Decision, Door
from dicomnode.web.server import PageServer

log = structlog.get_logger(__name__)


def now_utc() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def open_page(
    config: Callable[[], Config],
    journal: Journal,
    outbox: Outbox,
    spool: Spool,
    is_listening: Callable[[], bool],
    started_at: datetime,
    metrics: Callable[[], bytes],
    record: Callable[[Access], None],
    engine_trouble: Callable[[], str],
) -> PageServer | None:
    """Start the page and return it; None where `web.port` is 0.

    Raises ConfigurationError if its port or certificate can't be used.
    """

    def decide(decision: Decision, uid: str, actor: str) -> str:
        now = now_utc()
        match decision:
            case Decision.REQUEUE:
                done = operate.requeue(journal, config().rules, uid, actor, now)
            case Decision.RELEASE:
                done = operate.release(journal, outbox, uid, actor, now)
            case Decision.REJECT:
                done = operate.reject(journal, outbox, uid, actor, now)
        log.info("operator decided", study=uid, outcome=decision.value, user=actor)
        return done

    def checks() -> list[Check]:
        free_gb = spool.free_gb()
        return [
            Check("listener", is_listening(), "the listener takes no connections"),
            Check("journal", _can_write(journal), "the journal can't be written"),
            Check("disk", free_gb >= config().node.min_free_gb, f"{free_gb:.1f} GB free: instances are refused"),
        ]

    settings = config().web
    if not settings.port:
        return None
    door = Door(
        config=config, journal=journal, outbox=outbox, spool=spool, decide=decide, gpus=GpuWatch().look, checks=checks,
        metrics=metrics, record=record, clock=now_utc, version=version("dicomnode"), started_at=started_at,
        engine_trouble=engine_trouble,
    )  # fmt: skip
    page = PageServer(settings, door)
    page.start()
    return page


def _can_write(journal: Journal) -> bool:
    try:
        with journal.transaction():
            return True
    except TransientFault:
        return False
