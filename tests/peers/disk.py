"""A file system of its own, which can be filled without harm to any other: in memory, or in a file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

MB = 1 << 20


class Disk:
    """A file system that is mounted at `place`."""

    def __init__(self, place: Path) -> None:
        self.place = place

    @contextmanager
    def full(self, left_mb: float = 0) -> Iterator[None]:
        """Leave no more room than this until the end."""
        found = os.statvfs(self.place)
        ballast = self.place / "ballast"
        with ballast.open("wb") as file, suppress(OSError):  # the last blocks may go to the list of the blocks
            os.posix_fallocate(file.fileno(), 0, max(int(found.f_bavail * found.f_frsize - left_mb * MB), 1))
        try:
            yield
        finally:
            ballast.unlink()


@contextmanager
def disk_in_memory(place: Path, size_mb: int) -> Iterator[Disk | None]:
    """Yield a disk that ends with the block; None where this user may not mount one."""
    with _mounted(place, ["-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs"]) as disk:
        yield disk


@contextmanager
def disk_in_file(place: Path, size_mb: int) -> Iterator[Disk | None]:
    """Yield a disk that ends with the block; its file grows by what is written to it. None where it can't be had."""
    image = place.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(size_mb * MB)
    made = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if made is None or not _does([made, "-q", "-m", "0", str(image)]):
        yield None
        return
    with _mounted(place, ["-o", "loop", str(image)]) as disk:
        yield disk


@contextmanager
def _mounted(place: Path, what: Sequence[str]) -> Iterator[Disk | None]:
    place.mkdir(parents=True)
    if os.geteuid() != 0 or not _does(["mount", *what, str(place)]):
        yield None
        return
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _does(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
