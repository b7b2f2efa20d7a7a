"""The GPUs of this machine as the driver's own tool sees them; nothing of CUDA is loaded for it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

_ASKED = ("name", "memory.used", "memory.total", "utilization.gpu")
_PATIENCE_S = 3.0
_KEPT = timedelta(seconds=10)


@dataclass(frozen=True)
class Gpu:
    """One GPU; `busy_percent` is None where the driver does not say."""

    name: str
    used_mb: float
    total_mb: float
    busy_percent: float | None


class GpuWatch:
    """Asks the driver at most every ten seconds, however many look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at: datetime | None = None
        self._seen: tuple[Gpu, ...] = ()

    def look(self, now: datetime) -> tuple[Gpu, ...]:
        """Return the GPUs; none where there is no driver or it does not answer."""
        with self._lock:
            if self._asked_at is None or now >= self._asked_at + _KEPT:
                self._asked_at, self._seen = now, _ask()
            return self._seen


def _ask() -> tuple[Gpu, ...]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return read_answer(answer.stdout)


def read_answer(answer: str) -> tuple[Gpu, ...]:
    """Return the GPUs of `nvidia-smi --query-gpu`'s lines of comma separated values; lines unlike it are left out."""
    found = []
    for line in answer.splitlines():
        fields = [field.strip() for field in line.rsplit(",", len(_ASKED) - 1)]
        numbers = [_number(field) for field in fields[1:]]
        if len(fields) == len(_ASKED) and numbers[0] is not None and numbers[1] is not None:
            found.append(Gpu(fields[0], numbers[0], numbers[1], numbers[2]))
    return tuple(found)


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:  # "[N/A]"
        return None
