"""The members of a cluster refuse to start, with a sentence and status 78, where they could not work safely."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from dicomnode.cli.main import run
from dicomnode.config import EngineSettings, TlsSettings
from dicomnode.engine.cluster import check_listening
from tests.conftest import need_programs
from tests.dicomnode.network.helpers import certificates
from tests.peers.cluster import engine_table
from tests.peers.node import toml

COMMANDS = (["worker"], ["scheduler"], ["check"])
EVERYWHERE = "0.0.0.0"  # noqa: S104 - to be refused


@pytest.fixture(scope="module")
def circle(tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    need_programs("openssl")
    return certificates(tmp_path_factory.mktemp("circle"))


def told(command: list[str], folder: Path, capsys: pytest.CaptureFixture[str], **engine: object) -> str:
    """Run a command that must end with status 78, and return its sentence."""
    config = folder / "config.toml"
    config.write_text(toml({"engine": engine}))
    assert run([*command, "--config", str(config)]) == 78
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", COMMANDS[:2])
def test_a_member_needs_to_know_where_the_scheduler_is(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "engine.scheduler: is missing; set scheduler = " in told(command, tmp_path, capsys, device="cpu")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("broken", ["certificate", "key", "ca"])
def test_a_certificate_that_can_not_be_used_is_named(
    command: list[str], broken: str, circle: TlsSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = engine_table(8786, circle)
    missing = told(command, tmp_path, capsys, **{**table, broken: str(tmp_path / "nowhere.pem")})
    assert f"engine.{broken}: {tmp_path}/nowhere.pem can't be read (No such file or directory)" in missing
    (tmp_path / "empty.pem").touch()
    assert "empty.pem" in told(command, tmp_path, capsys, **{**table, broken: str(tmp_path / "empty.pem")})


@pytest.mark.parametrize("command", COMMANDS)
def test_without_the_package_its_name_and_the_command_to_install_it_are_told(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    sentence = told(command, tmp_path, capsys, **engine_table(8786, None))
    assert 'needs the package distributed: pip install "dicomnode[dask]"' in sentence


@pytest.mark.parametrize("command", COMMANDS[:2])
@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.0.2.1", "gpu-1"])
def test_without_certificates_no_member_listens_where_another_machine_could_reach_it(
    command: list[str], host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = told([*command, "--host", host], tmp_path, capsys, **engine_table(8786, None))
    assert f"whoever reaches --host {host} could run programs here; use tls://" in sentence


def test_with_certificates_a_scheduler_listens_on_all_addresses_and_on_loopback_without_any(
    circle: TlsSettings,
) -> None:
    for tls, host in ((circle, EVERYWHERE), (None, "127.0.0.2"), (None, "localhost")):
        check_listening(EngineSettings.model_validate(engine_table(8786, tls)), host)


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = told(["scheduler"], tmp_path, capsys, **engine_table(port, None))
    assert f"can't listen on tcp://127.0.0.1:{port}: [Errno 98] Address already in use" in sentence
