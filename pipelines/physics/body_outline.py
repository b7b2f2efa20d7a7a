"""Which voxels are the patient: in a mu-map, and in a reconstruction that is not corrected for attenuation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Array, Volume
from pipelines.physics.table import without_table

Mask = NDArray[np.bool_]

SKIN_PER_CM = 0.03  # less is air: lung has 0.045
_SHARE_OF_TYPICAL = 0.4  # of the body's typical activity: less lies outside, where streaks and blur reach
_COUNTED_SHARE = 0.25  # of it: what is counted when the typical activity is told
_ROUNDS = 6
_SMOOTHING_MM = 6.0
_SEEN_SHARE = 0.02  # of the slice with most activity: slices with less lie outside the camera's field


def body_in_map(mu_map: Volume) -> Mask:
    """Return the voxels `[z, y, x]` of the patient in a mu-map, lungs and air inside included, without the table.

    Raises UnsuitableAcquisition unless the map is axial.
    """
    return _filled(without_table(mu_map).values > SKIN_PER_CM)


def body_in_emission(image: Volume) -> Mask:
    """Return the voxels `[z, y, x]` of the patient in a reconstruction of the photopeak or of the scatter window."""
    smooth = _smoothed(np.maximum(image.values, 0.0), image.grid.voxel_mm)
    return _filled(smooth > _SHARE_OF_TYPICAL * typical_activity(smooth))


def seen_slices(image: Volume) -> Mask:
    """Return which slices of a reconstruction lie wholly in the camera's field: the outermost ones are seen in part.

    None of an empty one.
    """
    per_slice = np.maximum(image.values, 0.0).sum(axis=(1, 2), dtype=np.float64)
    seen = np.flatnonzero(per_slice > _SEEN_SHARE * per_slice.max())
    index = np.arange(len(per_slice))
    if not seen.size:
        return np.zeros(len(per_slice), dtype=bool)
    return np.asarray((index > seen[0]) & (index < seen[-1]))


def typical_activity(values: Array) -> float:
    """Return the median of all voxels that are not empty: muscle, blood and lung fill most of the body."""
    flat = values[values > 0.0]
    level = float(flat.mean()) if flat.size else 0.0
    for _ in range(_ROUNDS if level else 0):
        level = float(np.median(flat[flat > _COUNTED_SHARE * level]))
    return level


def dice(one: Mask, other: Mask) -> float:
    """Return how well two masks coincide, 1 is perfect; NaN where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2.0 * int((one & other).sum()) / total if total else float("nan")


def _filled(mask: Mask) -> Mask:
    """Return the mask with what lies between its parts along rows and along columns of a slice."""
    between = np.ones_like(mask)
    for axis in (1, 2):
        before = np.logical_or.accumulate(mask, axis=axis)
        behind = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis=axis), axis)
        between &= before & behind
    return np.asarray(mask | between)


def _smoothed(values: Array, voxel_mm: tuple[float, float, float]) -> Array:
    for axis, size_mm in enumerate(voxel_mm):
        index = np.arange(values.shape[axis])
        weights = np.exp(-(((index[:, None] - index[None, :]) * size_mm / _SMOOTHING_MM) ** 2) / 2.0)
        weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
    return np.asarray(values)
