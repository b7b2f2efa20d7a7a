"""Scheduler and worker under a real systemd, beside the node: started, killed, stopped; what rights they have.

`make service` runs these, with those of the node's own unit.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dicomnode.network.helpers import certificates
from tests.peers.node import toml
from tests.peers.process import eventually
from tests.service.machine import SYSTEMD, can_boot
from tests.service.test_unit import CONFIG, NEEDED, PACS_PORT, Service, exposure

pytestmark = pytest.mark.skipif(
    not can_boot() or any(shutil.which(program) is None for program in NEEDED),
    reason=f"needs root and {', '.join(NEEDED)}",
)

SCHEDULER, WORKER = "dicomnode-scheduler.service", "dicomnode-worker@0.service"


def engine(folder: str) -> dict[str, object]:
    files = {"certificate": "node.pem", "key": "node.key", "ca": "ca.pem"}
    return {"scheduler": "tls://127.0.0.1:8786", "device": "cpu", **{k: f"{folder}/{v}" for k, v in files.items()}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A machine with node, scheduler and worker, all started."""
    machine = Service(tmp_path_factory.mktemp("machine"))
    machine.make()
    machine.copy("dicomnode-scheduler.service", f"systemd/system/{SCHEDULER}")
    machine.copy("dicomnode-worker@.service", "systemd/system/dicomnode-worker@.service")
    circle = certificates(tmp_path_factory.mktemp("circle"))
    for folder in ("dicomnode-cluster", "dicomnode/cluster"):
        place = machine.root / "etc" / folder
        place.mkdir(parents=True)
        for path in (circle.certificate, circle.key, circle.ca):
            shutil.copy(path, place)
            (place / path.name).chmod(0o644)
    (machine.root / "etc/dicomnode-cluster/config.toml").write_text(toml({"engine": engine("/etc/dicomnode-cluster")}))
    try:
        machine.boot()
        (machine.exchange / "pacs").mkdir()
        machine.run(
            "systemd-run", "--quiet", "--unit=pacs", "storescp", "-aet", "PACS", "-od", "/exchange/pacs", str(PACS_PORT)
        )
        machine.configure(engine={**CONFIG["engine"], **engine("/etc/dicomnode/cluster"), "kind": "dask"})
        machine.run("systemctl", "start", SCHEDULER, WORKER)
        machine.start()
        yield machine
    finally:
        machine.power_off()


def pid_of(machine: Service, unit: str) -> int:
    return int(machine.run("systemctl", "show", "--value", "--property", "MainPID", unit).stdout)


def restarted(machine: Service, unit: str, former: int) -> bool:
    return pid_of(machine, unit) not in (0, former)


def test_a_study_goes_through_the_worker_and_neither_has_more_rights_than_it_needs(cluster: Service) -> None:
    cluster.wait_for(cluster.send("cluster"), "DELIVERED")
    for unit in (SCHEDULER, WORKER):
        status = cluster.run("cat", f"/proc/{pid_of(cluster, unit)}/status").stdout
        assert re.search(r"CapEff:\s0+\n", status)
        assert re.search(r"NoNewPrivs:\s1\n", status)
        assert re.search(r"Seccomp:\s2\n", status)


@pytest.mark.parametrize("unit", [WORKER, SCHEDULER])
def test_whichever_is_killed_is_back_and_the_next_study_is_processed(cluster: Service, unit: str) -> None:
    former = pid_of(cluster, unit)
    cluster.signal(former, signal.SIGKILL)
    eventually(lambda: restarted(cluster, unit, former), f"another {unit}", timeout_s=60, every_s=0.5)
    cluster.wait_for(cluster.send(f"after {unit[:12]}"), "DELIVERED")


def test_a_worker_that_is_stopped_ends_well(cluster: Service) -> None:
    cluster.run("systemctl", "stop", WORKER)
    assert cluster.run("systemctl", "show", "--value", "--property", "Result", WORKER).stdout.strip() == "success"
    cluster.run("systemctl", "start", WORKER)
    cluster.wait_for(cluster.send("started"), "DELIVERED")


def test_the_units_are_as_systemd_wants_them_and_little_is_left_open(cluster: Service, tmp_path: Path) -> None:
    done = cluster.run("systemd-analyze", "verify", SCHEDULER, WORKER, check=False)
    assert [line for line in done.stderr.splitlines() if "dicomnode" in line] == []
    for name, unit in (("dicomnode-scheduler.service", SCHEDULER), ("dicomnode-worker@.service", WORKER)):
        shutil.copy(SYSTEMD / name, tmp_path / unit)
        assert exposure(tmp_path, unit) <= 1.4
