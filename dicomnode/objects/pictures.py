"""Instances as PNG files, for people without a DICOM viewer: pages as they are, frames side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread

_COLUMNS = 10
_TILE, _WORDS = 128, 26  # pixels of a frame's side, of a line of words


def save_picture(instance: Path, picture: Path) -> None:
    """Write an instance's pixels as PNG: a color page unchanged, gray frames as a montage from white to black."""
    ds = dcmread(instance)
    pixels = ds.pixel_array
    if ds.PhotometricInterpretation != "RGB":
        frames = pixels.reshape(-1, pixels.shape[-2], pixels.shape[-1])
        pixels = np.rint(255 * (1 - montage(frames))).astype(np.uint8)
    Image.fromarray(pixels).save(picture)


def montage(frames: NDArray[Any], times: int = 2) -> NDArray[np.float64]:
    """Return frames `[frame, row, column]` side by side, at most ten to a row, each pixel so many times as wide and
    high; highest value 1."""
    count, rows, columns = frames.shape
    across = min(count, _COLUMNS)
    lines = -(-count // across)
    sheet = np.zeros((lines * across, rows, columns))
    sheet[:count] = frames / max(float(frames.max()), 1.0)
    grid = sheet.reshape(lines, across, rows, columns).transpose(0, 2, 1, 3)
    return grid.reshape(lines * rows, across * columns).repeat(times, axis=0).repeat(times, axis=1)


def save_comparison(title: str, rows: Sequence[tuple[str, Path]], picture: Path) -> None:
    """Write rows of frames of gray instances as PNG, each row under its words and by its own highest value.

    Of each instance ten frames are shown, evenly spread.
    """
    height = _WORDS + len(rows) * (_WORDS + _TILE)
    sheet = Image.new("L", (_COLUMNS * _TILE, height), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    pen.text((6, 4), title, fill=0, font=font)
    for number, (words, instance) in enumerate(rows):
        top = _WORDS + number * (_WORDS + _TILE)
        pen.text((6, top + 4), words, fill=0, font=font)
        frames = dcmread(instance).pixel_array
        chosen = frames[np.linspace(0, len(frames) - 1, _COLUMNS).round().astype(int)]
        gray = np.rint(255 * (1 - chosen / max(float(frames.max()), 1.0))).astype(np.uint8)
        for column, frame in enumerate(gray):
            tile = Image.fromarray(frame).resize((_TILE, _TILE), Image.Resampling.BICUBIC)
            sheet.paste(tile, (column * _TILE, top + _WORDS))
    sheet.save(picture)
