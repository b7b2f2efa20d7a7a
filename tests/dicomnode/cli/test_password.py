"""`dicomnode password`: a line that can be put into the configuration as it is."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from dicomnode.cli.main import run
from dicomnode.config_file import load
from dicomnode.web.passwords import is_password

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


def test_the_line_that_is_printed_lets_its_user_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert run(["password"]) == 0
    config = tmp_path / "config.toml"
    config.write_text(f'[web]\nauth = "password"\n[[web.users]]\nname = "anna"\n{capsys.readouterr().out}')
    (anna,) = load(config).web.users
    assert anna.password is not None
    assert is_password(PASSWORD, anna.password.get_secret_value())


def test_a_short_password_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    assert run(["password"]) == 64
    assert "at least 12 letters" in capsys.readouterr().err
