"""Instances as PNG bytes for the web page: small, bounded in work, and without a name for who may not see one."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.decoding import Decoder
from dicomnode.objects.elements import PARSE_ERRORS, integer, number, text
from dicomnode.objects.frames import frame_count
from dicomnode.objects.pictures import montage
from dicomnode.objects.pixels import stored_values
from dicomnode.objects.report import KIND as REPORT_PAGE
from dicomnode.objects.strip import HEIGHT as STRIP_HEIGHT

_DECODE_S = 10.0  # somebody waits for the page
_MOST_VALUES = 1 << 25  # of a page's picture; a gated study of two windows at 128 x 128 has half of that
_MOST_FRAMES = 20
_SIDE, _SIDE_ALONE = 256, 1024  # pixels of the longer side of one frame among others, of the only one
_SIDE_PNG = 2560  # of the whole picture: ten frames side by side


def preview_png(file: Path, identity: bool, kind: str = "") -> bytes:
    """Return a picture of an instance: a color page as it is (a very large one smaller), or at most twenty gray frames.

    Without `identity` a report page of ours (its `kind` says so) loses the strip that names the patient, and an
    instance that says it has identity burned in is not shown. Raises StudyUnsuitable with a sentence where there is
    no picture to show.
    """
    try:
        ds = dcmread(file)
    except FileNotFoundError:
        raise StudyUnsuitable("the file is no longer here") from None
    except PARSE_ERRORS:
        raise StudyUnsuitable("the instance can't be read") from None
    values = _checked(ds, identity or kind == REPORT_PAGE)
    with Decoder(_DECODE_S) as decoder:
        pixels = stored_values(ds, values, decoder)
    if (integer(ds, "SamplesPerPixel") or 1) == 1:
        return _png(_gray(pixels.reshape(-1, *pixels.shape[-2:]), ds))
    if text(ds, "PhotometricInterpretation") != "RGB" or pixels.ndim != 3:
        raise StudyUnsuitable("there is no picture of color frames")
    hidden = STRIP_HEIGHT if kind == REPORT_PAGE and not identity else 0
    return _png(pixels[hidden:].astype(np.uint8))


def _checked(ds: Dataset, burned_in_allowed: bool) -> int:
    """Return how many values the pixels are, if a picture of them may be shown and isn't too large."""
    if text(ds, "BurnedInAnnotation").upper() == "YES" and not burned_in_allowed:
        raise StudyUnsuitable("the picture says that it names the patient")
    pixels = (integer(ds, "Rows") or 0) * (integer(ds, "Columns") or 0) * frame_count(ds)
    values = pixels * (integer(ds, "SamplesPerPixel") or 1)
    if not 0 < values <= _MOST_VALUES:
        raise StudyUnsuitable("the instance has no pixels, or too many for a picture")
    return values


def _gray(frames: NDArray[Any], ds: Dataset) -> NDArray[np.uint8]:
    """Return frames side by side: counts dark on white, a single CT slice light on black in a window for tissue."""
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), _MOST_FRAMES)).round().astype(int)
    if text(ds, "Modality") == "CT":
        stored = _shrunk(frames[0], _SIDE_ALONE)
        hounsfield = stored * (number(ds, "RescaleSlope") or 1.0) + (number(ds, "RescaleIntercept") or 0.0)
        return np.asarray(np.rint(np.clip((hounsfield + 160) / 400, 0, 1) * 255), dtype=np.uint8)
    side = _SIDE_ALONE if len(chosen) == 1 else _SIDE
    small = np.stack([np.maximum(_shrunk(frames[k], side), 0) for k in chosen])
    times = 2 if 2 * max(small.shape[1:]) <= _SIDE else 1
    return np.rint(255 * (1 - montage(small, times))).astype(np.uint8)


def _shrunk(frame: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return a frame whose longer side has at most so many pixels, each the mean of those that it stands for."""
    rows, columns = frame.shape
    values = frame.astype(np.float32)
    if max(rows, columns) <= side:
        return values
    share = side / max(rows, columns)
    size = max(round(columns * share), 1), max(round(rows * share), 1)
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    picture = Image.fromarray(pixels)
    picture.thumbnail((_SIDE_PNG, _SIDE_PNG))  # only a page of others is larger
    picture.save(buffer, "PNG")
    return buffer.getvalue()
