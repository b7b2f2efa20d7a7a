"""Resamples a transaxial volume to short axis, vertical and horizontal long axis, in the patient's own coordinates.

Conventions of the field (Cerqueira et al. 2002; ACC/AHA/SNM 1990), as array `[slice, row, column]`, row 0 on top:

    short axis             slices from apex to base, anterior up, septum left
    vertical long axis     slices from septum to lateral wall, anterior up, apex right
    horizontal long axis   slices from inferior to anterior wall, apex up, septum left

All three are right-handed, so each is a rotation of the patient, never a mirror image.
"""

from __future__ import annotations

import math
from enum import Enum

import numpy as np

from pipelines.cardiac.heart_frame import Float, LeftVentricle, directions
from pipelines.cardiac.sampling import Sampler, voxel_centers
from pipelines.geometry import VoxelGrid
from pipelines.images import Volume

FIELD_MM = 160.0  # width and height of a slice
MARGIN_MM = 25.0  # of slices beyond the ventricle on both sides


class Orientation(Enum):
    """How slices lie in the heart."""

    SHORT_AXIS = "short axis"
    VERTICAL_LONG_AXIS = "vertical long axis"
    HORIZONTAL_LONG_AXIS = "horizontal long axis"


def reoriented(volume: Volume, ventricle: LeftVentricle, orientation: Orientation) -> Volume:
    """Return the heart in slices of this orientation, by trilinear interpolation.

    Voxels are cubes of the volume's smallest edge. The grid's affine is in the same patient coordinates as the
    volume's, so the frame of reference stays. Outside of the volume there is 0.
    """
    grid = heart_grid(ventricle, orientation, min(volume.grid.voxel_mm))
    values = Sampler.of(volume).linear(voxel_centers(grid))
    return Volume(values.astype(np.float32), grid, volume.unit)


def heart_grid(ventricle: LeftVentricle, orientation: Orientation, voxel_mm: float) -> VoxelGrid:
    """Return the grid of cubic voxels about the ventricle's center in an orientation."""
    along, lateral, anterior = directions(np.asarray(ventricle.long_axis))
    length = float(np.linalg.norm(np.subtract(ventricle.apex_mm, ventricle.base_mm)))
    width = 2.0 * ventricle.wall.half_width
    across, depth = {
        Orientation.SHORT_AXIS: ((lateral, -anterior, -along), length),
        Orientation.VERTICAL_LONG_AXIS: ((along, -anterior, lateral), width),
        Orientation.HORIZONTAL_LONG_AXIS: ((lateral, -along, anterior), width),
    }[orientation]
    slices, side = (max(1, math.ceil(size / voxel_mm)) for size in (depth + 2 * MARGIN_MM, FIELD_MM))
    shape = (slices, side, side)
    return _grid_about(np.asarray(ventricle.center_mm), shape, voxel_mm, across)


def _grid_about(
    center: Float, shape: tuple[int, int, int], voxel_mm: float, axes: tuple[Float, Float, Float]
) -> VoxelGrid:
    """Return a grid whose columns, rows and slices step along these axes, its middle at `center`."""
    steps = voxel_mm * np.stack(axes, axis=1)
    origin = center - steps @ ((np.array(shape[::-1]) - 1) / 2)
    rows = [(*(float(value) for value in steps[axis]), float(origin[axis])) for axis in range(3)]
    return VoxelGrid(shape, (*rows, (0.0, 0.0, 0.0, 1.0)))  # type: ignore[arg-type]
