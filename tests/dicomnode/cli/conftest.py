"""What all tests of commands share: they run in the process of all tests, whose logging is not theirs to set up."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def logging_of_all_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands set up logging for their process, which here is that of all tests."""
    for module in ("cluster", "demo", "main", "service"):
        monkeypatch.setattr(f"dicomnode.cli.{module}.configure_logging", lambda *_: None)
