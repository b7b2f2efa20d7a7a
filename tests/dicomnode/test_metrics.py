"""What Prometheus is told: counted where it happens, read from the tables where they know it better."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dicomnode.config import DestinationSettings
from dicomnode.errors import InstanceRejected, StoreStatus, TransientFault
from dicomnode.metrics import DestinationState, Metrics, NodeState, Stopwatch
from dicomnode.study import ReceivedInstance, SendOutcome, SendReport
from tests.fakes import after

ROOT = Path(__file__).resolve().parents[2]
PACS = DestinationSettings(name="pacs", ae_title="ORTHANC", host="127.0.0.1", port=4242)
STATE = NodeState({"HELD": 2}, after(0), {"pacs": DestinationState(3, 2, after(10), after(5))}, 5e9, 1)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("0.1.0", lambda: STATE, lambda: after(60))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return one number as Prometheus would read it."""
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


def from_peer(ae_title: str) -> ReceivedInstance:
    return ReceivedInstance(ae_title, "10.0.0.5", "a1", "1.2", "1.2.3", "1.2.840.10008.1.2.1", b"1234")


def test_what_is_received_is_counted_per_camera(metrics: Metrics) -> None:
    receive = metrics.counting_receive(lambda _received: None)
    receive(from_peer("SPECT1"))
    receive(from_peer("SPECT1"))
    assert value(metrics, "dicomnode_instances_received_total", calling_ae="SPECT1") == 2
    assert value(metrics, "dicomnode_received_bytes_total", calling_ae="SPECT1") == 8


def test_what_is_refused_is_counted_with_its_status_and_still_refused(metrics: Metrics) -> None:
    def refuse(_received: ReceivedInstance) -> None:
        raise InstanceRejected(StoreStatus.OUT_OF_RESOURCES, "no room")

    with pytest.raises(InstanceRejected):
        metrics.counting_receive(refuse)(from_peer("SPECT1"))
    assert value(metrics, "dicomnode_instances_rejected_total", calling_ae="SPECT1", status="0xA700") == 1
    assert value(metrics, "dicomnode_instances_received_total", calling_ae="SPECT1") is None


def test_strangers_can_not_fill_the_memory_with_names(metrics: Metrics) -> None:
    receive = metrics.counting_receive(lambda _received: None)
    for number in range(300):
        receive(from_peer(f"AE{number}"))
    assert value(metrics, "dicomnode_instances_received_total", calling_ae="other") == 100


def test_what_is_sent_is_counted_per_outcome(metrics: Metrics) -> None:
    def send(_destination: DestinationSettings, _paths: Sequence[Path]) -> Iterator[SendReport]:
        yield SendReport("1.2", SendOutcome.DELIVERED, 0, "stored")
        raise TransientFault("gone")

    with pytest.raises(TransientFault):
        list(metrics.counting_send(send)(PACS, []))
    assert value(metrics, "dicomnode_sends_total", destination="pacs", outcome="delivered") == 1
    assert value(metrics, "dicomnode_sends_total", destination="pacs", outcome="no association") == 1


def test_a_job_that_fails_is_counted_as_what_it_failed_of(metrics: Metrics) -> None:
    with pytest.raises(TransientFault), Stopwatch(lambda outcome, s: metrics.job_ended("denoising", outcome, s)):
        raise TransientFault("no GPU")
    name = "dicomnode_job_duration_seconds_count"
    assert value(metrics, name, pipeline="denoising", outcome="TransientFault") == 1


def test_states_queues_and_disk_are_read_when_asked_for(metrics: Metrics) -> None:
    assert value(metrics, "dicomnode_studies", state="HELD") == 2
    assert value(metrics, "dicomnode_studies", state="FAILED") == 0
    assert value(metrics, "dicomnode_oldest_queued_seconds") == 60
    assert value(metrics, "dicomnode_deliveries_waiting", destination="pacs") == 3
    assert value(metrics, "dicomnode_delivery_oldest_seconds", destination="pacs") == 50
    assert value(metrics, "dicomnode_spool_free_bytes") == 5e9


@pytest.mark.parametrize("name", ["monitoring.md", "monitoring/alerts.yml", "monitoring/dashboard.json"])
def test_the_docs_name_only_metrics_that_there_are(metrics: Metrics, name: str) -> None:
    text = (ROOT / "docs" / name).read_text("utf-8")
    there = {sample.name for family in text_string_to_metric_families(described(metrics)) for sample in family.samples}
    named = set(re.findall(r"\bdicomnode_[a-z_]+", text))
    assert len(named) > 5
    assert {name for name in named if not {name, f"{name}_count"} & there} == set()


def described(metrics: Metrics) -> str:
    """Return all metrics after one of everything has happened."""

    def refuse(_received: ReceivedInstance) -> None:
        raise InstanceRejected(StoreStatus.OUT_OF_RESOURCES, "no room")

    metrics.counting_receive(lambda _received: None)(from_peer("SPECT1"))
    with pytest.raises(InstanceRejected):
        metrics.counting_receive(refuse)(from_peer("SPECT1"))
    metrics.job_ended("denoising", "done", 1.0)
    list(metrics.counting_send(lambda _d, _p: iter([SendReport("1.2", SendOutcome.DELIVERED, 0, "")]))(PACS, []))
    return metrics.render().decode()
