"""Tries again and again whether the data folder takes a write, so that one that hangs does not go unnoticed."""

from __future__ import annotations

import errno
import os
import threading
import time

from dicomnode.store.folder import DataFolder

EVERY_S = 2.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class WriteTrial:
    """A thread of its own that writes a few bytes into the data folder and flushes them; whoever asks never waits.

    A full disk counts as one that works: it answers, scanners are told to come again, and another machine would find it
    as full. `marked`: the folder must bear the mark of its journal, else the shared storage is not there any more.
    """

    def __init__(self, folder: DataFolder, marked: bool, every_s: float = EVERY_S) -> None:
        self._folder, self._marked, self._every_s = folder, marked, every_s
        self._ended = threading.Event()
        self._trouble: tuple[float, str] | None = None  # since when, and what
        self._thread = threading.Thread(target=self._run, name="write trial", daemon=True)

    def start(self) -> None:
        """Begin to try."""
        self._thread.start()

    def stop(self) -> None:
        """Try no more; a write that hangs is not waited for."""
        self._ended.set()

    def trouble(self, longer_than_s: float) -> str | None:
        """Return what is wrong with the folder, if it has been for so long."""
        # of one write that takes its time, not of the last success: a process that was frozen has not tried either
        found = self._trouble
        return None if found is None or time.monotonic() - found[0] < longer_than_s else found[1]

    def _run(self) -> None:
        while not self._ended.is_set():
            self._trouble = self._trouble or (time.monotonic(), "does not answer")
            try:
                self._write()
            except OSError as error:
                full = error.errno in _FULL
                self._trouble = None if full else (self._trouble[0], f"can't be written ({error.strerror})")
            else:
                self._trouble = None
            self._ended.wait(self._every_s)

    def _write(self) -> None:
        if self._marked and not self._folder.mark():
            raise FileNotFoundError(errno.ENOENT, "the mark of its journal is gone; is the shared storage mounted?")
        descriptor = os.open(self._folder.trial, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"{time.time_ns()}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
