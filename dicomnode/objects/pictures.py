"""Instances as PNG files, for people without a DICOM viewer: pages as they are, frames side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread

_COLUMNS = 10


def save_picture(instance: Path, picture: Path) -> None:
    """Write an instance's pixels as PNG: a color page unchanged, gray frames as a montage from white to black."""
    ds = dcmread(instance)
    pixels = ds.pixel_array
    if ds.PhotometricInterpretation != "RGB":
        frames = pixels.reshape(-1, pixels.shape[-2], pixels.shape[-1])
        pixels = np.rint(255 * (1 - montage(frames))).astype(np.uint8)
    Image.fromarray(pixels).save(picture)


def montage(frames: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return frames `[frame, row, column]` side by side, ten to a row, each pixel doubled; highest value 1."""
    count, rows, columns = frames.shape
    lines = -(-count // _COLUMNS)
    sheet = np.zeros((lines * _COLUMNS, rows, columns))
    sheet[:count] = frames / max(float(frames.max()), 1.0)
    grid = sheet.reshape(lines, _COLUMNS, rows, columns).transpose(0, 2, 1, 3)
    return grid.reshape(lines * rows, _COLUMNS * columns).repeat(2, axis=0).repeat(2, axis=1)
