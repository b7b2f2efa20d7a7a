"""The only place that wires: builds the edges, puts the stages on the scheduler, starts and stops them in order."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TextIO

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from dicomnode.config import Config, DestinationSettings, FetchSettings, PeerSettings
from dicomnode.engine.local import LocalEngine
from dicomnode.network import commitment, sender
from dicomnode.network.fetch import Archive
from dicomnode.network.listener import Listener
from dicomnode.objects.keywords import rule_keywords
from dicomnode.stages.assemble import Assembler, refresh_headers
from dicomnode.stages.commit import Committer, ReportRecorder
from dicomnode.stages.deliver import Deliverer
from dicomnode.stages.fetch import Fetcher
from dicomnode.stages.process import LEASE_MARGIN_S, Processor, remove_unrecorded
from dicomnode.stages.promise import Promiser
from dicomnode.stages.purge import Purger
from dicomnode.stages.receive import OpenAssociations, Receiver, register_orphans
from dicomnode.store.commitments import Commitments
from dicomnode.store.fetches import Fetches
from dicomnode.store.folder import DataFolder, take_lock
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox
from dicomnode.store.promises import Promises
from dicomnode.store.schema import open_database
from dicomnode.store.spool import Spool
from dicomnode.study import CommitmentReport, CommitmentRequest, FoundSeries, SendReport, SeriesQuery

log = structlog.get_logger(__name__)

TICK_S = 1.0
ASSEMBLE_PAUSE_S = 0.2
PURGE_TICK_S = 600.0
DRAIN_ASSOCIATIONS_S = 20.0
DRAIN_ATTEMPT_S = 30.0


def now_utc() -> datetime:
    """Return the time; every stage is given it."""
    return datetime.now(UTC)


class Tick:
    """Runs one stage on a timer and on demand, never twice at once; a call while it runs makes it run once more."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name = name
        self._work = work
        self._asked = threading.Event()
        self._turn = threading.Lock()

    def __call__(self) -> None:
        """Run the stage until nobody asks any more."""
        self._asked.set()
        while self._asked.is_set() and self._turn.acquire(blocking=False):
            try:
                self._asked.clear()
                self._work()
            except Exception:
                # the outer wall of every stage: whatever happened, the next tick finds the journal as it was
                log.exception("tick failed", stage=self.name)
            finally:
                self._turn.release()


class Node:
    """One running node. `start`, then `wait`, then `stop`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.folder = DataFolder(config.node.data_dir)
        self._stopping = threading.Event()
        self._lock: TextIO | None = None
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(8 + 4 * len(config.destinations))},
            job_defaults={"coalesce": True, "max_instances": 2, "misfire_grace_time": None},
        )
        self._processing = threading.Event()
        self._assembled_at = datetime.fromtimestamp(0, UTC)

    def start(self) -> None:
        """Take the folder, mend what a crash left, start all parts; the listener last.

        Raises ConfigurationError if folder, port or certificate can't be used.
        """
        self.folder.create()
        self._lock = take_lock(self.folder.lock)
        self.journal = Journal(open_database(self.folder.journal))
        self.outbox = Outbox(self.journal, Spool(self.folder.derived))
        self.commitments, self.fetches = Commitments(self.journal), Fetches(self.journal)
        self.engine = LocalEngine(self.config.engine.device, self.config.engine.timeout_s)
        started_at = now_utc()
        associations = OpenAssociations()
        receiver = self._receiver(associations)
        self._recover(receiver, started_at)
        promiser = self._promiser(receiver.spool)
        listener = Listener(
            self.config.node,
            self.config.known_peers,
            self.config.tls,
            lambda received: receiver.receive(received, now_utc()),
            associations.closed,
            commitment.CommitmentService(promiser.asked, self._reports().record),
        )
        listener.start()
        self._listener = listener
        self.engine.start()
        self._start_stages(receiver, promiser, started_at)
        self._tell_status(started_at)
        log.info("ready", title=self.config.node.ae_title, host=self.config.node.host, port=listener.port)

    def stop_on_signals(self) -> None:
        """Make SIGTERM and SIGINT end `wait`; to be called before `start`, so that none of them is missed."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())

    def wait(self) -> None:
        """Block until a signal came."""
        while not self._stopping.wait(1.0):
            pass

    def stop(self) -> None:
        """Refuse new Associations, let running ones and a running attempt end, then end the rest."""
        self._stopping.set()
        log.info("stopping")
        self._listener.stop(DRAIN_ASSOCIATIONS_S)
        deadline = time.monotonic() + DRAIN_ATTEMPT_S
        while self._processing.is_set() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.engine.stop()
        self._scheduler.shutdown(wait=True)
        self.journal.close()
        if self._lock is not None:
            self._lock.close()
        log.info("stopped")

    # --- wiring

    def _receiver(self, associations: OpenAssociations) -> Receiver:
        return Receiver(
            self.journal,
            Spool(self.folder.spool),
            associations,
            rule_keywords(self.config.rules) | {"IssuerOfPatientID"},
            self.config.node.min_free_gb,
            arrived=self._arrived,
        )

    def _recover(self, receiver: Receiver, now: datetime) -> None:
        orphans = register_orphans(receiver, now)
        unrecorded = remove_unrecorded(self.outbox)
        refresh_headers(self.journal, receiver.spool, receiver.keywords)
        self._processor = self._make_processor(receiver.spool)
        self._processor.return_lost_claims(None)
        self.commitments.ask_again(now)
        self.fetches.again_at_once(now)
        for destination in self.config.destinations:
            if not destination.storage_commitment:
                self.commitments.waive(destination.name)
        log.info("recovered", instances=orphans, count=unrecorded)

    def _make_processor(self, spool: Spool) -> Processor:
        return Processor(
            self.journal,
            spool,
            self.outbox,
            self.engine,
            node_version(),
            self.config.engine.attempts,
            self.config.engine.timeout_s + LEASE_MARGIN_S,
            self._stopping.is_set,
            now_utc,
            derived=self._wake_deliveries,
        )

    def _start_stages(self, receiver: Receiver, promiser: Promiser, started_at: datetime) -> None:
        node, keep, sending = self.config.node, self.config.retention, receiver.associations.is_sending
        assembler = Assembler(self.journal, self.config.rules, node.quiet_s, sending, self.fetches, started_at)
        purger = Purger(
            self.journal, receiver.spool, self.outbox, keep.received_days, keep.derived_days, keep.promised_days
        )
        self._add("assemble", lambda: self._assemble(assembler), TICK_S)
        self._add("process", self._process, TICK_S)
        self._add("promise", lambda: promiser.run_once(now_utc()), TICK_S)
        for destination in self.config.destinations:
            deliverer = Deliverer(self.outbox, destination, self._send, now_utc, self._stopping.is_set)
            self._add(f"deliver {destination.name}", _until_idle(deliverer.run_once), TICK_S)
            if destination.storage_commitment:
                committer = Committer(self.commitments, destination, self._ask, now_utc, self._stopping.is_set)
                self._add(f"commit {destination.name}", _until_idle(committer.run_once), TICK_S)
            if destination.name in {fetch.source for rule in self.config.rules for fetch in rule.fetch}:
                fetcher = self._fetcher(receiver, destination)
                self._add(f"fetch {destination.name}", _until_idle(fetcher.run_once), TICK_S)
        self._add("purge", lambda: purger.run_once(now_utc()), PURGE_TICK_S)
        self._scheduler.start()

    def _promiser(self, spool: Spool) -> Promiser:
        def report(peer: PeerSettings, promised: CommitmentReport) -> None:
            commitment.report_to(peer, promised, self.config.node.ae_title, self.config.tls)

        return Promiser(Promises(self.journal, spool), self.config.peers, report, now_utc, self._stopping.is_set)

    def _reports(self) -> ReportRecorder:
        destinations = {destination.name: destination for destination in self.config.destinations}
        return ReportRecorder(
            self.commitments, destinations, now_utc, lambda destination: self._wake(f"deliver {destination}")
        )

    def _ask(self, destination: DestinationSettings, request: CommitmentRequest) -> None:
        def enough() -> bool:
            return self._stopping.is_set() or self.commitments.is_reported(request.transaction_uid)

        own = self.config.node.ae_title
        commitment.ask(destination, request, own, self.config.tls, self._reports().record, enough)

    def _fetcher(self, receiver: Receiver, source: DestinationSettings) -> Fetcher:
        def archive(at: DestinationSettings, settings: FetchSettings) -> Archive:
            return Archive(at, self.config.node.ae_title, self.config.tls, settings.timeout_s)

        def find(at: DestinationSettings, settings: FetchSettings, query: SeriesQuery) -> Sequence[FoundSeries]:
            return archive(at, settings).find(query)

        def retrieve(at: DestinationSettings, settings: FetchSettings, series: FoundSeries) -> None:
            if settings.method == "move":
                archive(at, settings).move(series)
                return
            name = f"fetch {series.series_instance_uid}"
            try:
                archive(at, settings).get(series, name, lambda received: receiver.receive(received, now_utc()))
            finally:
                receiver.associations.closed(name)

        return Fetcher(
            self.journal, self.fetches, self.config.rules, source, find, retrieve, now_utc, self._stopping.is_set
        )

    def _arrived(self) -> None:
        """Look at once at the first instance of a burst; at the rest together, for each look reads whole studies."""
        due = max(now_utc(), self._assembled_at + timedelta(seconds=ASSEMBLE_PAUSE_S))
        self._wake("assemble", due)

    def _assemble(self, assembler: Assembler) -> None:
        self._assembled_at = now_utc()
        if assembler.run_once(now_utc()):
            self._wake("process")

    def _process(self) -> None:
        self._processing.set()
        try:
            while self._processor.run_once(now_utc()):
                pass
        finally:
            self._processing.clear()

    def _send(self, destination: DestinationSettings, paths: Sequence[Path]) -> Iterator[SendReport]:
        return sender.send(destination, paths, self.config.node.ae_title, self.config.tls)

    def _add(self, name: str, work: Callable[[], object], every_s: float) -> None:
        first = now_utc() + timedelta(milliseconds=50)
        self._scheduler.add_job(Tick(name, work), "interval", seconds=every_s, id=name, next_run_time=first)

    def _wake(self, name: str, at: datetime | None = None) -> None:
        if self._scheduler.running and not self._stopping.is_set():
            self._scheduler.modify_job(name, next_run_time=at or now_utc())

    def _wake_deliveries(self) -> None:
        for destination in self.config.destinations:
            self._wake(f"deliver {destination.name}")

    def _tell_status(self, started_at: datetime) -> None:
        assert self._lock is not None  # noqa: S101 - taken at start
        facts = {"pid": os.getpid(), "started_at": started_at.isoformat(), "version": node_version()}
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(json.dumps(facts))
        self._lock.flush()


def _until_idle(run_once: Callable[[datetime], int]) -> Callable[[], None]:
    def work() -> None:
        while run_once(now_utc()):
            pass

    return work


def node_version() -> str:
    """Return the version of the installed package."""
    return package_version("dicomnode")
