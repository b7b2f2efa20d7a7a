"""The unit under a real systemd: ready, killed, frozen, reloaded, stopped, misconfigured, on port 104.

`make service` runs these; they boot a machine and so need root and systemd-nspawn. A suite of its own: some
minutes, most of it starts of Python.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.peers.node import toml
from tests.peers.process import eventually
from tests.peers.studies import StudyUids, small_tomo, write
from tests.service.machine import SYSTEMD, UNIT, Machine, can_boot

NEEDED = ("systemd-nspawn", "nsenter", "storescu", "storescp", "openssl")
pytestmark = pytest.mark.skipif(
    not can_boot() or any(shutil.which(program) is None for program in NEEDED),
    reason=f"needs root and {', '.join(NEEDED)}",
)

PACS_PORT = 11113
CONFIG: dict[str, Any] = {
    "node": {"data_dir": "/var/lib/dicomnode", "min_free_gb": 0.05, "quiet_s": 1},
    "engine": {"device": "cpu", "timeout_s": 120},
    "web": {"port": 0},
    "peers": [{"name": "scanner", "ae_title": "SPECT1"}],
    "destinations": [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": PACS_PORT, "retry_s": [0.5, 1]}],
    "rules": [
        {
            "name": "all",
            "when": {"modality": "NM"},
            "pipeline": "reconstruction",
            "options": {"iterations": 1},
            "destinations": ["pacs"],
        }
    ],
}


class Service(Machine):
    """The machine with the node installed, a PACS beside it, and a camera's storescu."""

    def configure(self, text: str = "", **tables: Any) -> None:
        """Write config.toml as the administrator would: for root and the node's group only."""
        path = self.root / "etc/dicomnode/config.toml"
        path.write_text(toml({**CONFIG, **tables}) + text)
        self.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/dicomnode.conf")

    def start(self) -> None:
        """Start the service; returns when it has said that it is ready."""
        self.run("systemctl", "daemon-reload")
        self.systemctl("reset-failed", check=False)
        self.systemctl("start")

    def send(self, seed: str, port: int = 11112, ae_title: str = "SPECT1", *options: str) -> str:
        """Send a study of one projection set and return its UID."""
        uids = StudyUids.from_seed("service", seed)
        write(small_tomo(uids), self.exchange / f"{seed}.dcm")
        self.run(
            "storescu", *options, "-aet", ae_title, "-aec", "DICOMNODE", "127.0.0.1", str(port), f"/exchange/{seed}.dcm"
        )
        return str(uids.study)

    def states(self) -> dict[str, str]:
        """Return the state per study, as the node's own command tells it."""
        rows = json.loads(self.run("/opt/dicomnode/bin/dicomnode", "studies", "--json").stdout)
        return {row["study_instance_uid"]: row["state"] for row in rows}

    def wait_for(self, study: str, *states: str) -> None:
        """Wait until the study stands in one of the states."""
        eventually(lambda: self.states().get(study) in states, f"{study} to be {states}", timeout_s=150, every_s=0.5)

    def child(self) -> int:
        """Return the pid of the process that runs pipelines, once there is one."""

        def found() -> int:
            lines = self.run("pgrep", "-f", "multiprocessing-fork", check=False).stdout.split()
            return int(lines[0]) if lines else 0

        return eventually(found, "the child process", timeout_s=60)

    def log_lines(self) -> list[str]:
        """Return our unit's log, line by line."""
        return self.journal().splitlines()


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    machine = Service(tmp_path_factory.mktemp("machine"))
    machine.make()
    try:
        machine.boot()
        (machine.exchange / "pacs").mkdir()
        machine.run(
            "systemd-run", "--quiet", "--unit=pacs", "storescp", "-aet", "PACS", "-od", "/exchange/pacs", str(PACS_PORT)
        )
        yield machine
    finally:
        machine.power_off()


@pytest.fixture
def service(booted: Service) -> Iterator[Service]:
    """The machine with the service as it is installed first: stopped, no drop-ins, a good configuration."""
    shutil.rmtree(booted.root / f"etc/systemd/system/{UNIT}.d", ignore_errors=True)
    booted.configure()
    yield booted
    booted.systemctl("stop", check=False)
    booted.systemctl("reset-failed", check=False)


def caught_in_the_middle(service: Service, seed: str) -> str:
    """Send a study and freeze the child before it is done with it; return the study's UID."""
    service.signal(service.child(), signal.SIGSTOP)
    study = service.send(seed)
    service.wait_for(study, "PROCESSING")
    return study


def exposure(folder: Path, unit: str = UNIT) -> float:
    """Return what `systemd-analyze security` says of the unit in a folder, with its drop-ins."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(folder / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def test_it_is_ready_when_systemctl_start_returns_and_has_no_more_rights_than_it_needs(service: Service) -> None:
    service.start()
    study = service.send("ready")
    status = service.run("cat", f"/proc/{service.main_pid}/status").stdout
    assert re.search(r"CapEff:\s0+\n", status)
    assert re.search(r"NoNewPrivs:\s1\n", status)
    assert re.search(r"Seccomp:\s2\n", status)
    service.wait_for(study, "DELIVERED")
    assert list(service.exchange.joinpath("pacs").iterdir())
    assert "listens on" in service.fact("StatusText")


def test_a_node_killed_in_the_middle_is_restarted_and_finishes_the_study(service: Service) -> None:
    service.start()
    study = caught_in_the_middle(service, "killed")
    service.signal(service.main_pid, signal.SIGKILL)
    service.wait_for(study, "DELIVERED")
    assert service.fact("NRestarts") == "1"


def test_a_frozen_node_is_noticed_by_the_watchdog_and_restarted(service: Service) -> None:
    service.drop_in("watchdog.conf", {"WatchdogSec": "6"})
    service.start()
    frozen = service.main_pid
    service.signal(frozen, signal.SIGSTOP)
    eventually(
        lambda: service.main_pid not in (0, frozen) and service.fact("ActiveState") == "active",
        "another node in place of the frozen one",
        timeout_s=90,
        every_s=0.5,
    )
    assert any("atchdog timeout" in line for line in service.log_lines())
    service.wait_for(service.send("frozen"), "DELIVERED")


def test_a_killed_child_costs_an_attempt_and_no_restart(service: Service) -> None:
    service.start()
    study = caught_in_the_middle(service, "child")
    service.signal(service.child(), signal.SIGKILL)
    service.wait_for(study, "DELIVERED")
    assert service.fact("NRestarts") == "0"


def test_a_reload_admits_a_new_camera_without_a_restart(service: Service) -> None:
    service.start()
    pid = service.main_pid
    service.configure(peers=[{"name": "second", "ae_title": "SPECT2"}])
    service.systemctl("reload")
    service.send("second camera", 11112, "SPECT2")
    assert service.main_pid == pid
    assert "in effect now: peers" in service.fact("StatusText")


def test_a_reload_of_a_wrong_file_fails_and_the_service_goes_on_as_before(service: Service) -> None:
    service.start()
    pid = service.main_pid
    service.configure('\n[log]\nlevle = "info"\n')
    assert service.systemctl("reload", check=False).returncode != 0
    assert any("config.toml" in line and "levle" in line for line in service.log_lines())
    assert (service.main_pid, service.fact("ActiveState")) == (pid, "active")
    service.send("still here")


def test_a_stop_in_the_middle_drains_and_the_study_is_finished_after_the_next_start(service: Service) -> None:
    service.start()
    study = service.send("stopped")
    service.systemctl("stop")
    assert service.fact("Result") == "success"
    service.start()
    service.wait_for(study, "DELIVERED")


def test_a_wrong_configuration_ends_with_78_and_no_loop(service: Service) -> None:
    service.configure("\nsurprise = 1\n")
    assert service.run("systemctl", "start", UNIT, check=False).returncode != 0
    eventually(lambda: service.fact("ActiveState") == "failed", "the unit to fail")
    assert (service.fact("ExecMainStatus"), service.fact("NRestarts")) == ("78", "0")
    assert any("surprise: unknown key" in line for line in service.log_lines())


def test_port_104_needs_the_drop_in_and_no_more(service: Service) -> None:
    service.configure(node={**CONFIG["node"], "port": 104})
    assert service.run("systemctl", "start", UNIT, check=False).returncode != 0
    assert service.fact("ExecMainStatus") == "78", "without the capability it is told, and not tried again"
    service.drop_in("port104.conf")
    service.start()
    status = service.run("cat", f"/proc/{service.main_pid}/status").stdout
    assert re.search(r"CapEff:\s0*400\n", status), "CAP_NET_BIND_SERVICE alone"
    service.wait_for(service.send("port 104", 104), "DELIVERED")


def test_tls_files_that_only_root_can_read_come_as_credentials(service: Service) -> None:
    folder = service.root / "etc/dicomnode/tls"
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=node",
         "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    shutil.copy(folder / "certificate.pem", folder / "ca.pem")
    for path in folder.iterdir():
        path.chmod(0o400)
    service.drop_in("tls.conf")
    files = {"certificate": "certificate.pem", "key": "key.pem", "ca": "ca.pem"}
    service.configure(tls={name: f"/run/credentials/{UNIT}/{file}" for name, file in files.items()})
    service.start()
    for path in folder.iterdir():
        shutil.copy(path, service.exchange)
    in_exchange = {name: f"/exchange/{file}" for name, file in files.items()}
    secure = ("+tls", in_exchange["key"], in_exchange["certificate"], "+cf", in_exchange["ca"])
    service.wait_for(service.send("tls", 11112, "SPECT1", *secure), "DELIVERED")


def test_the_journal_is_copied_while_the_node_works(service: Service) -> None:
    service.start()
    study = service.send("backup")
    service.run("systemctl", "start", "dicomnode-backup.service")
    (copy,) = (service.root / "var/lib/dicomnode-backup").iterdir()
    with closing(sqlite3.connect(copy)) as connection:
        assert (study,) in connection.execute("SELECT study_instance_uid FROM studies").fetchall()
    service.run("systemctl", "start", "dicomnode-backup.timer")


def test_the_sandbox_is_as_tight_as_was_recorded(tmp_path: Path) -> None:
    shutil.copy(SYSTEMD / UNIT, tmp_path)
    assert exposure(tmp_path) <= 1.4
    drop_ins = tmp_path / f"{UNIT}.d"
    drop_ins.mkdir()
    shutil.copy(SYSTEMD / "port104.conf", drop_ins)
    assert exposure(tmp_path) <= 1.8


def test_systemd_finds_nothing_wrong_with_the_unit(service: Service) -> None:
    done = service.run("systemd-analyze", "verify", f"/etc/systemd/system/{UNIT}", check=False)
    assert [line for line in done.stderr.splitlines() if UNIT in line or "dicomnode" in line] == []
