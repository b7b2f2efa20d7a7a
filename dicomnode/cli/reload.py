"""`reload`: the running node reads its configuration again, and says what came of it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from dicomnode.cli.app import ConfigOption, app
from dicomnode.cli.service import usable_config
from dicomnode.errors import ConfigurationError, TransientFault

WAIT_S = 30.0


@app.command()
def reload(config: ConfigOption = None) -> None:
    """Make the running node take over rules, peers, destinations, retention, and the log level from the file.

    Nothing is dropped. A wrong file is refused and the old configuration stays in effect.
    """
    settings = usable_config(config)
    from dicomnode.store.folder import DataFolder, running

    lock = DataFolder.of(settings.node).lock
    before = _facts(running(lock), lock)
    try:
        os.kill(before["pid"], signal.SIGHUP)
    except PermissionError:
        raise ConfigurationError(
            f"process {before['pid']}, the node, may not be told by this user: run it as the node's user"
            " (sudo -u dicomnode dicomnode reload)"
        ) from None
    if before.get("role") == "standby":
        print("this node is a standby; it takes the file over when its turn comes")
        return
    deadline = time.monotonic() + WAIT_S
    while (now := _facts(running(lock), lock)).get("reads", 0) == before.get("reads", 0):
        if time.monotonic() > deadline:
            raise TransientFault(f"the node (process {before['pid']}) did not answer within {WAIT_S:g} s; see its log")
        time.sleep(0.1)
    if now["mistake"] is not None:
        raise ConfigurationError(f"{now['mistake']}\nthe old configuration stays in effect")
    print(now["last_read"])


def _facts(found: dict[str, Any] | None, lock: Path) -> dict[str, Any]:
    if not found:
        raise TransientFault(f"no node is running on {lock.parent}; start it, it reads the configuration then")
    return found
