"""The options that name folders: that they can be read, or written, is told before the work begins."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer


def output_folder(words: str) -> Any:
    """Return the option of a folder that results go to; where it can't be made, the command ends as wrong usage."""
    return typer.Option(help=words, callback=_writable)


def input_folder(words: str) -> Any:
    """Return the option of a folder, or a file, that is read; it must be there."""
    return typer.Option(help=words, exists=True, readable=True)


def _writable(folder: Path | None) -> Path | None:
    """Make the folder to see whether that is possible; what else is wrong with the command leaves none behind."""
    if folder is None:
        return None
    try:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        words = f"{folder}: nothing can be written there ({error.strerror}); name a folder that this user may write"
        raise typer.BadParameter(words) from None
    with suppress(OSError):  # somebody else may be putting something there at this moment
        for place in missing:
            place.rmdir()
    return folder
