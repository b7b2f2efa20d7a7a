"""Files that a worker was sent, kept by the SHA-256 of their content, which is checked before each use.

The name of a kept file is the hash alone. Pipelines look for files by name in a folder, so each set of names gets a
folder of links, named by a hash as well; a name is a plain one, or it is refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from dicomnode.engine.jobs import NamedFile

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.(json|safetensors)")


class FileCache:
    """The files of one folder; several workers of a machine may share it."""

    def __init__(self, folder: Path) -> None:
        self._files, self._links = folder / "files", folder / "links"
        for made in (self._files, self._links):
            made.mkdir(parents=True, exist_ok=True, mode=0o700)

    def lacking(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Return the hashes of which no sound file is here. Raises ValueError for what is no hash."""
        return tuple(sha256 for sha256 in wanted if not self._is_sound(sha256))

    def take(self, sha256: str, content: bytes) -> None:
        """Keep a file. Raises ValueError, and keeps nothing, if its content is not that of the hash."""
        path = self._path(sha256)
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ValueError(f"a file came with the SHA-256 {found[:12]}..., expected {sha256[:12]}...: not kept")
        part = self._files / f".{secrets.token_hex(8)}.part"
        part.write_bytes(content)
        os.replace(part, path)

    def folder_of(self, files: Sequence[NamedFile]) -> Path:
        """Return a folder in which these files, which must be here, have their names. Raises ValueError."""
        for file in files:
            if not _PLAIN.fullmatch(file.name):
                raise ValueError(f"{file.name!r} is no plain name of a model's or a limits' file")
        listed = "\n".join(sorted(f"{file.name} {file.sha256}" for file in files))
        folder = self._links / hashlib.sha256(listed.encode()).hexdigest()
        folder.mkdir(exist_ok=True, mode=0o700)
        for file in files:
            link = folder / file.name
            if not link.is_symlink():
                part = folder / f".{secrets.token_hex(8)}.part"
                part.symlink_to(os.path.relpath(self._path(file.sha256), folder))
                os.replace(part, link)
        return folder.absolute()

    def _is_sound(self, sha256: str) -> bool:
        try:
            return hashlib.sha256(self._path(sha256).read_bytes()).hexdigest() == sha256
        except FileNotFoundError:
            return False

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ValueError("found something else than a SHA-256 in 64 lower-case hexadecimal digits")
        return self._files / sha256
