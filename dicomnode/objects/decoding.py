"""Compressed pixels, decoded in a child process with limits of memory and time.

Decoders are C code that was written for sound images, and here a peer chooses what they are given: a crash, a bomb or
an endless loop must cost one study and not the node. `python -m dicomnode.objects.decoding` is the child.
"""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import threading
from io import BytesIO
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.elements import PARSE_ERRORS

DECODE_S = 60.0  # of one image
_MEMORY_BYTES = 4 << 30  # address space of the child: the largest image that we read, several times over
_LENGTH = struct.Struct("<Q")
_SAMPLE_BYTES = 8  # of the widest pixel
_NPY_HEADER_BYTES = 4096
_PIXEL_MODULE = (
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PlanarConfiguration", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "PixelData",
)  # fmt: skip


def transfer_syntax(ds: Dataset) -> str:
    """Return the Transfer Syntax UID that a dataset was read in, "" if it is not known."""
    return str(getattr(ds, "file_meta", {}).get("TransferSyntaxUID", ""))


def is_compressed(ds: Dataset) -> bool:
    """Tell whether the pixels are anything but plain numbers."""
    syntax = uid.UID(transfer_syntax(ds))
    return bool(syntax) and (not syntax.is_transfer_syntax or syntax.is_compressed)


class Decoder:
    """Decodes images, one after the other, in one child process that is started when the first is asked for."""

    def __init__(self, timeout_s: float = DECODE_S) -> None:
        self._timeout_s = timeout_s
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def decode(self, ds: Dataset, pixels: int) -> NDArray[np.generic]:
        """Return the stored values of all frames of a compressed image of so many pixels.

        Raises StudyUnsuitable, naming the Transfer Syntax, if they can't be decoded within the limits.
        """
        name = uid.UID(transfer_syntax(ds)).name
        try:
            request = _request(ds)
        except PARSE_ERRORS:
            raise StudyUnsuitable(f"the compressed pixels can't be read ({name})") from None
        try:
            answer = self._ask(request, pixels * _SAMPLE_BYTES + _NPY_HEADER_BYTES)
            values = np.load(BytesIO(answer), allow_pickle=False)
        except (OSError, EOFError, ValueError, struct.error):
            self._end()
            raise StudyUnsuitable(
                f"the compressed pixels can't be decoded: found {name}, expected a sound image of a Transfer Syntax "
                "that is decoded here"
            ) from None
        if values.size != pixels:
            raise StudyUnsuitable(f"the compressed pixels decode to {values.size} pixels, expected {pixels} ({name})")
        return np.asarray(values)

    def _ask(self, request: bytes, longest: int) -> bytes:
        """Return the child's answer. Raises OSError or EOFError if it dies, is too slow or answers too much."""
        child = self._child = self._child or _started()
        assert child.stdin is not None  # noqa: S101 - a pipe
        assert child.stdout is not None  # noqa: S101 - a pipe
        too_slow = threading.Timer(self._timeout_s, child.kill)
        too_slow.start()
        try:
            child.stdin.write(_LENGTH.pack(len(request)) + request)
            child.stdin.flush()
            return _message(child.stdout, longest)
        finally:
            too_slow.cancel()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()


def _request(ds: Dataset) -> bytes:
    """Return the pixels and what describes them as a DICOM file: the child learns of no patient."""
    image = Dataset()
    for keyword in _PIXEL_MODULE:
        if keyword in ds:
            image[keyword] = ds[keyword]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax(ds)
    buffer = BytesIO()
    dcmwrite(buffer, FileDataset(None, image, preamble=b"\0" * 128, file_meta=meta))
    return buffer.getvalue()


def _started() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dicomnode.objects.decoding"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _message(stream: IO[bytes], longest: int) -> bytes:
    """Return one message: its length in 8 bytes, then itself. Raises EOFError if it is cut, empty or too long."""
    (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
    if not 0 < length <= longest:
        raise EOFError
    message = stream.read(length)
    if len(message) < length:
        raise EOFError
    return message


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Decode until there are no more requests; an image that can't be decoded ends the child."""
    while head := requests.read(_LENGTH.size):
        _limit_time()
        ds = dcmread(BytesIO(requests.read(*_LENGTH.unpack(head))))
        encoded = BytesIO()
        np.save(encoded, ds.pixel_array, allow_pickle=False)
        answers.write(_LENGTH.pack(encoded.tell()) + encoded.getvalue())
        answers.flush()


def _limit_time() -> None:
    used_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime + resource.getrusage(resource.RUSAGE_SELF).ru_stime
    resource.setrlimit(resource.RLIMIT_CPU, (int(used_s + DECODE_S) + 1, resource.RLIM_INFINITY))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold a patient's pixels
    _serve(sys.stdin.buffer, sys.stdout.buffer)
