"""Whether an image's collimator has parallel holes: what looks through others only its vendor can reconstruct."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.dataset import Dataset

from dicomnode.objects.elements import text

# within Collimator/Grid Name, letters alone: Siemens' IQ-SPECT, and names that say by themselves what they are
_NOT_PARALLEL = re.compile(r"SMARTZOOM|IQSPECT|MULTIFOC|CARDIOFOC|FANBEAM|CONEBEAM|PINHOLE")
_LETTERS = 64  # the standard allows 16


def not_parallel(detectors: Sequence[Dataset]) -> str:
    """Return what says that the holes of a detector's collimator are not parallel; nothing where nothing says so.

    The name is asked too: cameras leave Collimator Type (PS3.3 C.8.4.11) empty, or UNKN, and parallel holes that are
    taken for granted there would bend the image without a trace.
    """
    for detector in detectors:
        kind, name = (_shown(text(detector, keyword)) for keyword in ("CollimatorType", "CollimatorGridName"))
        kind = kind.upper()
        if kind not in ("", "UNKN", "PARA"):
            return f"Collimator Type: found {kind}, expected PARA (parallel holes)"
        if _NOT_PARALLEL.search(re.sub(r"[^A-Z]", "", name.upper())):
            return f"Collimator/Grid Name: found {name}, whose holes are not parallel"
    return ""


def _shown(value: str) -> str:
    """Return a value as a sentence may hold it, whatever was sent."""
    return re.sub(r"[^ -~]", "?", value[:_LETTERS])
