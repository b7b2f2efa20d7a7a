"""Instances on disk, written so that they survive a power cut; names are hashes, never a peer's string."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

_TEMPORARY = ".tmp-"
SUFFIX = ".dcm"


def hashed(text: str) -> str:
    """Return the name that stands for a UID on disk."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def dataset_sha256(file_bytes: bytes) -> str:
    """Return the hash of the dataset alone: preamble and File Meta Information are ours, not the peer's.

    The File Meta Information starts with its own length (PS3.10 7.1), so the dataset is found without parsing.
    """
    meta_length = int.from_bytes(file_bytes[140:144], "little")
    return hashlib.sha256(memoryview(file_bytes)[144 + meta_length :]).hexdigest()


class Spool:
    """A folder of instances: `<study>/<series>/<instance>-<content>.dcm`, each part a hash.

    The content is part of the name, so no file is ever written twice with other bytes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._making_folders = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)
        flush_folder(root.parent)

    def store(self, study_uid: str, series_uid: str, sop_instance_uid: str, file_bytes: bytes, sha256: str) -> str:
        """Write durably and return the path relative to the root; a file that is there already is left alone.

        When this returns, file and folder entries survive a power cut. Raises OSError (disk full, ...).
        """
        folder = self._folder(hashed(study_uid), hashed(series_uid))
        target = folder / f"{hashed(sop_instance_uid)}-{sha256[:16]}{SUFFIX}"
        if not target.exists():
            # per thread and process, so that two Associations with the same instance do not share a temporary file
            temporary = folder / f"{_TEMPORARY}{target.stem}-{os.getpid()}-{id(file_bytes)}"
            try:
                with temporary.open("xb") as file:
                    file.write(file_bytes)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(target)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        flush_folder(folder)
        return str(target.relative_to(self.root))

    def _folder(self, *parts: str) -> Path:
        folder = self.root
        # one at a time: a folder that another thread has made but not yet flushed must not be taken for safe
        with self._making_folders:
            for part in parts:
                parent, folder = folder, folder / part
                if not folder.exists():
                    folder.mkdir()
                    flush_folder(parent)
        return folder

    def path(self, relative: str) -> Path:
        """Return the absolute path of a stored instance."""
        return self.root / relative

    def remove(self, relative: str) -> None:
        """Delete one instance; one that is gone already is no error."""
        path = self.root / relative
        path.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent):
            try:
                folder.rmdir()
            except OSError:  # not empty: other instances live here
                return

    def remove_temporaries(self) -> int:
        """Delete what a crash left half-written; only for the time before the listener starts."""
        found = [path for path in self.root.rglob(f"{_TEMPORARY}*") if path.is_file()]
        for path in found:
            path.unlink()
        return len(found)

    def stored(self) -> Iterator[str]:
        """Yield the relative path of every whole instance."""
        for path in self.root.rglob(f"*{SUFFIX}"):
            if not path.name.startswith(_TEMPORARY):
                yield str(path.relative_to(self.root))

    def free_gb(self) -> float:
        """Return the room left on the spool's disk, in 10^9 bytes."""
        return shutil.disk_usage(self.root).free / 1e9


def flush_folder(folder: Path) -> None:
    """Make a folder's entries survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
