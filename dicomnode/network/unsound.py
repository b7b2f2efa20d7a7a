"""The one wall against a peer's bytes: pynetdicom's and pydicom's decoders raise whatever those bytes provoke."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

Read = TypeVar("Read")


def if_sound(what: str, read: Callable[[], Read]) -> Read | None:
    """Return what is read of a peer's bytes; None, and a line in the log that names it, if they can't be read."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001  the decoder raises whatever the peer's bytes provoke
        log.warning(f"{what} refused", error=type(error).__name__)
        return None
