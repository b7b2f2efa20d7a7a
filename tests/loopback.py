"""Runs a command where only this machine's loopback exists: `python -m tests.loopback COMMAND...`.

DCMTK's and Orthanc's servers listen on every address of the machine. In a network namespace of its own, with nothing
but `lo`, a test may start them without offering them to the network around. Root makes the namespace directly, an
ordinary user through a user namespace. Where neither is allowed the command runs as it is, and the tests that need
such servers are skipped.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
INSIDE = "--inside"


def is_isolated() -> bool:
    """Tell whether this process sees no network interface that is up other than loopback."""
    return all(name == "lo" or not _flags(name) & IFF_UP for _, name in socket.if_nameindex())


def _flags(interface: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe, SIOCGIFFLAGS, struct.pack("16sH14x", interface.encode(), 0))
    return int(struct.unpack("16sH14x", answer)[1])


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _flags("lo") | IFF_UP))


def _unshare_command() -> list[str] | None:
    """Return the first form of `unshare` that this user may use, or None."""
    if shutil.which("unshare") is None:
        return None
    for options in (["--net"], ["--map-root-user", "--net"]):
        command = ["unshare", *options]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return None


def _become(command: list[str]) -> NoReturn:
    os.execvp(command[0], command)  # noqa: S606 - no shell is what is wanted


def main(arguments: list[str]) -> None:
    """Replace this process by the command, inside a namespace if that is possible."""
    if not arguments:
        sys.exit("usage: python -m tests.loopback COMMAND [ARGUMENT...]")
    if arguments[0] == INSIDE:
        _raise_loopback()
        _become(arguments[1:])
    if is_isolated():
        _become(arguments)
    unshare = _unshare_command()
    if unshare is None:
        print(
            "loopback: this user may not make a network namespace (unshare --net); the command runs without one, "
            "and tests that start Orthanc or DCMTK servers are skipped",
            file=sys.stderr,
        )
        _become(arguments)
    _become([*unshare, sys.executable, str(Path(__file__).resolve()), INSIDE, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
