"""How far an image lies from its reference: RMSE, PSNR, SSIM, NMAE, percentage error.

What an image is divided by decides its numbers, so every scale is an argument and none is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.metrics import structural_similarity

Float = NDArray[np.float64]

GRAY = 255.0  # the paper's scale: each image over its own maximum, times this


@dataclass(frozen=True)
class ImageQuality:
    """RMSE in the unit of the images, PSNR in dB, structural similarity as the paper may have meant it."""

    rmse: float
    psnr_db: float
    ssim_global: float  # the paper's formula over the whole image, values over the peak
    ssim_unscaled: float  # the same on the values as they are: its constants then hardly count
    ssim_per_frame: float  # the paper's formula in each frame, values over the peak; mean over the frames
    ssim_windowed: float  # in windows of 7 x 7 with scikit-image's constants; mean over windows and frames


def image_quality(image: ArrayLike, reference: ArrayLike, peak: float) -> ImageQuality:
    """Return the quality of an image `[..., row, column]` whose highest possible value is `peak`.

    Raises ValueError on images of different shape, smaller than a window or with values that aren't finite.
    """
    first, second = _pair(image, reference)
    error = rmse(first, second)
    psnr = psnr_db(error, peak)  # refuses a peak that is none
    frames = list(zip(_frames(first), _frames(second), strict=True))
    return ImageQuality(
        error,
        psnr,
        ssim_global(first / peak, second / peak),
        ssim_global(first, second),
        float(np.mean([ssim_global(a / peak, b / peak) for a, b in frames])),
        float(np.mean([structural_similarity(a, b, data_range=peak) for a, b in frames])),
    )


def rmse(image: ArrayLike, reference: ArrayLike) -> float:
    """Return the root of the mean squared difference."""
    first, second = _pair(image, reference)
    return float(np.sqrt(np.mean((first - second) ** 2)))


def psnr_db(error: float, peak: float) -> float:
    """Return 20 log10(peak / RMSE), infinite without error; raises ValueError unless the peak is positive."""
    if not (peak > 0 and np.isfinite(peak)):
        raise ValueError(f"the peak must be positive, not {peak}")
    return float("inf") if error == 0 else 20.0 * float(np.log10(peak / error))


def ssim_global(image: ArrayLike, reference: ArrayLike, c1: float = 0.01, c2: float = 0.02) -> float:
    """Return structural similarity from means, variances and covariance of the whole image (values 0 to 1).

    The constants are those of Aghakhan Olia et al. 2022, eq. 3, taken as they stand there.
    """
    first, second = _pair(image, reference)
    covariance = float(np.mean((first - first.mean()) * (second - second.mean())))
    means = (2 * first.mean() * second.mean() + c1) / (first.mean() ** 2 + second.mean() ** 2 + c1)
    return float(means * (2 * covariance + c2) / (first.var() + second.var() + c2))


def nmae(image: ArrayLike, reference: ArrayLike) -> float:
    """Return the mean absolute error over the range of the reference (Shi et al. 2020)."""
    first, second = _pair(image, reference)
    span = float(second.max() - second.min())
    if span == 0:
        raise ValueError("the reference is constant: there is no range to normalize by")
    return float(np.mean(np.abs(first - second))) / span


def absolute_percentage_error(values: ArrayLike, reference: ArrayLike) -> Float:
    """Return 100 |value - reference| / reference of each value; raises ValueError where the reference is 0."""
    first, second = _pair(values, reference)
    if np.any(second == 0):
        raise ValueError("a reference of 0 has no percentage error")
    return np.asarray(100.0 * np.abs(first - second) / np.abs(second))


def gray(image: ArrayLike) -> Float:
    """Return an image over its own maximum, times 255; raises ValueError for an image without counts."""
    values = np.asarray(image, dtype=np.float64)
    highest = float(values.max(initial=0.0))
    if not (highest > 0 and np.isfinite(highest)):
        raise ValueError("an image without counts can't be divided by its maximum")
    return np.asarray(values * (GRAY / highest))


def _frames(image: Float) -> Float:
    if image.ndim < 2 or min(image.shape[-2:]) < 7:
        raise ValueError(f"frames of {image.shape[-2:]} are smaller than the window of 7 x 7")
    return image.reshape(-1, *image.shape[-2:])


def _pair(image: ArrayLike, reference: ArrayLike) -> tuple[Float, Float]:
    first, second = np.asarray(image, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if first.shape != second.shape or first.size == 0:
        raise ValueError(f"an image of shape {first.shape} can't be compared with one of shape {second.shape}")
    if not np.all(np.isfinite(first)) or not np.all(np.isfinite(second)):
        raise ValueError("an image holds values that are not finite")
    return first, second
