"""What node and worker say to each other: a job and its answer, as bytes, so that a scheduler in between needs neither.

Both are pickled: they travel inside mutual TLS alone, between programs of ours. Whoever is let in there could run
programs anyway, for Dask's own messages are pickles.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Self

from pipelines.contract import PipelineInput, PipelineResult

_RELEASE = "dicomnode-"  # before the version, in the name of the slot that a worker offers
GPU = "GPU"


def slot(release: str) -> str:
    """Return the name of the Dask resource of which each worker of this release has one: jobs go to no other."""
    return f"{_RELEASE}{release}"


def releases(resources: Mapping[str, float]) -> tuple[str, ...]:
    """Return the releases that a worker's resources name; none for a worker that is not ours."""
    return tuple(name.removeprefix(_RELEASE) for name in resources if name.startswith(_RELEASE))


def what_to_update(here: str, there: str, worker: str) -> str:
    """Return which machine to update where this node is of release `here` and a worker of `there`."""
    older = "on this node" if _ordered(here) < _ordered(there) else f"on {worker}"
    return f"update dicomnode {older}"


def _ordered(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release.partition("+")[0])]


@dataclass(frozen=True)
class NamedFile:
    """A file that a pipeline looks for under this name, and what must be in it."""

    name: str
    sha256: str


@dataclass(frozen=True)
class FilesNeeded:
    """What a run reads besides the program's own files: by the option that names the folder, and by content."""

    folders: Mapping[str, tuple[NamedFile, ...]]
    contents: Mapping[str, bytes] = field(repr=False)  # by SHA-256

    @classmethod
    def read(cls, paths: Mapping[str, Sequence[Path]]) -> FilesNeeded:
        """Read files. Raises OSError."""
        contents: dict[str, bytes] = {}
        folders: dict[str, tuple[NamedFile, ...]] = {}
        for option, files in paths.items():
            named = []
            for path in files:
                content = path.read_bytes()
                named.append(NamedFile(path.name, hashlib.sha256(content).hexdigest()))
                contents[named[-1].sha256] = content
            folders[option] = tuple(named)
        return cls(folders, contents)


class Parcel:
    """What travels as bytes."""

    def packed(self) -> bytes:
        """Return this as it travels."""
        return pickle.dumps(self, protocol=5)

    @classmethod
    def unpacked(cls, travelled: bytes) -> Self:
        """Return what came over the cluster's own connection."""
        found = pickle.loads(travelled)  # noqa: S301 - from a holder of the cluster's certificate: see above
        assert isinstance(found, cls)  # noqa: S101 - of our own release: see `slot`
        return found


@dataclass(frozen=True)
class Job(Parcel):
    """One run of one pipeline. `contents` holds files by SHA-256; empty unless a worker said that it lacks some."""

    pipeline: str
    pipeline_input: PipelineInput = field(repr=False)
    version: str  # of the pipeline and its weights, as this node knows them
    timeout_s: float
    folders: Mapping[str, tuple[NamedFile, ...]]
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)


class Ending(Enum):
    """How a job ended on its worker."""

    DONE = "done"
    UNSUITABLE = "unsuitable"  # the pipeline refused the images
    FAILED = "failed"  # crash, time limit, a lack of memory: the same may succeed later
    LACKS_FILES = "lacks files"
    OTHER_VERSION = "other version"  # the worker would make something else than the node expects
    FAULT = "fault"  # an error of the program


@dataclass(frozen=True)
class Answer(Parcel):
    """What a worker says of a job; `words` is a sentence where there is no result."""

    ending: Ending
    worker: str
    words: str = ""
    result: PipelineResult | None = field(default=None, repr=False)
