"""Stored pixels -> real numbers: decoded, scaled as the instance says, with a note of whatever had to be mended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.decoding import Decoder, is_compressed
from dicomnode.objects.elements import PARSE_ERRORS, first_item, integer, items, number, numbers, text, texts
from dicomnode.objects.frames import frame_count
from dicomnode.objects.lossy import lossy
from dicomnode.objects.vendors import private_scale

_DECODE_ERRORS = (*PARSE_ERRORS, RuntimeError, MemoryError)
_MOST_PIXELS = 1 << 27  # a gated study of two windows at 256 x 256 has a quarter of that
_SIZES_MM = (0.1, 100.0)  # of a pixel of any gamma camera


@dataclass(frozen=True)
class Pixels:
    """Values `[frame, row, column]`; `unit` is the UCUM code that the instance gives, "" if it gives none."""

    values: NDArray[np.float32]
    unit: str
    notes: tuple[str, ...] = ()

    def not_negative(self) -> Pixels:
        """Return the same with values below zero, which counts can't be, set to zero."""
        below = int(np.count_nonzero(self.values < 0))
        if not below:
            return self
        note = f"{below} pixels below zero were set to zero"
        return Pixels(np.maximum(self.values, 0), self.unit, (*self.notes, note))


def read_pixels(ds: Dataset, decoder: Decoder | None = None) -> Pixels:
    """Return the real-world values of all frames; `decoder` is for compressed ones, by default one of their own.

    A Real World Value Mapping (PS3.3 C.7.6.16.2.11) wins over Rescale Slope and Intercept: both map the same stored
    values. A vendor's private scale serves only where both are silent. Raises StudyUnsuitable if the pixels can't be
    decoded, aren't grayscale, or aren't finite once scaled.
    """
    if (integer(ds, "SamplesPerPixel") or 1) != 1:
        raise StudyUnsuitable("the image is in color (Samples per Pixel is not 1), expected grayscale counts")
    claimed = (integer(ds, "Rows") or 0) * (integer(ds, "Columns") or 0) * frame_count(ds)
    if not 0 < claimed <= _MOST_PIXELS:
        raise StudyUnsuitable(f"the image claims {claimed} pixels, expected 1 to {_MOST_PIXELS}")
    stored = stored_values(ds, claimed, decoder)
    frames = stored.reshape(-1, *stored.shape[-2:])
    slope, intercept, unit, notes = _scale(ds)
    if lossy(ds):
        notes = (*notes, "the image was compressed with loss (Lossy Image Compression 01): its counts are not exact")
    values = np.empty(frames.shape, dtype=np.float32)
    for k, frame in enumerate(frames):  # one after the other: in double precision all of them take four times the room
        values[k] = frame.astype(np.float64) * slope + intercept
    if not np.all(np.isfinite(values)):
        raise StudyUnsuitable(f"the pixels aren't finite once scaled by {slope} and {intercept}")
    return Pixels(values, unit, notes)


def stored_values(ds: Dataset, pixels: int, decoder: Decoder | None = None) -> NDArray[np.generic]:
    """Return the stored values of so many pixels, `[frame, row, column, sample]` without the axes that have one step.

    Compressed ones are decoded outside this process. Raises StudyUnsuitable if they can't be decoded.
    """
    if is_compressed(ds):
        if decoder is not None:
            return decoder.decode(ds, pixels)
        with Decoder() as own:
            return own.decode(ds, pixels)
    try:
        return np.asarray(ds.pixel_array)
    except _DECODE_ERRORS:
        raise StudyUnsuitable("the pixels can't be decoded") from None


def _scale(ds: Dataset) -> tuple[float, float, str, tuple[str, ...]]:
    """Return slope, intercept, UCUM unit and notes."""
    for mapping in items(ds, "RealWorldValueMappingSequence"):
        slope, intercept = number(mapping, "RealWorldValueSlope"), number(mapping, "RealWorldValueIntercept")
        if slope:
            unit = text(first_item(mapping, "MeasurementUnitsCodeSequence"), "CodeValue")
            return slope, intercept or 0.0, unit, ()
    slope, intercept = number(ds, "RescaleSlope"), number(ds, "RescaleIntercept")
    if "RescaleSlope" in ds and not slope:
        return 1.0, 0.0, "", (f"Rescale Slope {text(ds, 'RescaleSlope')!r} is no scale and was ignored",)
    unit = "[hnsf'U]" if text(ds, "RescaleType").upper() == "HU" else ""
    silent = slope in (None, 1.0) and not intercept and not unit
    if silent and (private := private_scale(ds)):
        return private.slope, 0.0, private.unit, (private.words,)
    return (slope or 1.0), (intercept or 0.0), unit, ()


def pixel_size_mm(ds: Dataset) -> tuple[float, float]:
    """Return the distance between rows and between columns (Pixel Spacing is row, column).

    Raises StudyUnsuitable if it is missing or of no size that a pixel can have.
    """
    spacing = numbers(ds, "PixelSpacing")
    smallest, largest = _SIZES_MM
    if len(spacing) != 2 or min(spacing) < smallest or max(spacing) > largest:
        found = "\\".join(texts(ds, "PixelSpacing")) or "nothing"
        raise StudyUnsuitable(
            f"Pixel Spacing: found {found}, expected row\\column with {smallest} to {largest:g} mm each"
        )
    return spacing[0], spacing[1]
