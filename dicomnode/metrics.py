"""What Prometheus is told: counters of what passes through this process, gauges read from the tables when asked.

Nothing here names a patient or a study: labels are AE titles, destinations, pipelines, states and outcomes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from dicomnode.config import DestinationSettings
from dicomnode.errors import InstanceRejected, TransientFault
from dicomnode.study import ReceivedInstance, SendReport, StudyState

_SECONDS = (0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640)
_MOST_PEERS = 200  # an open node must not let strangers fill the memory with AE titles

Receive = Callable[[ReceivedInstance], None]
Send = Callable[[DestinationSettings, Sequence[Path]], Iterator[SendReport]]


@dataclass(frozen=True)
class DestinationState:
    """How one destination stands."""

    waiting: int
    uncommitted: int
    oldest_at: datetime | None
    last_sent_at: datetime | None


@dataclass(frozen=True)
class NodeState:
    """What the tables and the disk say at one moment."""

    studies: Mapping[str, int]
    oldest_waiting_at: datetime | None  # of the studies that wait for a pipeline
    destinations: Mapping[str, DestinationState]
    free_bytes: float
    open_associations: int


class Metrics:
    """All metrics of one node; `state` is read when Prometheus asks, `clock` is the time then."""

    def __init__(self, version: str, state: Callable[[], NodeState], clock: Callable[[], datetime]) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._peers: set[str] = set()
        self._received = Counter(
            "dicomnode_instances_received", "Instances kept", ["calling_ae"], registry=registry
        )  # fmt: skip
        self._bytes = Counter("dicomnode_received_bytes", "Bytes of instances kept", ["calling_ae"], registry=registry)
        self._rejected = Counter(
            "dicomnode_instances_rejected", "Instances refused", ["calling_ae", "status"], registry=registry
        )
        self._last = Gauge("dicomnode_last_received_timestamp_seconds", "Last instance kept", registry=registry)
        self._sends = Counter("dicomnode_sends", "Attempts to send", ["destination", "outcome"], registry=registry)
        self._jobs = Histogram(
            "dicomnode_job_duration_seconds", "Time in a pipeline", ["pipeline", "outcome"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        Info("dicomnode_build", "What runs", registry=registry).info({"version": version})
        registry.register(_FromTables(state, clock))

    def render(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self._registry)

    def counting_receive(self, receive: Receive) -> Receive:
        """Return `receive` with what it takes and refuses counted."""

        def counted(received: ReceivedInstance) -> None:
            peer = self._peer(received.calling_ae_title)
            try:
                receive(received)
            except InstanceRejected as error:
                self._rejected.labels(peer, f"0x{error.status:04X}").inc()
                raise
            self._received.labels(peer).inc()
            self._bytes.labels(peer).inc(len(received.file_bytes))
            self._last.set_to_current_time()

        return counted

    def counting_send(self, send: Send) -> Send:
        """Return `send` with the outcome of every instance counted; an Association that failed counts once."""

        def counted(destination: DestinationSettings, paths: Sequence[Path]) -> Iterator[SendReport]:
            try:
                for report in send(destination, paths):
                    self._sends.labels(destination.name, report.outcome.value).inc()
                    yield report
            except TransientFault:
                self._sends.labels(destination.name, "no association").inc()
                raise

        return counted

    def job_ended(self, pipeline: str, outcome: str, seconds: float) -> None:
        """Count one run of a pipeline."""
        self._jobs.labels(pipeline, outcome).observe(seconds)

    def _peer(self, ae_title: str) -> str:
        if ae_title not in self._peers and len(self._peers) >= _MOST_PEERS:
            return "other"
        self._peers.add(ae_title)
        return ae_title


class Stopwatch:
    """Times a block and tells how it ended: `with stopwatch: ...`."""

    def __init__(self, ended: Callable[[str, float], None]) -> None:
        self._ended = ended
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended("done" if kind is None else kind.__name__, time.monotonic() - self._began)


@dataclass(frozen=True)
class _FromTables:
    """Gauges that are read when asked for, so that they are right after a restart, too."""

    state: Callable[[], NodeState]
    clock: Callable[[], datetime]

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the tables are not to be read when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read the tables."""
        state, now = self.state(), self.clock()
        studies = GaugeMetricFamily("dicomnode_studies", "Studies per state", labels=["state"])
        for name in StudyState:
            studies.add_metric([name.value], state.studies.get(name.value, 0))
        yield studies
        yield GaugeMetricFamily(
            "dicomnode_oldest_queued_seconds", "Age of the oldest study that waits for its pipeline",
            value=_age_s(state.oldest_waiting_at, now),
        )  # fmt: skip
        yield GaugeMetricFamily("dicomnode_spool_free_bytes", "Room on the spool's disk", value=state.free_bytes)
        yield GaugeMetricFamily("dicomnode_open_associations", "Associations", value=state.open_associations)
        yield from _destinations(state.destinations, now)


def _destinations(destinations: Mapping[str, DestinationState], now: datetime) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("dicomnode_deliveries_waiting", "Instances to be sent", labels=["destination"])
    oldest = GaugeMetricFamily("dicomnode_delivery_oldest_seconds", "Age of the oldest of them", labels=["destination"])
    last = GaugeMetricFamily(
        "dicomnode_last_sent_timestamp_seconds", "Last instance taken by a destination", labels=["destination"]
    )
    uncommitted = GaugeMetricFamily(
        "dicomnode_deliveries_uncommitted", "Instances taken, and not promised yet to be kept", labels=["destination"]
    )
    for name, found in destinations.items():
        uncommitted.add_metric([name], found.uncommitted)
        waiting.add_metric([name], found.waiting)
        oldest.add_metric([name], _age_s(found.oldest_at, now))
        if found.last_sent_at is not None:
            last.add_metric([name], found.last_sent_at.timestamp())
    yield from (waiting, uncommitted, oldest, last)


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
