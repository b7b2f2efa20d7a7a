"""The patient's table in a mu-map: found behind the patient, taken out, and put back.

A table is the same in every slice and lies behind the body. Huxohl et al. 2023 took it out by hand before training and
put it back before reconstruction, and proposed a threshold and the lowest region; here the threshold finds the body,
and what lies behind it in the same column, slice after slice alike, is the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import VoxelGrid
from pipelines.images import Array, Unit, UnsuitableAcquisition, Volume
from pipelines.resampling import resample

Index = NDArray[np.int64]

BODY_PER_CM = 0.10  # denser is body, even fat; tables are carbon and foam
_FAINTEST_PER_CM = 0.012  # what is less is noise or the edge of the table
_SKIN_MM = 4.0  # behind the last dense voxel, where a voxel is partly skin
_BEFORE_BACK = 3  # rows; the table's edges may be bent up
_LEAST_SLICES = 3  # in which a voxel must lie free behind the body to be known


@dataclass(frozen=True)
class Table:
    """The table's attenuation in 1/cm `[y, x]`, the same in every slice of an axial grid."""

    mu_per_cm: Array
    grid: VoxelGrid  # of the mu-map that it was seen in

    def on(self, grid: VoxelGrid) -> Volume:
        """Return the table on another grid, as long as the grid of that its profile was seen in."""
        values = np.repeat(self.mu_per_cm[None], self.grid.shape[0], axis=0)
        return resample(Volume(values.astype(np.float32), self.grid, Unit.PER_CM), grid)


def find_table(mu_map: Volume) -> Table:
    """Return the table of a mu-map of a supine patient; all zero where nothing lies behind the patient.

    Raises UnsuitableAcquisition unless the map's axes are the patient's.
    """
    values, flip = _upright(mu_map)
    behind = _behind_body(values, mu_map.grid.voxel_mm[1])
    free = behind.sum(axis=0)
    shown = np.where(behind, values, np.nan)
    profile = np.zeros(values.shape[1:])
    known = free >= min(_LEAST_SLICES, len(values))
    profile[known] = np.nanmedian(shown[:, known], axis=0)
    profile[profile < _FAINTEST_PER_CM] = 0.0
    profile[: _highest_back(values)] = 0.0
    return Table(np.ascontiguousarray(profile[::flip]).astype(np.float32), mu_map.grid)


def without_table(mu_map: Volume) -> Volume:
    """Return the mu-map with air behind the patient. Raises UnsuitableAcquisition as `find_table` does."""
    values, flip = _upright(mu_map)
    cleared = np.where(_behind_body(values, mu_map.grid.voxel_mm[1]), 0.0, values)[:, ::flip]
    return Volume(np.ascontiguousarray(cleared).astype(np.float32), mu_map.grid, mu_map.unit)


def with_table(mu_map: Volume, table: Table) -> Volume:
    """Return the mu-map with the table put in where the patient is not."""
    return Volume(np.maximum(mu_map.values, table.on(mu_map.grid).values), mu_map.grid, mu_map.unit)


def _upright(mu_map: Volume) -> tuple[Array, int]:
    """Return the values with y toward the back, and 1 or -1: the step that turns them back."""
    matrix = mu_map.grid.matrix[:3, :3]
    if np.abs(matrix - np.diag(np.diag(matrix))).max() > 1e-3 * np.abs(matrix).max():
        raise UnsuitableAcquisition("the mu-map is not axial, so what lies behind the patient can't be told")
    flip = 1 if matrix[1, 1] > 0 else -1
    return np.asarray(mu_map.values[:, ::flip]), flip


def _behind_body(values: Array, row_mm: float) -> NDArray[np.bool_]:
    """Return which voxels `[z, y, x]` lie behind the last dense voxel of their column, or in a column without one.

    Beside the body, a column counts as behind from the row on where the body's back lies in that slice.
    """
    rows = np.arange(values.shape[1])
    dense = values > BODY_PER_CM
    last = np.where(dense.any(axis=1), values.shape[1] - 1 - np.argmax(dense[:, ::-1], axis=1), -1)  # [z, x]
    margin = max(1, round(_SKIN_MM / row_mm))
    beside = _row_before_back(last)
    start = np.where(last >= 0, last + margin + 1, beside[:, None])
    return np.asarray((rows[None, :, None] >= start[:, None, :]) & (start[:, None, :] > 0))


def _row_before_back(last: Index) -> Index:
    """Return per slice the row a little before the body's back: beside the body, only a table lies from there on."""
    backs = last.max(axis=1)
    return np.asarray(np.where(backs >= 0, np.maximum(backs - _BEFORE_BACK, 1), 0))


def _highest_back(values: Array) -> int:
    """Return the row from which on a table can lie: where the back is that lies least far back."""
    dense = np.asarray(values.max(axis=2) > BODY_PER_CM)  # [z, y]
    backs = [int(np.flatnonzero(rows)[-1]) for rows in dense if rows.any()]
    return max(min(backs, default=0) - _BEFORE_BACK, 0)
