"""Lays the road: the stages whose part of the configuration can change while the node runs, each on its timer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from dicomnode.clockwork import Clockwork
from dicomnode.config import Config, DestinationSettings, FetchSettings, PeerSettings
from dicomnode.network import commitment, sender
from dicomnode.network.fetch import Archive
from dicomnode.network.memory import ReceivingMemory
from dicomnode.network.storage import Receive
from dicomnode.stages.assemble import Assembler
from dicomnode.stages.commit import Committer, ReportRecorder
from dicomnode.stages.deliver import Deliverer, Send
from dicomnode.stages.fetch import Fetcher
from dicomnode.stages.promise import Promiser
from dicomnode.stages.purge import Purger
from dicomnode.stages.receive import Receiver
from dicomnode.store.commitments import Commitments
from dicomnode.store.fetches import Fetches
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox
from dicomnode.store.promises import Promises
from dicomnode.study import CommitmentReport, CommitmentRequest, FoundSeries, SendReport, SeriesQuery

log = structlog.get_logger(__name__)

TICK_S, PURGE_TICK_S, ROOM_TICK_S = 1.0, 600.0, 10.0
ASSEMBLE_PAUSE_S = 0.2

Errand = Callable[[datetime], int]  # one look at what is due; 0: nothing more to do


def now_utc() -> datetime:
    """Return the time; every stage is given it."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Ground:
    """What the road is laid on; none of it changes while the node runs, but what `config` and `receiver` return."""

    config: Callable[[], Config]
    receiver: Callable[[], Receiver]
    receive: Receive  # what comes in, from whomever
    memory: ReceivingMemory  # for that
    journal: Journal
    outbox: Outbox
    started_at: datetime
    stopping: Callable[[], bool]
    counting: Callable[[Send], Send]  # notes how each attempt to send ended
    processing: Sequence[str]  # the names of the ticks that work on routed studies


class Road:
    """All stages but receiving and processing. `renew` lays them anew by the configuration as it is then."""

    def __init__(self, ground: Ground, clockwork: Clockwork) -> None:
        self._ground, self._clockwork = ground, clockwork
        self._journal, self._outbox, self._stopping = ground.journal, ground.outbox, ground.stopping
        self._commitments, self._fetches = Commitments(self._journal), Fetches(self._journal)
        self._assembled_at = datetime.fromtimestamp(0, UTC)
        self._look_asked = threading.Event()
        self._build()

    def recover(self, now: datetime) -> None:
        """Have asked again what was being asked when the node stopped; nobody waits for those answers any more."""
        self._commitments.ask_again(now)
        self._fetches.again_at_once(now)

    def start(self) -> None:
        """Put all stages on their timers."""
        self._clockwork.add("assemble", self._assemble, TICK_S)
        self._clockwork.add("promise", lambda: self._promiser.run_once(now_utc()), TICK_S)
        self._clockwork.add("purge", lambda: self._purger.run_once(now_utc()), PURGE_TICK_S)
        self._clockwork.add("make room", lambda: self._purger.make_room(now_utc()), ROOM_TICK_S)
        for name in self._errands:
            self._add(name)

    def renew(self) -> None:
        """Take over the configuration as it is now; what runs at this moment ends as it was begun."""
        before, settings = set(self._errands), self._named
        self._build()
        gone, new = before - set(self._errands), set(self._errands) - before
        for name in gone:
            self._clockwork.remove(name)
        for destination in sorted({name.partition(" ")[2] for name in gone}):
            log.info("what waits for a destination that is gone waits until it is back", destination=destination)
        for name in new:
            self._add(name)
        for name, now in self._named.items():
            if settings.get(name, now) != now:
                self._outbox.hasten(name, now_utc())

    # --- what others call

    def arrived(self) -> None:
        """Look at once at the first instance of a burst; at the rest together, for each look reads whole studies."""
        if self._look_asked.is_set():
            return  # the look to come sees this one, too; to ask for each costs a tenth of a reception
        self._look_asked.set()
        self._wake("assemble", max(now_utc(), self._assembled_at + timedelta(seconds=ASSEMBLE_PAUSE_S)))

    def association_ended(self) -> None:
        """Look at once: a study may have waited for nothing else."""
        self._wake("assemble")

    def wake_deliveries(self) -> None:
        """Look at once at what is to be sent."""
        for destination in self._ground.config().destinations:
            self._wake(f"deliver {destination.name}")

    def commitment_service(self) -> commitment.CommitmentService:
        """Return what the listener hands requests for commitment and reports of it to."""
        return commitment.CommitmentService(
            lambda peer, request: self._promiser.asked(peer, request), lambda report: self._recorder.record(report)
        )

    # --- the stages

    def _build(self) -> None:
        config, receiver = self._ground.config(), self._ground.receiver()
        node, keep = config.node, config.retention
        self._assembler = Assembler(
            self._journal, config.rules, node.quiet_s, receiver.associations.is_sending, self._fetches,
            self._ground.started_at,
        )  # fmt: skip
        self._purger = Purger(
            self._journal, receiver.spool, self._outbox, keep.received_days, keep.derived_days, keep.promised_days,
            keep.early_below_gb,
        )  # fmt: skip
        self._promiser = Promiser(
            Promises(self._journal, receiver.spool), config.peers, self._report, now_utc, self._stopping
        )
        self._named = {destination.name: destination for destination in config.destinations}
        self._recorder = ReportRecorder(
            self._commitments, self._named, now_utc, lambda destination: self._wake(f"deliver {destination}")
        )
        self._errands: Mapping[str, Errand] = dict(
            errand for destination in config.destinations for errand in self._errands_for(destination, config)
        )

    def _errands_for(self, destination: DestinationSettings, config: Config) -> Iterator[tuple[str, Errand]]:
        name = destination.name
        send = self._ground.counting(self._send)
        yield f"deliver {name}", Deliverer(self._outbox, destination, send, now_utc, self._stopping).run_once
        committer = Committer(self._commitments, destination, self._ask, now_utc, self._stopping)
        yield f"commit {name}", committer.run_once if destination.storage_commitment else self._waiver(name)
        # also where no rule fetches any more: it tells the studies that wait for it
        fetcher = Fetcher(
            self._journal, self._fetches, config.rules, destination, self._find, self._retrieve, now_utc,
            self._stopping,
        )  # fmt: skip
        yield f"fetch {name}", fetcher.run_once

    def _waiver(self, destination: str) -> Errand:
        """Where no promise is asked for any more, what was sent is delivered; also what was just being sent."""
        return lambda _: self._commitments.waive(destination)

    def _add(self, name: str) -> None:
        self._clockwork.add(name, lambda: self._run(name), TICK_S)

    def _run(self, name: str) -> None:
        while (errand := self._errands.get(name)) is not None and errand(now_utc()):
            pass

    def _assemble(self) -> None:
        self._look_asked.clear()  # before the look: who arrives from here on asks again
        self._assembled_at = now_utc()
        if self._assembler.run_once(now_utc()):
            for name in self._ground.processing:
                self._wake(name)

    def _wake(self, name: str, at: datetime | None = None) -> None:
        if not self._stopping():
            self._clockwork.wake(name, at or now_utc())

    # --- what the stages are handed of the network

    def _send(self, destination: DestinationSettings, paths: Sequence[Path]) -> Iterator[SendReport]:
        config = self._ground.config()
        return sender.send(destination, paths, config.node.ae_title, config.tls)

    def _ask(self, destination: DestinationSettings, request: CommitmentRequest) -> None:
        def enough() -> bool:
            return self._stopping() or self._commitments.is_reported(request.transaction_uid)

        config = self._ground.config()
        commitment.ask(destination, request, config.node.ae_title, config.tls, self._recorder.record, enough)

    def _report(self, peer: PeerSettings, promised: CommitmentReport) -> None:
        config = self._ground.config()
        commitment.report_to(peer, promised, config.node.ae_title, config.tls)

    def _archive(self, source: DestinationSettings, settings: FetchSettings) -> Archive:
        config = self._ground.config()
        return Archive(source, config.node.ae_title, config.tls, settings.timeout_s, self._ground.memory)

    def _find(self, source: DestinationSettings, settings: FetchSettings, query: SeriesQuery) -> Sequence[FoundSeries]:
        return self._archive(source, settings).find(query)

    def _retrieve(self, source: DestinationSettings, settings: FetchSettings, series: FoundSeries) -> None:
        archive = self._archive(source, settings)
        if settings.method == "move":
            archive.move(series)
            return
        name = f"fetch {series.series_instance_uid}"
        try:
            archive.get(series, name, self._ground.receive)
        finally:
            self._ground.receiver().associations.closed(name)
