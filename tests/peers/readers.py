"""Other programs that show DICOM images: each gives the frames `[frame, row, column]` as it puts them on a screen."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from PIL import Image

Frames = NDArray[np.float64]


class Reader(Protocol):
    """Shows an NM image; `folder` is for what the program writes."""

    def __call__(self, path: Path, folder: Path) -> Frames:
        """Return the frames as shown."""


def by_simpleitk(path: Path, folder: Path) -> Frames:
    """Return the frames as SimpleITK (GDCM) reads them."""
    return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))), dtype=float)


def by_dcmj2pnm(path: Path, folder: Path) -> Frames:
    """Return the frames as DCMTK's dcmj2pnm draws them in the image's own window: 8 bit PNG files."""
    _run("dcmj2pnm", "--write-png", "--all-frames", "+Wi", "1", str(path), str(folder / "frame"))
    drawn = sorted(folder.glob("frame.*.png"), key=lambda picture: int(picture.suffixes[-2][1:]))
    return np.stack([np.asarray(Image.open(picture), dtype=float) for picture in drawn])


def by_medcon(path: Path, folder: Path) -> Frames:
    """Return the frames as XMedCon reads them and writes them again as NIfTI, which SimpleITK opens."""
    _run("medcon", "-f", str(path), "-c", "nifti", "-noprefix", "-w", "-o", str(folder / "seen"))
    return by_simpleitk(folder / "seen.nii", folder)


READERS: Mapping[str, Reader] = {"SimpleITK": by_simpleitk, "dcmj2pnm": by_dcmj2pnm, "medcon": by_medcon}


def corners_mm(path: Path) -> NDArray[np.float64]:
    """Return the LPS positions in mm of a volume's eight corner voxels as SimpleITK tells them, `[z, y, x, 3]`."""
    image: Any = SimpleITK.ReadImage(str(path))
    columns, rows, frames = image.GetSize()
    return np.array(
        [
            [[image.TransformIndexToPhysicalPoint((i, j, k)) for i in (0, columns - 1)] for j in (0, rows - 1)]
            for k in (0, frames - 1)
        ]
    )


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command[0]} failed: {done.stdout}{done.stderr}"
