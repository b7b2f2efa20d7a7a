"""dciodvfy, the validator of dicom3tools, without its known false alarms."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

# It looks for the condition inside the item, not at the root (the first two); its dictionary is older than the third.
FALSE_ALARMS = (
    "TimeSlotInformationSequence(0054,0072)> - Attribute present when condition unsatisfied",
    "DistanceSourceToDetector(0018,1110)> - Attribute present when condition unsatisfied",
    "</(0008,001c)> - Attribute with an even group number is not a recognized standard attribute",
)


def errors_in(file: bytes, folder: Path) -> list[str]:
    """Return the errors that dciodvfy finds in a DICOM file."""
    return [line for line in _lines("Error", file, folder) if not any(alarm in line for alarm in FALSE_ALARMS)]


def warnings_in(file: bytes, folder: Path) -> list[str]:
    """Return what dciodvfy warns of in a DICOM file."""
    return _lines("Warning", file, folder)


def _lines(kind: str, file: bytes, folder: Path) -> list[str]:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
    path = folder / "instance.dcm"
    path.write_bytes(file)
    told = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (told.stdout + told.stderr).splitlines() if line.startswith(kind)]
