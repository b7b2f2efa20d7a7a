"""The only place that wires: builds the edges, puts the stages on the scheduler, starts and stops them in order."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version as package_version
from typing import NoReturn, TextIO

import structlog

from dicomnode.audit.messages import EventType
from dicomnode.clockwork import Clockwork, Steps
from dicomnode.config import Config
from dicomnode.engine.choice import engine_of, lanes
from dicomnode.errors import ConfigurationError, TransientFault
from dicomnode.network.listener import Listener
from dicomnode.network.memory import ReceivingMemory, receiving_memory
from dicomnode.network.probe import is_answering
from dicomnode.network.storage import Receive
from dicomnode.objects.keywords import rule_keywords
from dicomnode.page import open_page
from dicomnode.reload import reloaded
from dicomnode.road import Ground, Road
from dicomnode.stages.assemble import refresh_headers
from dicomnode.stages.process import LEASE_MARGIN_S, Processor, remove_unrecorded
from dicomnode.stages.receive import OpenAssociations, Receiver, register_orphans
from dicomnode.standby import Keeper, Standby, open_folder
from dicomnode.store.folder import DataFolder, write_facts
from dicomnode.store.journal import Journal
from dicomnode.store.outbox import Outbox
from dicomnode.store.punctuality import is_ahead, make_due
from dicomnode.store.schema import open_database
from dicomnode.store.spool import Spool
from dicomnode.store.tenure import Tenure
from dicomnode.store.trial import WriteTrial
from dicomnode.study import ReceivedInstance
from dicomnode.systemd import Heartbeat, ServiceManager
from dicomnode.telemetry import set_level
from dicomnode.watching import AUDIT_TICK_S, NOTIFY_TICK_S, Watch

log = structlog.get_logger(__name__)

TICK_S = 1.0
DRAIN_ASSOCIATIONS_S = 20.0
DRAIN_ATTEMPT_S = 30.0
STOP_S = 80.0  # associations, the attempt, and the answers of destinations that are being sent to
LOOK_S = 0.5  # how soon a signal to reload is seen
SETTLING = 10  # looks for what waits too long, after the clock was set back: what ran meanwhile may yet write its time
MORE_DESTINATIONS = 8  # that a reload may add and that still have threads of their own
LOST_TENURE = 75  # exit status (EX_TEMPFAIL of sysexits.h): to be started again, and then to wait


def now_utc() -> datetime:
    """Return the time; every stage is given it."""
    return datetime.now(UTC)


@dataclass
class Lane:
    """One of the studies that may be in work at once."""

    number: int
    busy: bool = False

    @property
    def name(self) -> str:
        """The name of its tick."""
        return f"process {self.number}"


class Node:
    """One running node. `take_turn`, then `start`, then `wait`, then `stop`.

    `read_again` reads the configuration anew when SIGHUP comes; it raises ConfigurationError if the file is wrong.
    """

    def __init__(
        self,
        config: Config,
        read_again: Callable[[], Config] | None = None,
        manager: ServiceManager | None = None,
    ) -> None:
        self.config = config
        self._read_again = read_again
        self._manager = manager or ServiceManager()
        self._heartbeat = Heartbeat(self._manager, self._is_alive)
        self._hangup = threading.Event()
        self._reads, self._last_read = 0, ""  # how often the file was read again, and what came of it
        self._mistake: str | None = None
        self.folder = DataFolder.of(config.node)
        self._stopping = threading.Event()
        self._lock: TextIO | None = None
        self._keeper: Keeper | None = None  # where other nodes may share the journal
        self._started = threading.Event()
        # ticks of the road come by destination, and a reload may add some
        lane_count = lanes(config.engine)
        self._clockwork = Clockwork(10 + lane_count + 4 * (len(config.destinations) + MORE_DESTINATIONS), now_utc)
        self._steps, self._unsettled = Steps(now_utc), 0
        self._lanes, self._entering = [Lane(number) for number in range(lane_count)], threading.Lock()
        self._told_trouble = ""

    def take_turn(self) -> bool:
        """Take the folder and the journal. A journal that other nodes share is waited for, and so is its database.

        Returns False if a signal to stop came before. Raises ConfigurationError if folder or journal can't be used.
        """
        self._lock = open_folder(self.folder, self.config.node, self._manager, self._stopping)
        if self._lock is None:
            return False
        if self.folder.database is None:
            self.journal = Journal(open_database(self.folder.journal))
            return True
        tenure = Tenure(self.folder, self.config.node.takeover_s)
        standby = Standby(tenure, self.config.node, self._manager, self._tell_waiting, self._trial(marked=False))
        if not standby.wait(self._stopping):
            tenure.close()
            self._lock.close()
            return False
        self.journal = Journal(tenure.engine, tenure.epoch)
        self._manager.status("active; looks through what the last active node left")
        self._keeper = Keeper(
            tenure, self.config.node, self._end_at_once, self._beat_at_start, self._trial(marked=True)
        )
        self._keeper.start()
        return True

    def _trial(self, marked: bool) -> WriteTrial | None:
        """Return what watches the data folder; a node without a standby stays where it is, whatever its disk does."""
        return WriteTrial(self.folder, marked) if self.config.node.standby else None

    def start(self) -> None:
        """Mend what a crash left, start all parts; the listener last.

        Raises ConfigurationError if port or certificate can't be used.
        """
        self.outbox = Outbox(self.journal, Spool(self.folder.derived), lambda: self.config.keep_private)
        self.engine = engine_of(self.config.engine, node_version())
        self._started_at = now_utc()
        self._receiver = self._make_receiver(OpenAssociations(lambda: self._road.association_ended()))
        self._watch = Watch(
            lambda: self.config, self.journal, self.outbox, self._receiver.spool, self._open_associations,
            node_version(),
        )  # fmt: skip
        receive = self._watch.metrics.counting_receive(self._receive)
        memory = receiving_memory(self.config.node)
        self._road = self._make_road(receive, memory)
        self._recover(self._started_at)
        self._listener = Listener(
            self.config.node, self.config.known_peers, self.config.tls, receive, self._receiver.associations.closed,
            self._road.commitment_service(), self._watch.rejected, memory,
        )  # fmt: skip
        self._page = open_page(
            lambda: self.config, self.journal, self.outbox, self._receiver.spool, self._is_listening, self._started_at,
            self._watch.metrics.render, self._watch.access, lambda: self.engine.trouble,
        )  # fmt: skip
        self._listener.start()
        self.engine.start()
        self._start_stages()
        self._tell_status()
        self._watch.application(EventType.START)
        port = self._listener.port
        self._manager.ready(f"{self.config.node.ae_title} listens on {self.config.node.host}:{port}")
        self._started.set()
        log.info("ready", title=self.config.node.ae_title, host=self.config.node.host, port=port)

    def stop_on_signals(self) -> None:
        """Make SIGTERM and SIGINT end `wait`, SIGHUP reload; to be called before `start`, so that none is missed."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        signal.signal(signal.SIGHUP, lambda *_: self._hangup.set())

    def wait(self) -> None:
        """Block until a signal to stop came; meanwhile reload when asked to, and tell the watchdog that all is well."""
        while not self._stopping.wait(LOOK_S):
            if self._hangup.is_set():
                self._hangup.clear()
                self.reload()
            if self.engine.trouble != self._told_trouble:
                self._tell_status()
            self._mind_clock()
            self._heartbeat.beat(time.monotonic())

    def reload(self) -> None:
        """Read the configuration again and go on with it; a wrong one leaves the old in effect and says so."""
        if self._read_again is None:
            return
        self._manager.reloading()
        self._reads += 1
        try:
            found = reloaded(self.config, self._read_again())
            keywords = _keywords(found.config)
        except ConfigurationError as error:
            self._mistake, self._last_read = str(error), "the new configuration is wrong; the old one stays in effect"
            log.error("configuration not reloaded; the old one stays in effect", error=str(error))
        else:
            self._go_on_with(found.config, keywords)
            self._mistake, self._last_read = None, found.in_words()
            log.info("configuration reloaded", outcome=self._last_read)
        self._tell_status()
        self._manager.ready(f"configuration: {self._last_read}")

    def stop(self) -> None:
        """Refuse new Associations, let running ones and a running attempt end, then end the rest."""
        self._stopping.set()
        self._manager.stopping("draining: open Associations and the running attempt", STOP_S)
        log.info("stopping")
        self._listener.stop(DRAIN_ASSOCIATIONS_S)
        deadline = time.monotonic() + DRAIN_ATTEMPT_S
        while any(lane.busy for lane in self._lanes) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.engine.stop()
        self._clockwork.stop()
        if self._page is not None:
            self._page.stop()
        self._watch.close()
        self.journal.close()
        if self._keeper is not None:
            self._keeper.stop()
        if self._lock is not None:
            self._lock.close()
        log.info("stopped")

    # --- wiring

    def _make_receiver(self, associations: OpenAssociations) -> Receiver:
        return Receiver(
            self.journal,
            Spool(self.folder.spool),
            associations,
            _keywords(self.config),
            self.config.node.min_free_gb,
            self.config.node.quiet_s,
            arrived=lambda: self._road.arrived(),
        )

    def _receive(self, received: ReceivedInstance) -> None:
        self._receiver.receive(received, now_utc())

    def _make_road(self, receive: Receive, memory: ReceivingMemory) -> Road:
        ground = Ground(
            lambda: self.config, lambda: self._receiver, receive, memory, self.journal, self.outbox,
            self._started_at, self._stopping.is_set, self._watch.metrics.counting_send,
            tuple(lane.name for lane in self._lanes),
        )  # fmt: skip
        return Road(ground, self._clockwork)

    def _recover(self, now: datetime) -> None:
        if is_ahead(self.journal, now):  # asked first: what follows is stamped a moment later than `now`
            log.warning("the clock was set back while the node was stopped", count=make_due(self.journal, now))
        spool = self._receiver.spool
        orphans = register_orphans(self._receiver, now)
        unrecorded = remove_unrecorded(self.outbox)
        refresh_headers(self.journal, spool, self._receiver.keywords)
        self._processor = self._make_processor(spool)
        self._processor.return_lost_claims(None)
        self._road.recover(now)
        log.info("recovered", instances=orphans, count=unrecorded)

    def _make_processor(self, spool: Spool) -> Processor:
        return Processor(
            self.journal,
            spool,
            self.outbox,
            self._watch.engine(self.engine),
            node_version(),
            self.config.engine.attempts,
            self.config.engine.timeout_s + LEASE_MARGIN_S,
            self._stopping.is_set,
            now_utc,
            derived=self._road.wake_deliveries,
        )

    def _start_stages(self) -> None:
        self._road.start()
        for lane in self._lanes:
            self._clockwork.add(lane.name, partial(self._process, lane), TICK_S)
        self._clockwork.add("audit", self._watch.audit, AUDIT_TICK_S)
        self._clockwork.add("notify", self._watch.notify, NOTIFY_TICK_S)
        self._clockwork.start()

    def _go_on_with(self, config: Config, keywords: frozenset[str]) -> None:
        """Put a new configuration in effect; what runs at this moment ends as it was begun."""
        self._receiver = replace(self._receiver, keywords=keywords)
        try:
            # first of all: a new rule must not judge a study by a header that was read for the old ones
            refresh_headers(self.journal, self._receiver.spool, keywords)
        except TransientFault as error:
            log.error("studies that wait are judged by what was read of them before", error=str(error))
        self.config = config
        set_level(config.log.level)
        self._listener.admit(config.known_peers)
        try:
            self._road.renew()
        except TransientFault as error:
            log.error("what waits for a destination keeps to its former schedule", error=str(error))
        self._watch.renew()
        self._watch.application(EventType.SOFTWARE_CONFIGURATION)

    def _mind_clock(self) -> None:
        """See to it that nothing waits until a clock that was set back is where it was before."""
        if back_s := self._steps.set_back_s():
            log.warning("the clock was set back; all that waits is due now", seconds=round(back_s))
            self._unsettled = SETTLING
        if self._unsettled:
            self._clockwork.catch_up()
            with contextlib.suppress(TransientFault):  # the next look finds it
                make_due(self.journal, now_utc())
                self._unsettled -= 1

    def _is_alive(self) -> bool:
        """Look for the watchdog: does the listener take connections, can the journal be written?"""
        try:
            with self.journal.transaction():
                pass
        except TransientFault as error:
            log.error("the journal can't be written", error=str(error))
            if self.folder.database is None:  # a start anew brings no other machine's database back
                return False
        return self._is_listening()

    def _beat_at_start(self) -> None:
        """Tell the watchdog of a standby that it is busy: to take over a large folder may take longer than it waits."""
        if not self._started.is_set():
            self._manager.alive()

    def _open_associations(self) -> int:
        return self._listener.open_associations

    def _is_listening(self) -> bool:
        return not self._stopping.is_set() and is_answering(self.config.node.host, self._listener.port)

    def _process(self, lane: Lane) -> None:
        """Work on one study after the other, as long as the engine has room for it beside those of other lanes."""
        while not self._stopping.is_set() and self._enter(lane):
            try:
                if not self._processor.run_once(now_utc()):
                    return
            finally:
                lane.busy = False

    def _enter(self, lane: Lane) -> bool:
        room = self.engine.room()
        with self._entering:
            # room may shrink while lanes are busy: a job must not wait behind another's, for its time limit runs
            lane.busy = lane.number < room and sum(one.busy for one in self._lanes) < room
            return lane.busy

    def _end_at_once(self, reason: str) -> NoReturn:
        """End without draining: another node works on the journal now, or may, and this one has no say any more."""
        log.error("no longer the active node; this process ends", reason=reason, status=LOST_TENURE)
        os._exit(LOST_TENURE)

    def _tell_waiting(self, words: str) -> None:
        assert self._lock is not None  # noqa: S101 - taken before
        facts = {"pid": os.getpid(), "version": node_version(), "role": "standby", "waits": words}
        with contextlib.suppress(OSError):  # that the folder can't be written may be what it waits for
            write_facts(self._lock, facts)

    def _tell_status(self) -> None:
        """Leave in the lock file what the commands of other processes ask for."""
        assert self._lock is not None  # noqa: S101 - taken before
        self._told_trouble = self.engine.trouble
        facts = {
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(),
            "version": node_version(),
            "role": "active",
            "reads": self._reads,
            "last_read": self._last_read,
            "mistake": self._mistake,
            "engine": self._told_trouble,
        }
        write_facts(self._lock, facts)


def _keywords(config: Config) -> frozenset[str]:
    """Return what is read of every header: what the rules look at, and what finds other studies of the patient."""
    return rule_keywords(config.rules) | {"IssuerOfPatientID"}


def node_version() -> str:
    """Return the version of the installed package."""
    return package_version("dicomnode")
