"""How the camera stood (AcquisitionGeometry) and where a volume's voxels lie in the patient (VoxelGrid).

Lengths are mm, angles degrees, patient coordinates LPS (+x left, +y posterior, +z head), as DICOM has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class RotationDirection(Enum):
    """Sense in which the detector moves, seen from the patient's feet (DICOM PS3.3 C.8.4.10)."""

    CLOCKWISE = "CW"  # angles decrease
    COUNTERCLOCKWISE = "CC"  # angles increase


@dataclass(frozen=True)
class AcquisitionGeometry:
    """The camera's position at each view, in the order in which the views are stored.

    An angle of 0 is a detector at the patient's back; angles grow counter-clockwise seen from the feet, so 90 is
    the patient's left side and 180 the front (DICOM PS3.3 C.8.4.10.1). The detector's centre at angle a and radius
    r stands at LPS `isocenter_mm + r * (sin a, cos a, 0)`; columns run along (-cos a, sin a, 0), rows toward the feet.
    """

    angles_deg: tuple[float, ...]
    pixel_size_mm: tuple[float, float]  # (between rows = axial, between columns = transaxial)
    rows: int
    columns: int
    radius_mm: tuple[float, ...] | None = None  # per view; None: the source does not say
    isocenter_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)  # where the axis meets the middle of the rows
    center_of_rotation_offset_mm: float = 0.0  # of the axis from the middle column, along the columns

    def __post_init__(self) -> None:
        if not self.angles_deg:
            raise ValueError("an acquisition needs at least one view")
        if self.radius_mm is not None and len(self.radius_mm) != len(self.angles_deg):
            raise ValueError(f"{len(self.radius_mm)} radii for {len(self.angles_deg)} views")
        if min(self.pixel_size_mm) <= 0 or min(self.rows, self.columns) <= 0:
            raise ValueError(f"pixels of {self.pixel_size_mm} mm in {self.rows} x {self.columns} are no detector")
        if not np.all(
            np.isfinite([*self.angles_deg, *self.pixel_size_mm, *self.isocenter_mm, *(self.radius_mm or ())])
        ):
            raise ValueError("angles, radii and lengths must be finite")

    @property
    def views(self) -> int:
        """Number of angular positions."""
        return len(self.angles_deg)


@dataclass(frozen=True)
class VoxelGrid:
    """Where the voxel (z, y, x) of a volume lies: `affine @ (x, y, z, 1)` is its centre in LPS mm.

    `affine` is stored as nested tuples, so that a grid is hashable and can key a cache.
    """

    shape: tuple[int, int, int]  # (z, y, x)
    affine: tuple[tuple[float, float, float, float], ...]

    def __post_init__(self) -> None:
        matrix = np.asarray(self.affine, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
            raise ValueError("the affine must be a finite 4 x 4 matrix")
        if min(self.shape) <= 0:
            raise ValueError(f"a grid of shape {self.shape} holds nothing")
        if abs(float(np.linalg.det(matrix[:3, :3]))) < 1e-9:
            raise ValueError("the affine is singular: two axes of the grid coincide")

    @classmethod
    def axial(
        cls, shape: tuple[int, int, int], voxel_mm: tuple[float, float, float], center_mm: tuple[float, float, float]
    ) -> VoxelGrid:
        """Return a grid along the patient's axes: x to the left, y to the back, z to the head.

        `shape` and `voxel_mm` are (z, y, x); `center_mm` is the LPS position (x, y, z) of the grid's middle.
        """
        step = voxel_mm[::-1]
        count = shape[::-1]
        rows = []
        for axis in range(3):
            row = [0.0, 0.0, 0.0, center_mm[axis] - step[axis] * (count[axis] - 1) / 2]
            row[axis] = step[axis]
            rows.append(tuple(row))
        return cls(shape, (*rows, (0.0, 0.0, 0.0, 1.0)))  # type: ignore[arg-type]

    @classmethod
    def of_matrix(cls, shape: tuple[int, int, int], matrix: Float) -> VoxelGrid:
        """Return the grid of a shape (z, y, x) whose affine is a 4 x 4 array."""
        return cls(shape, tuple(tuple(row) for row in matrix.tolist()))

    @property
    def matrix(self) -> Float:
        """The affine as a 4 x 4 array."""
        return np.asarray(self.affine, dtype=np.float64)

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along (z, y, x)."""
        lengths = np.linalg.norm(self.matrix[:3, :3], axis=0)
        return float(lengths[2]), float(lengths[1]), float(lengths[0])

    def position_mm(self, z: float, y: float, x: float) -> Float:
        """Return the LPS position of the (possibly fractional) voxel index."""
        return np.asarray((self.matrix @ np.array([x, y, z, 1.0]))[:3])

    def index_of(self, position_mm: tuple[float, float, float]) -> Float:
        """Return the fractional voxel index (z, y, x) of an LPS position."""
        x, y, z, _ = np.linalg.solve(self.matrix, np.array([*position_mm, 1.0]))
        return np.array([z, y, x])

    def part(self, box: tuple[slice, slice, slice]) -> VoxelGrid:
        """Return the grid of the voxels that a box (z, y, x) cuts out of an array on this grid."""
        bounds = [cut.indices(size)[:2] for cut, size in zip(box, self.shape, strict=True)]
        matrix = self.matrix
        matrix[:3, 3] = self.position_mm(*(float(start) for start, _ in bounds))
        z, y, x = (stop - start for start, stop in bounds)
        return VoxelGrid.of_matrix((z, y, x), matrix)
