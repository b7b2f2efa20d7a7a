"""An independent look at a derived volume; shares no code with the product.

Its voxels' places are read from the DICOM header, and the source is back-projected, plainly filtered, to those places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

Float = NDArray[np.float64]


@dataclass(frozen=True)
class PlacedVolume:
    """A volume `[z, y, x]` with the LPS position in mm of each voxel `[z, y, x, 3]`."""

    values: Float
    positions_mm: Float

    def middle_mm(self) -> Float:
        """Return the LPS position in mm of the volume's middle."""
        return np.asarray(self.positions_mm.reshape(-1, 3).mean(axis=0))

    def slab(self, half_mm: float) -> PlacedVolume:
        """Return the transaxial slices up to this distance from the middle."""
        near = np.abs(self.positions_mm[:, 0, 0, 2] - self.middle_mm()[2]) < half_mm
        return PlacedVolume(self.values[near], self.positions_mm[near])

    def center_of_hottest(self, share: float = 0.01) -> Float:
        """Return the LPS centroid in mm of the hottest share of the voxels."""
        hot = self.values >= np.quantile(self.values, 1 - share)
        return np.average(self.positions_mm[hot], axis=0, weights=self.values[hot])


def place(recon: Dataset) -> PlacedVolume:
    """Read an NM RECON TOMO instance (PS3.3 C.8.4.15: a negative spacing runs against row x column)."""
    detector = recon.DetectorInformationSequence[0]
    corner = np.asarray(detector.ImagePositionPatient, dtype=float)
    along_row, along_column = np.asarray(detector.ImageOrientationPatient, dtype=float).reshape(2, 3)
    between_rows, between_columns = map(float, recon.PixelSpacing)
    step = np.cross(along_row, along_column) * float(recon.SpacingBetweenSlices)
    frames, rows, columns = int(recon.NumberOfFrames), int(recon.Rows), int(recon.Columns)
    k, j, i = np.meshgrid(np.arange(frames), np.arange(rows), np.arange(columns), indexing="ij")
    positions = (
        corner
        + k[..., None] * step
        + j[..., None] * along_column * between_rows
        + i[..., None] * along_row * between_columns
    )
    return PlacedVolume(recon.pixel_array.reshape(frames, rows, columns).astype(float), positions)


def back_project(tomo: Dataset, positions_mm: Float, isocenter_mm: tuple[float, float, float]) -> Float:
    """Return the filtered back-projection of a one-window TOMO acquisition at LPS positions `[..., 3]` mm.

    The detector at angle a sees a point (x, y) at -x cos a + y sin a along its columns (PS3.3 C.8.4.10.1: 0 is the
    patient's back, angles grow toward the left side); row 0 is nearest the head.
    """
    rotation = tomo.RotationInformationSequence[0]
    sense = {"CW": -1, "CC": 1}[rotation.RotationDirection]
    views = int(rotation.NumberOfFramesInRotation)
    angles = np.deg2rad(float(rotation.StartAngle) + sense * float(rotation.AngularStep) * np.arange(views))
    counts = tomo.pixel_array.astype(float)
    frequency = np.abs(np.fft.rfftfreq(counts.shape[2]))
    window = np.cos(np.pi * frequency) ** 2  # the noise of a real acquisition drowns the bare ramp
    filtered = np.fft.irfft(np.fft.rfft(counts, axis=2) * frequency * window, n=counts.shape[2], axis=2)
    x, y, z = np.moveaxis(positions_mm - np.asarray(isocenter_mm), -1, 0)
    pixel_rows, pixel_columns = map(float, tomo.PixelSpacing)
    row = (counts.shape[1] - 1) / 2 - z / pixel_rows
    total = np.zeros(x.shape)
    for angle, view in zip(angles, filtered, strict=True):
        column = (counts.shape[2] - 1) / 2 + (-x * np.cos(angle) + y * np.sin(angle)) / pixel_columns
        total += _interpolate(view, row, column)
    return np.maximum(total, 0)


def _interpolate(image: Float, row: Float, column: Float) -> Float:
    rows, columns = image.shape
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    total = np.zeros(row.shape)
    for down in (0, 1):
        for right in (0, 1):
            r, c = top + down, left + right
            inside = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
            weight = np.abs(1 - down - (row - top)) * np.abs(1 - right - (column - left))
            total[inside] += weight[inside] * image[r[inside], c[inside]]
    return total


def correlation(one: Float, other: Float) -> float:
    """Return Pearson's correlation of two arrays."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
