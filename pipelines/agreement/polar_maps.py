"""How far polar maps lie from their reference: by pixel within the disk and by segment, as in Huxohl et al. 2023."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.agreement.image_quality import absolute_percentage_error
from pipelines.agreement.statistics import Correlation, pearson

Float = NDArray[np.float64]


@dataclass(frozen=True)
class PolarMapAgreement:
    """Mean and sd over all pixels (or segments) of all patients; pixel values in percent of each map's peak."""

    pixel_distance: float
    pixel_distance_sd: float
    pixel_ape_percent: float  # over the pixels whose reference is not 0
    pixel_ape_sd_percent: float
    pixel_correlation: Correlation  # neighbors in a map are not independent: trust r, not its interval
    segment_ape_percent: float
    segment_ape_sd_percent: float
    segment_correlation: Correlation


def polar_map_agreement(
    disks: ArrayLike, references: ArrayLike, segments: ArrayLike, reference_segments: ArrayLike
) -> PolarMapAgreement:
    """Return how maps agree with their references.

    Disks are `[patient, row, column]` (the paper: 512 x 512) with NaN outside the circle, in percent of a peak that
    the caller chose (`percent_of`); segments are `[patient, segment]` means in the same unit. The paper says "APE" of
    pixels in its methods and "distance" in its results: both are here. Raises ValueError on shapes or circles that
    differ, on values that are not finite, and on segments whose reference is 0.
    """
    first, second = _inside(disks, references)
    seen = second != 0
    ours, theirs = np.asarray(segments, dtype=np.float64), np.asarray(reference_segments, dtype=np.float64)
    distance = np.abs(first - second)
    by_pixel = absolute_percentage_error(first[seen], second[seen])
    by_segment = absolute_percentage_error(ours, theirs)
    return PolarMapAgreement(
        *_mean_and_sd(distance),
        *_mean_and_sd(by_pixel),
        pearson(first, second),
        *_mean_and_sd(by_segment),
        pearson(ours.ravel(), theirs.ravel()),
    )


def percent_of(values: ArrayLike, peak: float) -> Float:
    """Return values in percent of a peak; raises ValueError unless the peak is positive."""
    if not (peak > 0 and np.isfinite(peak)):
        raise ValueError(f"the peak must be positive, not {peak}")
    return np.asarray(np.asarray(values, dtype=np.float64) * (100.0 / peak))


def _inside(disks: ArrayLike, references: ArrayLike) -> tuple[Float, Float]:
    first, second = np.asarray(disks, dtype=np.float64), np.asarray(references, dtype=np.float64)
    if first.shape != second.shape or not np.array_equal(np.isnan(first), np.isnan(second)):
        raise ValueError("the disks of the maps and of their references do not cover the same pixels")
    inside = ~np.isnan(first)
    return first[inside], second[inside]


def _mean_and_sd(values: Float) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1))
