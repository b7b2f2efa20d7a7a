"""One instance arrived: header checked, file to the spool, row to the journal; only then is the peer told success."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from dicomnode.errors import InstanceRejected, StoreStatus, TransientFault
from dicomnode.objects.header import check_command_uids, read_header
from dicomnode.objects.identity import origin, same_content
from dicomnode.store.journal import Journal
from dicomnode.store.keeping import was_purged
from dicomnode.store.rows import Arrival
from dicomnode.store.spool import Spool, dataset_sha256, generation
from dicomnode.study import Instance, InstanceContent, InstanceHeader, ReceivedInstance

log = structlog.get_logger(__name__)

# Only these can make a study whole by themselves; more of the rest (hundreds of CT slices) waits until it is quiet.
_MAY_COMPLETE = (InstanceContent.PROJECTIONS, InstanceContent.RECONSTRUCTION)


class OpenAssociations:
    """Which Association is still sending to which study; a study is not quiet while one of them is open.

    `ended` is called when one has ended whose studies somebody asked about.
    """

    def __init__(self, ended: Callable[[], None] = lambda: None) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._studies: dict[str, set[str]] = defaultdict(set)
        self._asked: set[str] = set()

    def sends(self, association: str, study_instance_uid: str) -> None:
        """Note that the Association brought an instance of the study."""
        with self._lock:
            self._studies[association].add(study_instance_uid)

    def closed(self, association: str) -> None:
        """Note that the Association ended, in whichever way."""
        with self._lock:
            brought = self._studies.pop(association, set())
            awaited = self._asked & brought
            self._asked -= brought
        if awaited:
            self._ended()

    def is_sending(self, study_instance_uid: str) -> bool:
        """Tell whether an open Association brought instances of the study."""
        with self._lock:
            sending = any(study_instance_uid in studies for studies in self._studies.values())
            if sending:
                self._asked.add(study_instance_uid)
            return sending


@dataclass(frozen=True)
class Receiver:
    """The stage: called by the listener for every C-STORE, on the Association's own thread."""

    journal: Journal
    spool: Spool
    associations: OpenAssociations
    keywords: frozenset[str]  # DICOM keywords that the rules look at
    min_free_gb: float
    quiet_s: float
    arrived: Callable[[], None]  # wakes the next stage

    def receive(self, received: ReceivedInstance, now: datetime) -> None:
        """Keep the instance safe; when this returns, it survives a power cut.

        Raises InstanceRejected with the DIMSE status for the peer.
        """
        free_gb = self.spool.free_gb()
        if free_gb < self.min_free_gb:
            log.error("no room: instance refused", free_gb=round(free_gb, 2), limit=self.min_free_gb)
            raise InstanceRejected(StoreStatus.OUT_OF_RESOURCES, "no room on the spool's disk")
        header = read_header(received.file_bytes, self.keywords)
        check_command_uids(header, received.sop_class_uid, received.sop_instance_uid)
        self.associations.sends(received.association, header.study_instance_uid)
        try:
            arrival = self._keep(header, received, now)
        except OSError as error:
            log.error("instance could not be written", error=error.strerror or type(error).__name__)
            raise InstanceRejected(StoreStatus.OUT_OF_RESOURCES, "the instance could not be written") from error
        except TransientFault as error:
            log.error("instance could not be recorded", error=str(error))
            raise InstanceRejected(StoreStatus.OUT_OF_RESOURCES, "the instance could not be recorded") from error
        log.info(
            "instance received",
            study=header.study_instance_uid,
            sop_instance=header.sop_instance_uid,
            calling_ae=received.calling_ae_title,
            outcome=arrival.value,
            size_bytes=len(received.file_bytes),
        )
        if arrival is not Arrival.DUPLICATE and header.content in _MAY_COMPLETE:
            self.arrived()

    def _keep(self, header: InstanceHeader, received: ReceivedInstance, now: datetime) -> Arrival:
        sha256 = dataset_sha256(received.file_bytes)
        copies = self.journal.copies(header.sop_instance_uid)
        kept = next((copy for copy in copies if copy.kept and copy.purged_at is None), None)
        if kept is not None and kept.sha256 == sha256:
            return Arrival.DUPLICATE
        if kept is not None and same_content(received.file_bytes, self.spool.path(kept.path)):
            return Arrival.DUPLICATE  # the same data in another Transfer Syntax
        purged = next((copy.path for copy in copies if copy.sha256 == sha256 and copy.purged_at is not None), None)
        path = self.spool.store(
            header.study_instance_uid, header.series_instance_uid, header.sop_instance_uid, received.file_bytes, sha256,
            purged,
        )  # fmt: skip
        instance = Instance(
            header,
            received.transfer_syntax_uid,
            path,
            sha256,
            len(received.file_bytes),
            now,
            received.calling_ae_title,
            version=1,
        )
        quiet_at = None if header.content in _MAY_COMPLETE else now + timedelta(seconds=self.quiet_s)
        return self.journal.record_instance(instance, now, quiet_at, purged)


def register_orphans(receiver: Receiver, now: datetime) -> int:
    """Register the files that a crash left without a row, and return how many; run before the listener starts."""
    known = receiver.journal.known_paths()
    unknown = [path for path in receiver.spool.sweep() if path not in known]
    return sum(_register(receiver, path, now) for path in unknown)


def _register(receiver: Receiver, path: str, now: datetime) -> bool:
    if was_purged(receiver.journal, path):  # and then the node died
        receiver.spool.remove(path)
        return False
    file_bytes = receiver.spool.path(path).read_bytes()
    try:
        header = read_header(file_bytes, receiver.keywords)
    except InstanceRejected as error:
        log.error("a file of the spool is no instance; left where it is", file=path, reason=error.comment)
        return False
    transfer_syntax_uid, calling_ae_title = origin(receiver.spool.path(path))
    instance = Instance(
        header, transfer_syntax_uid, path, dataset_sha256(file_bytes), len(file_bytes), now, calling_ae_title, version=1
    )
    same = next((c for c in receiver.journal.copies(header.sop_instance_uid) if c.sha256 == instance.sha256), None)
    if same is not None and same.purged_at is None and not receiver.spool.path(same.path).is_file():
        receiver.journal.found(instance)  # the journal was put back to before a purge, and has the file of then
        arrival = Arrival.NEW
    elif same is not None and (same.purged_at is None or generation(path) <= generation(same.path)):
        receiver.spool.remove(path)  # it was purged, or is here a second time
        return False
    else:
        purged = None if same is None else same.path
        arrival = receiver.journal.record_instance(instance, now, purged=purged)
    log.warning("file without a row registered", file=path, study=header.study_instance_uid, outcome=arrival.value)
    return True
