"""Lets a thread have an Association of pynetdicom to itself while it waits for an answer.

A requestor of pynetdicom has a thread of its own that looks for what the peer sends. A call like `send_c_store` stops
that thread first, but takes it for stopped a moment before it looks whether it should stop; on a busy machine it then
goes on, and takes the answer that the call is waiting for.
"""

from __future__ import annotations

import threading

from pynetdicom.association import Association


class Turns:
    """Takes the place of the event by which pynetdicom stops the Association's own thread."""

    def __init__(self, assoc: Association) -> None:
        self._assoc = assoc
        self._changed = threading.Condition()
        self._is_set, self._is_waiting = True, False

    def is_set(self) -> bool:
        """Tell whether the Association's own thread may go on."""
        return self._is_set

    def set(self) -> None:
        """Let the Association's own thread go on."""
        with self._changed:
            self._is_set = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Stop the Association's own thread; when this returns, it stands still or has ended."""
        with self._changed:
            self._is_set = False
            while not self._is_waiting and self._assoc.is_alive() and threading.current_thread() is not self._assoc:
                self._changed.wait(0.05)

    def wait(self) -> None:
        """Stand still while stopped: the Association's own thread."""
        with self._changed:
            self._is_waiting = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_set)
            self._is_waiting = False


def steady(assoc: Association) -> Association:
    """Return the Association, whose calls lose no answer from now on."""
    assoc._reactor_checkpoint = Turns(assoc)
    return assoc
