"""Where the heart falls on the detector: the pixels of each view that show it, and the track of each place in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry

Float = NDArray[np.float64]

_PITCH_MM = 8.0  # of the places that are looked at
_REACH_MM = 48.0  # from the heart's center


def heart_shadow(
    geometry: AcquisitionGeometry, center_mm: tuple[float, float, float], radius_mm: float
) -> NDArray[np.bool_]:
    """Return the pixels `[view, row, column]` within `radius_mm` of the line through a place (LPS)."""
    angles = np.radians(geometry.angles_deg)
    x, y, z = np.subtract(center_mm, geometry.isocenter_mm)
    across_mm = -x * np.cos(angles) + y * np.sin(angles) + geometry.center_of_rotation_offset_mm
    axial_mm, transaxial_mm = geometry.pixel_size_mm
    rows_mm = (np.arange(geometry.rows) - (geometry.rows - 1) / 2) * axial_mm
    columns_mm = (np.arange(geometry.columns) - (geometry.columns - 1) / 2) * transaxial_mm
    from_row = (rows_mm + z)[None, :, None]  # rows run toward the feet
    from_column = columns_mm[None, None, :] - across_mm[:, None, None]
    return np.asarray(from_row**2 + from_column**2 <= radius_mm**2)


@dataclass(frozen=True)
class HeartPlaces:
    """The pixels that places in the heart fall on, view by view."""

    rows: NDArray[np.int64]  # [view, place]
    columns: NDArray[np.int64]  # [view, place]
    pixel_size_mm: tuple[float, float]

    @classmethod
    def of(cls, geometry: AcquisitionGeometry, shadow: NDArray[np.bool_]) -> Self | None:
        """Return places on a lattice about the heart whose shadow this is; None if a view doesn't show it."""
        seen = shadow.sum(axis=(1, 2))
        if not seen.all():
            return None
        row = (shadow.sum(axis=2) @ np.arange(geometry.rows)) / seen
        column = (shadow.sum(axis=1) @ np.arange(geometry.columns)) / seen
        steps = np.arange(-_REACH_MM, _REACH_MM + 1.0, _PITCH_MM)
        x, y, z = (axis.ravel() for axis in np.meshgrid(steps, steps, steps, indexing="ij"))
        near = x**2 + y**2 + z**2 <= _REACH_MM**2
        x, y, z = x[near], y[near], z[near]
        angles = np.radians(geometry.angles_deg)[:, None]
        axial_mm, transaxial_mm = geometry.pixel_size_mm
        columns = column[:, None] + (-x * np.cos(angles) + y * np.sin(angles)) / transaxial_mm
        rows = row[:, None] - z / axial_mm
        return cls(
            np.clip(np.rint(rows), 0, geometry.rows - 1).astype(np.int64),
            np.clip(np.rint(columns), 0, geometry.columns - 1).astype(np.int64),
            geometry.pixel_size_mm,
        )

    def gathered(self, error: Float, mean: Float, blur_mm: float) -> Float:
        """Return, for each place, error, its variance and mean `[3, place]`, gathered over all views by a Gaussian.

        `error` and `mean` are `[view, row, column]`; `mean` is Poisson's, so it is the variance too.
        """
        view = np.arange(len(error))[:, None]
        wide = _gaussians(error.shape[1:], self.pixel_size_mm, blur_mm)
        # the square of a Gaussian weight is a narrower one
        squared = [kernel**2 for kernel in wide]
        maps = [wide[0] @ error @ wide[1], squared[0] @ mean @ squared[1], wide[0] @ mean @ wide[1]]
        return np.stack([one[view, self.rows, self.columns].sum(axis=0) for one in maps])


def _gaussians(shape: tuple[int, ...], pixel_size_mm: tuple[float, float], blur_mm: float) -> list[Float]:
    """Return the blur along rows and along columns as symmetric matrices."""
    kernels = []
    for size, pixel_mm in zip(shape, pixel_size_mm, strict=True):
        apart = (np.arange(size)[:, None] - np.arange(size)[None, :]) * pixel_mm / blur_mm
        kernels.append(np.exp(-(apart**2) / 2.0))
    return kernels
