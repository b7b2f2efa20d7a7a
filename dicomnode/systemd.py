"""What a service is told to tell systemd: ready, reloading, stopping, alive (sd_notify(3)); without systemd, nobody."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceManager:
    """Who started this process as a service; `address` None: nobody did, and every message is dropped."""

    address: str | None = None
    watchdog_s: float | None = None  # without a sign of life for so long, the service is restarted

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ServiceManager:
        """Return the service manager that the environment names."""
        watched = environment.get("WATCHDOG_PID") in (None, str(os.getpid()))
        usec = environment.get("WATCHDOG_USEC", "") if watched else ""
        return cls(environment.get("NOTIFY_SOCKET") or None, int(usec) / 1e6 if usec.isdigit() and int(usec) else None)

    def ready(self, status: str) -> None:
        """The service is up, or has reloaded its configuration."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends this."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str, within_s: float) -> None:
        """The service ends; it needs up to `within_s` seconds for it, and says again when it needs more."""
        self._tell("STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={round(within_s * 1e6)}")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._tell(f"STATUS={text}")

    def alive(self) -> None:
        """Tell the watchdog that all is well."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self.address is None:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address  # @: the abstract namespace
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.connect(name)
                channel.sendall("\n".join(line.replace("\n", " ") for line in lines).encode())
            except OSError:
                return  # a service manager that is restarting itself must not take the node down with it


class Heartbeat:
    """Tells the watchdog that the service lives, but only after it has looked."""

    def __init__(self, manager: ServiceManager, is_alive: Callable[[], bool]) -> None:
        self._manager, self._is_alive = manager, is_alive
        self._due_s = 0.0

    def beat(self, monotonic_s: float) -> None:
        """Look, and tell, three times within the watchdog's time; the other calls do nothing."""
        if self._manager.watchdog_s is None or monotonic_s < self._due_s:
            return
        self._due_s = monotonic_s + self._manager.watchdog_s / 3
        if self._is_alive():
            self._manager.alive()
