"""What scattered photons add to the photopeak, from the scatter windows of a study (TEW, DEW).

The estimate enters the reconstruction as an additive term; it is never subtracted from the counts, which would leave
them neither Poisson nor positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Array, EnergyWindow, Projections, UnsuitableAcquisition
from pipelines.physics.collimator import FWHM_PER_SIGMA, gaussian_kernel

_TOUCHING_KEV = 4.0  # windows this close count as adjacent
_SMOOTHING_FWHM_MM = 16.0  # scatter has no finer detail than this, its counts have noise


def scatter_windows(projections: Projections) -> tuple[int | None, int | None]:
    """Return the windows that touch the photopeak from below and from above, where there are such."""
    peak = projections.windows[projections.photopeak]
    lower = upper = None
    for index, window in enumerate(projections.windows):
        if index == projections.photopeak:
            continue
        if abs(window.upper_kev - peak.lower_kev) <= _TOUCHING_KEV:
            lower = index
        elif abs(window.lower_kev - peak.upper_kev) <= _TOUCHING_KEV:
            upper = index
    return lower, upper


def scatter_from_windows(projections: Projections, smoothing_fwhm_mm: float = _SMOOTHING_FWHM_MM) -> Array:
    """Return the scattered counts in the photopeak `[gate, view, row, column]`: the trapezoid under it.

    Triple energy window, Ogawa et al., IEEE Trans. Med. Imaging 10 (1991) 408: (L / w_L + U / w_U) w_peak / 2. Without
    an upper window U is 0, right for Tc-99m, above which nothing scatters down; that is the dual-window estimate.
    Raises UnsuitableAcquisition when no window touches the photopeak from below.
    """
    lower, upper = scatter_windows(projections)
    if lower is None:
        raise UnsuitableAcquisition(
            "no scatter window lies just below the photopeak; scatter can't be estimated from it"
        )
    per_kev = _per_kev(projections, lower)
    if upper is not None:
        per_kev = per_kev + _per_kev(projections, upper)
    estimate = per_kev * _width_kev(projections.windows[projections.photopeak]) / 2
    for axis, pixel_mm in zip((-2, -1), projections.geometry.pixel_size_mm, strict=True):
        estimate = _smooth(estimate, axis, smoothing_fwhm_mm / FWHM_PER_SIGMA / pixel_mm)
    return estimate.astype(np.float32)


def _per_kev(projections: Projections, window: int) -> NDArray[np.float64]:
    counts: NDArray[np.float64] = projections.counts[window].astype(np.float64)
    return counts / _width_kev(projections.windows[window])


def _width_kev(window: EnergyWindow) -> float:
    return window.upper_kev - window.lower_kev


def _smooth(values: NDArray[np.float64], axis: int, sigma: float) -> NDArray[np.float64]:
    """Return the values blurred along an axis, continued by their mirror image."""
    if sigma <= 0:
        return values
    kernel = gaussian_kernel(sigma)
    half = kernel.size // 2
    moved = np.moveaxis(values, axis, -1)
    padded = np.pad(moved, [(0, 0)] * (moved.ndim - 1) + [(half, half)], mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.size, axis=-1)
    smoothed: NDArray[np.float64] = np.moveaxis(windows @ kernel, -1, axis)
    return smoothed
