"""What holds for every command: --config, help, standard output and error, folders, and who may run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from dicomnode.cli.app import _commands, command_line
from dicomnode.cli.main import run
from dicomnode.store.folder import DataFolder, take_lock
from dicomnode.store.schema import open_database
from tests.factories import a_tomo
from tests.peers.process import free_port

NOBODY = 65534
PROGRAM = [sys.executable, "-c", "from dicomnode.cli.main import main; main()"]


def a_config(folder: Path) -> Path:
    path = folder / "config.toml"
    path.write_text(
        f'[node]\ndata_dir = "{folder / "data"}"\n[[destinations]]\nname = "pacs"\nae_title = "PACS"\n'
        f'host = "127.0.0.1"\nport = {free_port()}\n'
    )
    return path


def test_every_command_takes_the_configuration() -> None:
    commands = list(_commands(command_line()))
    assert len(commands) > 20
    assert [one.name for one in commands if "--config" not in {o for p in one.params for o in p.opts}] == []


def test_a_command_that_reads_no_configuration_works_with_one_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("correct horse battery\n"))
    assert run(["password", "--config", "any.toml"]) == 0
    assert capsys.readouterr().out.startswith('password = "scrypt$')


@pytest.mark.parametrize("command", [["echo"], ["check"], ["password"]])
def test_help_shows_the_tables_of_the_configuration(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    said = capsys.readouterr().out
    assert ("[[destinations]]" in said) == (command == ["echo"])
    assert ("[[web.users]]" in said) == (command == ["password"])
    assert "--config" in said


def test_what_is_logged_does_not_go_to_standard_output(tmp_path: Path) -> None:
    command = [*PROGRAM, "echo", "pacs", "--config", str(a_config(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 69, done.stderr
    assert done.stdout == ""
    assert "no Association" in done.stderr


def test_a_reader_that_has_seen_enough_makes_no_failure(tmp_path: Path) -> None:
    config = a_config(tmp_path)
    with subprocess.Popen([*PROGRAM, "check", "--config", str(config)], stdout=subprocess.PIPE) as checking:
        assert checking.stdout is not None
        checking.stdout.close()
        assert checking.wait() == 0


@pytest.mark.parametrize(
    "command",
    [
        ["simulate", "--patients", "1"],
        ["demo"],
        ["run", "reconstruction", "INPUT"],
        ["train", "denoiser", "--data", "INPUT"],
        ["evaluate", "denoising"],
        ["search", "--budget", "1"],
    ],
)
def test_a_folder_that_can_not_be_written_ends_with_64_and_one_sentence(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tomo.dcm").write_bytes(a_tomo())
    (tmp_path / "file").write_text("not a folder")
    given = [str(tmp_path / "tomo.dcm") if word == "INPUT" else word for word in command]
    assert run([*given, "--out", str(tmp_path / "file" / "out")]) == 64
    assert "nothing can be written there (Not a directory)" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "command",
    [
        ["train", "denoiser"],
        ["train", "mu-map"],
        ["train", "normal-limits"],
        ["search", "--budget", "1"],
        ["evaluate", "own-studies"],
    ],
)
def test_data_that_are_not_there_end_with_64(command: list[str], tmp_path: Path) -> None:
    assert run([*command, "--data", "/nonexistent", "--out", str(tmp_path / "out")]) == 64


@pytest.fixture
def a_private_folder() -> Iterator[Path]:
    """A configuration whose data folder is there and closed to the user that this process is meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        config = a_config(folder)
        assert run(["check", "--config", str(config)]) == 0  # what it imports lies where only root may read
        data = DataFolder(folder / "data")
        data.create()
        open_database(data.journal).dispose()
        take_lock(data.lock).close()
        is_root = os.geteuid() == 0
        data.root.chmod(0o700 if is_root else 0o000)
        try:
            if is_root:
                os.seteuid(NOBODY)
            yield config
        finally:
            if is_root:
                os.seteuid(0)
            data.root.chmod(0o700)


@pytest.mark.parametrize("command", [["status"], ["studies"], ["show", "1.2"], ["requeue", "1.2"], ["reload"]])
def test_who_may_not_read_the_data_is_told_whose_they_are(
    command: list[str], a_private_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run([*command, "--config", str(a_private_folder)]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert f"node.data_dir: {a_private_folder.parent / 'data'} can't be read by " in line
    assert "run it as the node's user (sudo -u " in line


@pytest.mark.parametrize("command", [["studies"], ["show", "1.2"], ["serve"]])
def test_a_damaged_journal_is_named_with_the_way_back(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = a_config(tmp_path)
    journal = tmp_path / "data" / "journal.sqlite"
    journal.parent.mkdir(mode=0o700)
    journal.write_bytes(b"no journal at all" * 1000)
    assert run([*command, "--config", str(config)]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{journal}: the journal is damaged (file is not a database); ")
    assert line.endswith("bring back a backup: dicomnode restore COPY")


def test_status_tells_of_a_damaged_journal_and_whether_the_node_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = a_config(tmp_path)
    journal = tmp_path / "data" / "journal.sqlite"
    journal.parent.mkdir(mode=0o700)
    open_database(journal).dispose()
    content = journal.read_bytes()
    journal.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    assert run(["status", "--json", "--config", str(config)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["up"] is False
    assert "the journal is damaged (" in facts["trouble"]
    assert "dicomnode restore COPY" in facts["trouble"]


def test_status_names_the_models_of_the_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = a_config(tmp_path)
    rules = [("low dose", "denoising", ""), ("correct", "attenuation_correction", ""), ("plain", "reconstruction", "")]
    rules.append(("away", "denoising", 'models = "/nowhere"'))
    with config.open("a") as file:
        for name, pipeline, options in rules:
            file.write(
                f'[[rules]]\nname = "{name}"\npipeline = "{pipeline}"\ndestinations = ["pacs"]\n'
                f"options = {{ {options} }}\n"
            )
    assert run(["status", "--json", "--config", str(config)]) == 0
    low, correct, away = json.loads(capsys.readouterr().out)["models"]
    assert (low["name"], low["pipeline"], low["rules"]) == ("denoiser", "denoising", ["low dose"])
    assert low["version"]
    assert low["pipeline_version"].endswith(low["sha256"][:12])
    assert (correct["name"], correct["rules"]) == ("mu-map", ["correct"])
    assert "/nowhere/denoiser.json: there is no such model card" in away["trouble"]
    assert run(["status", "--config", str(config)]) == 0
    assert f"model denoiser {low['version']}, SHA-256 {low['sha256'][:12]}, for denoising of low dose" in (
        capsys.readouterr().out
    )
