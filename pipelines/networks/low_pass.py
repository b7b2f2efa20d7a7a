"""Filters that let pass what is coarse in images, continued by their mirror image beyond their edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

_BORDER = 8  # pixels by which an image is continued; fewer where it has fewer


def low_passed(images: Float, pixel_size_mm: tuple[float, float], passed: Callable[[Float], Float]) -> Float:
    """Return images `[..., row, column]` with each frequency (cycles/cm) times what `passed` says of it.

    Pixels are rows' and columns' distance.
    """
    rows, columns = (min(_BORDER, side) for side in images.shape[-2:])
    margins = [(0, 0)] * (images.ndim - 2) + [(rows, rows), (columns, columns)]
    bordered = np.pad(images, margins, mode="symmetric")
    height, width = bordered.shape[-2:]
    along = np.fft.fftfreq(height, pixel_size_mm[0] / 10.0)
    across = np.fft.rfftfreq(width, pixel_size_mm[1] / 10.0)
    waves = np.fft.rfft2(bordered) * passed(np.hypot(along[:, None], across))
    kept = np.fft.irfft2(waves, s=(height, width))
    return np.asarray(kept[..., rows : height - rows, columns : width - columns])


def gaussian(frequency_per_cm: Float, fwhm_mm: float) -> Float:
    """Return what a Gaussian blur of this full width at half maximum lets pass."""
    sigma_cm = fwhm_mm / 10.0 / (2.0 * np.sqrt(2.0 * np.log(2.0)))
    return np.asarray(np.exp(-2.0 * (np.pi * sigma_cm * frequency_per_cm) ** 2))


def butterworth(frequency_per_cm: Float, cutoff_per_cm: float, order: int) -> Float:
    """Return what a Butterworth filter lets pass; at the cut-off 0.71."""
    return np.asarray(1.0 / np.sqrt(1.0 + (frequency_per_cm / cutoff_per_cm) ** (2 * order)))
