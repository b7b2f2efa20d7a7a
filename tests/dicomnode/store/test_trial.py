"""Whether the data folder can be written: what counts as trouble, and what as a disk that is only full."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dicomnode.store.folder import DataFolder
from dicomnode.store.trial import WriteTrial
from tests.peers.process import eventually

Try = Callable[..., WriteTrial]


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path, "postgresql://nobody@127.0.0.1:1/none", "first")


@pytest.fixture
def on_trial(folder: DataFolder) -> Iterator[Try]:
    trials: list[WriteTrial] = []

    def start(marked: bool = False) -> WriteTrial:
        trials.append(WriteTrial(folder, marked, every_s=0.01))
        trials[-1].start()
        return trials[-1]

    yield start
    for trial in trials:
        trial.stop()


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Let every flush of this process fail; return the list of those that did."""
    failed: list[int] = []

    def flush(descriptor: int) -> None:
        failed.append(descriptor)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", flush)
    return failed


def test_a_folder_that_can_be_written_is_no_trouble_and_gets_one_small_file(folder: DataFolder, on_trial: Try) -> None:
    trial = on_trial()
    eventually(folder.trial.exists, "the first write")
    before = folder.trial.stat().st_mtime_ns
    eventually(lambda: folder.trial.stat().st_mtime_ns > before, "the next write")
    assert trial.trouble(1) is None
    assert [path.name for path in folder.root.iterdir()] == ["node-first.trial"]


def test_a_write_that_hangs_is_trouble_once_it_has_for_so_long(folder: DataFolder, on_trial: Try) -> None:
    os.mkfifo(folder.trial)  # nobody reads it
    trial = on_trial()
    eventually(lambda: trial.trouble(0.1) == "does not answer", "it to be noticed")
    assert trial.trouble(1000) is None
    os.close(os.open(folder.trial, os.O_RDONLY | os.O_NONBLOCK))
    folder.trial.unlink()
    eventually(lambda: trial.trouble(0) is None, "it to be over")


def test_a_disk_that_fails_is_trouble(on_trial: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, 5)
    trial = on_trial()
    eventually(lambda: trial.trouble(0.1) == "can't be written (Input/output error)", "it to be noticed")


def test_a_full_disk_is_none(on_trial: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = failing(monkeypatch, 28)
    trial = on_trial()
    eventually(lambda: len(failed) > 20, "many writes to fail")
    assert trial.trouble(0.1) is None


def test_a_folder_without_its_mark_is_no_folder_of_the_active_node(folder: DataFolder, on_trial: Try) -> None:
    before_its_turn, active = on_trial(), on_trial(marked=True)
    eventually(lambda: "is the shared storage mounted" in (active.trouble(0.1) or ""), "it to be missed")
    assert before_its_turn.trouble(1) is None
    folder.set_mark("0123")
    eventually(lambda: active.trouble(0) is None, "it to be seen")
