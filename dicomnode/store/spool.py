"""Instances on disk, written so that they survive a power cut; names are hashes, never a peer's string."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = ".tmp-"
SUFFIX = ".dcm"
_TRIES = 3  # at a folder that a purge removes, being empty, while an instance is on its way into it
_GENERATION = re.compile(rf"-[0-9a-f]{{16}}-(\d+){re.escape(SUFFIX)}$")
_WALKERS, _PORTION = 16, 64  # threads that look for files, and the studies that each takes at a time
_REMEMBERED = 4096  # folders; those of more are flushed once more


def hashed(text: str) -> str:
    """Return the name that stands for a UID on disk."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def dataset_sha256(file_bytes: bytes) -> str:
    """Return the hash of the dataset alone: preamble and File Meta Information are ours, not the peer's.

    The File Meta Information starts with its own length (PS3.10 7.1), so the dataset is found without parsing.
    """
    meta_length = int.from_bytes(file_bytes[140:144], "little")
    return hashlib.sha256(memoryview(file_bytes)[144 + meta_length :]).hexdigest()


def generation(path: str) -> int:
    """Return how often an instance was purged before it got this path."""
    found = _GENERATION.search(path)
    return int(found[1]) if found else 0


class Spool:
    """A folder of instances: `<study>/<series>/<instance>-<content>.dcm`, each part a hash.

    The content is part of the name, so no file is ever written twice with other bytes. A name that was purged is never
    used again: who purged it may still be about to delete the file, on another machine however late. The same instance
    then gets the next name: `...-1.dcm`, and so on.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._safe: set[Path] = set()  # folders whose entries this process has flushed
        self._securing = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)
        flush_folder(root.parent)

    def store(
        self,
        study_uid: str,
        series_uid: str,
        sop_instance_uid: str,
        file_bytes: bytes,
        sha256: str,
        purged: str | None = None,
    ) -> str:
        """Write durably and return the path relative to the root; a file that is there already is left alone.

        `purged` is the path under which the same instance was here before. When this returns, file and folder entries
        survive a power cut. Raises OSError (disk full, ...).
        """
        number = "" if purged is None else f"-{generation(purged) + 1}"
        folder = self.root / hashed(study_uid) / hashed(series_uid)
        target = folder / f"{hashed(sop_instance_uid)}-{sha256[:16]}{number}{SUFFIX}"
        if not target.exists():
            self._write(target, file_bytes)
        flush_folder(folder)
        self._secure(folder)
        return str(target.relative_to(self.root))

    def _write(self, target: Path, file_bytes: bytes) -> None:
        # per thread and process, so that two Associations with the same instance do not share a temporary file
        temporary = target.with_name(f"{_TEMPORARY}{target.stem}-{os.getpid()}-{id(file_bytes)}")
        try:
            with self._open_new(temporary) as file:
                file.write(file_bytes)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _open_new(self, path: Path) -> BinaryIO:
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                return path.open("xb")
            with suppress(FileNotFoundError):
                for folder in (path.parent.parent, path.parent):  # never the root: it may be a disk that is not mounted
                    folder.mkdir(exist_ok=True)
        return path.open("xb")

    def _secure(self, folder: Path) -> None:
        """Flush the entries of the folder and of the one around it, where this process has not done so before.

        A process that was killed may have made them and not come to that. They hold a file, so nobody removes them now.
        """
        # one at a time: what another thread has not yet flushed must not be taken for safe
        with self._securing:
            for one in (folder, folder.parent):
                if one not in self._safe:
                    flush_folder(one.parent)
                    if len(self._safe) >= _REMEMBERED:
                        self._safe.clear()
                    self._safe.add(one)

    def path(self, relative: str) -> Path:
        """Return the absolute path of a stored instance."""
        return self.root / relative

    def remove(self, relative: str) -> None:
        """Delete one instance; one that is gone already is no error."""
        path = self.root / relative
        path.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent):
            with self._securing:  # whoever makes it anew must not find it among the safe ones
                try:
                    folder.rmdir()
                except OSError:  # not empty: other instances live here
                    return
                self._safe.discard(folder)

    def sweep(self) -> Iterator[str]:
        """Yield the relative path of every whole instance, and delete what a crash left half-written on the way.

        Only for the time before the listener starts.
        """
        for path in self._files():
            if path.rpartition("/")[2].startswith(_TEMPORARY):
                self.path(path).unlink(missing_ok=True)
            elif path.endswith(SUFFIX):
                yield path

    def stored(self) -> Iterator[str]:
        """Yield the relative path of every whole instance."""
        for path in self._files():
            if path.endswith(SUFFIX) and not path.rpartition("/")[2].startswith(_TEMPORARY):
                yield path

    def _files(self) -> Iterator[str]:
        studies, files = self._inside("")
        yield from files
        # side by side: over a network each folder is a round trip or two, which has no need to wait for the others
        with ThreadPoolExecutor(_WALKERS) as walkers:
            for files in walkers.map(
                self._below, (studies[i : i + _PORTION] for i in range(0, len(studies), _PORTION))
            ):
                yield from files

    def _below(self, folders: list[str]) -> list[str]:
        found = []
        while folders:
            more, files = self._inside(folders.pop())
            folders += more
            found += files
        return found

    def _inside(self, folder: str) -> tuple[list[str], list[str]]:
        """Return the folders and the files in a folder; none if a purge has just removed it."""
        folders, files = [], []
        with suppress(FileNotFoundError), os.scandir(self.root / folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{folder}{entry.name}/")
                else:
                    files.append(f"{folder}{entry.name}")
        return folders, files

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
