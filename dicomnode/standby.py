"""Waits until this node is the active one of those behind one AE title, and ends it at once when it no longer is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import structlog

from dicomnode.config import NodeSettings
from dicomnode.errors import ConfigurationError, TransientFault
from dicomnode.store.faults import TenureLost
from dicomnode.store.folder import DataFolder, take_lock
from dicomnode.store.tenure import Place, Tenure
from dicomnode.store.trial import WriteTrial
from dicomnode.systemd import ServiceManager

log = structlog.get_logger(__name__)

LOOK_S = 1.0  # how soon a standby sees that its turn has come
AGAIN_S = 0.5  # until an active node that lost the database asks for it again
# A lock that was not given up in good order is left to its last holder for so long: it may have lost no more than the
# connection, by a restart of the database or of something on the way to it, and that changes nothing.
PRECEDENCE_S = 3.0
# After so many times `takeover_s` without a write, the active node leaves the storage to a standby that sees it.
PATIENCE = 3
BEATS, BEAT_S = 5, 1.0  # signs of life within the time that it takes to be given up; the most between two of them


def open_folder(
    folder: DataFolder, settings: NodeSettings, manager: ServiceManager, stopping: threading.Event
) -> TextIO | None:
    """Make the data folder ready and return its lock; None if this node was told to stop before.

    Raises ConfigurationError if the folder can't be used; a standby waits until it can: it may have ended over that.
    """
    said = ""
    while not stopping.is_set():
        try:
            folder.create()
            return take_lock(folder.lock)
        except (ConfigurationError, OSError) as error:
            if not settings.standby:
                raise
            if said != (said := f"standby, can't take over: {error}"):
                log.error("this node waits", status=said)
                manager.ready(said)
        manager.alive()
        stopping.wait(LOOK_S)
    return None


class Standby:
    """A node before its turn: says what it waits for, to `tell` and to the service manager.

    With a `trial`, it does not take over where it can't write the data folder.
    """

    def __init__(
        self,
        tenure: Tenure,
        settings: NodeSettings,
        manager: ServiceManager,
        tell: Callable[[str], None],
        trial: WriteTrial | None = None,
    ) -> None:
        self._tenure, self._settings, self._manager, self._tell, self._trial = tenure, settings, manager, tell, trial
        self._said = ""
        self._lost_since_s: float | None = None
        self._refused_since_s: float | None = None

    def wait(self, stopping: threading.Event) -> bool:
        """Block until this node is the active one; False if it was told to stop before.

        Raises ConfigurationError if the folder or the journal can't be used, or another node works on them and this
        one is no standby.
        """
        if self._trial is not None:
            self._trial.start()
        try:
            return self._wait(stopping)
        finally:
            if self._trial is not None:
                self._trial.stop()

    def _wait(self, stopping: threading.Event) -> bool:
        while not stopping.is_set():
            try:
                if self._try():
                    log.info("this node is the active one of its journal")
                    return True
            except TransientFault as error:
                self._lost_since_s = None
                self._say(f"waits for the journal: {error}")
            except (ConfigurationError, OSError) as error:
                if not self._settings.standby:
                    raise
                self._say(f"standby, can't take over: {error}")
            self._manager.alive()
            stopping.wait(LOOK_S)
        return False

    def _try(self) -> bool:
        if self._trial is not None and (trouble := self._trial.trouble(self._settings.takeover_s)):
            self._say(f"standby, can't take over: the data folder {trouble}")
            return False
        if self._is_its_turn() and self._tenure.take(datetime.now(UTC)):
            return True
        holder = self._tenure.holder()
        name = "another node" if holder is None else holder.name
        if not self._settings.standby:
            self._refuse_in_time(name)
        self._say(f"standby: waits for {name} to end")
        return False

    def _is_its_turn(self) -> bool:
        place = self._tenure.place()
        if place is not Place.LOST:
            self._lost_since_s = None
            return place is Place.LEFT
        now = time.monotonic()
        self._lost_since_s = self._lost_since_s or now
        return now - self._lost_since_s >= PRECEDENCE_S

    def _refuse_in_time(self, name: str) -> None:
        """Give an earlier self that was cut off the time to be noticed."""
        now = time.monotonic()
        self._refused_since_s = self._refused_since_s or now
        if now - self._refused_since_s > 2 * self._settings.takeover_s:
            raise ConfigurationError(
                f"node.journal: {name} works on this journal; stop it first, or set node.standby = true on both nodes"
            )

    def _say(self, words: str) -> None:
        if words == self._said:
            return
        self._said = words
        log.info("this node waits", status=words)
        self._manager.ready(words)  # the service is up, although it does not listen
        self._tell(words)  # last, for it writes to the data folder


class Keeper:
    """A thread that says again and again that the active node lives; calls `lost` once it must end at once.

    That is when another node has become the active one, and, where there is a standby, also when the database was out
    of reach for so long that there may be one, or when the `trial` says that this machine can't write the data folder:
    the other one may. `beat` is called each time that all is well.
    """

    def __init__(
        self,
        tenure: Tenure,
        settings: NodeSettings,
        lost: Callable[[str], None],
        beat: Callable[[], None],
        trial: WriteTrial | None = None,
    ) -> None:
        self._tenure, self._settings, self._lost, self._beat, self._trial = tenure, settings, lost, beat, trial
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tenure", daemon=True)

    def start(self) -> None:
        """Begin to keep the place."""
        if self._trial is not None:
            self._trial.start()
        self._thread.start()

    def stop(self) -> None:
        """Give the place up; a standby takes over at once."""
        self._ended.set()
        if self._trial is not None:
            self._trial.stop()
        self._thread.join(timeout=self._settings.takeover_s)
        self._tenure.close()

    def _run(self) -> None:
        try:
            reason = self._until_lost()
        except Exception:
            # the thread's outer wall: a node that can't tell whether it is the active one must not go on
            log.exception("the active node could not say that it lives")
            reason = "an unforeseen error; see above"
        if reason is not None:
            self._lost(reason)

    def _until_lost(self) -> str | None:
        """Return why the node must end; None if it was told to stop before."""
        heard_at_s, pause_s, silent = time.monotonic(), 0.0, False
        while not self._ended.wait(pause_s):
            asked_at_s = time.monotonic()
            if self._trial is not None and (trouble := self._trial.trouble(PATIENCE * self._settings.takeover_s)):
                self._tenure.leave()
                return f"the data folder {trouble}; another node may be able to use it"
            try:
                self._tenure.renew()
            except TenureLost as error:
                return str(error)
            except TransientFault as error:
                pause_s = AGAIN_S
                if not silent:
                    log.error("the journal is out of reach", error=str(error))
                silent = True
                if self._settings.standby and time.monotonic() - heard_at_s > self._settings.takeover_s:
                    return "the journal was out of reach for too long; another node may be active"
            else:
                heard_at_s, pause_s = asked_at_s, min(BEAT_S, self._settings.takeover_s / BEATS)
                if silent:
                    log.info("the journal is in reach again")
                silent = False
                self._beat()
        return None
