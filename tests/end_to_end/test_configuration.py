"""A wrong configuration stops the start with status 78 and a sentence that IT can act on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomnode.cli.main import run
from tests.peers.node import Node, Settings, destination
from tests.peers.process import HOST

CONFIGURATION = 78

MISTAKES: dict[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "a wrong key": (lambda text: text.replace("quiet_s", "quite_s"), ("quite_s", "quiet_s")),
    "a wrong type": (lambda text: text.replace("timeout_s = 120", 'timeout_s = "soon"'), ("engine.timeout_s", "soon")),
    "an unknown destination": (
        lambda text: text.replace('destinations = ["pacs"]', 'destinations = ["pax"]'),
        ("pax", "pacs"),
    ),
    "no TOML": (lambda text: text + "\n[node\n", ("TOML",)),
    "networks that are not there": (
        lambda text: text.replace(
            '"reconstruction"', '"attenuation_correction"\noptions = { models = "/nowhere", map = "network" }'
        ),
        ("rules.0", "/nowhere/mu-map.json", "Copy card and weights there"),
    ),
    "a model that is not there": (
        lambda text: text.replace('"reconstruction"', '"denoising"\noptions = { models = "/nowhere" }'),
        ("rules.0", "/nowhere/denoiser.json", "Copy card and weights there"),
    ),
    "an unknown pipeline": (
        lambda text: text.replace('"reconstruction"', '"magic"'),
        ("pipeline", "magic", "denoising"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_is_named_with_its_place(
    mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, words = MISTAKES[mistake]
    node = Node(tmp_path, Settings(destinations=[destination(4242)]))
    changed = change(node.config.read_text())
    assert changed != node.config.read_text()
    node.config.write_text(changed)
    done = node.command_run("serve")
    assert done.returncode == CONFIGURATION, done.stdout + done.stderr
    assert run(["check", "--config", str(node.config)]) == CONFIGURATION
    for said in (done.stderr, capsys.readouterr().err):
        for word in ("config.toml", *words):
            assert word in said
        assert "Traceback" not in said
        assert len(said.strip().splitlines()) <= 3, said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    node = Node(tmp_path, Settings())
    node.config.unlink()
    done = node.command_run("serve")
    assert done.returncode == CONFIGURATION
    assert str(node.config) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        node = Node(tmp_path, Settings(node={"port": port}))
        done = node.command_run("serve")
    assert done.returncode == CONFIGURATION, done.stdout + done.stderr
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_right_file_is_shown_as_it_takes_effect(tmp_path: Path) -> None:
    node = Node(tmp_path, Settings(destinations=[destination(4242)]))
    done = node.command_run("check")
    assert done.returncode == 0, done.stderr
    for word in ("DICOMNODE", "4242", "reconstruction"):
        assert word in done.stdout
