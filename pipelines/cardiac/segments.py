"""The 17 segments of the left ventricle and the coronary territories on a polar map (Cerqueira et al. 2002).

A polar map is `[ring, angle]`: ring 0 lies at the apex, the last one at the base, rings are evenly spaced in arc length
on the wall. The angle turns counter-clockwise seen from the apex with anterior up:

    lateral 0, anterior 90, septal 180, inferior 270 degrees;  column k covers 5 k to 5 (k + 1) degrees.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

RINGS, ANGLES = 24, 72
SEGMENTS = 17
# Arc length from the apex, as a share of the whole, where cap, apical, mid and basal segments end: the thirds of the
# long axis, and its last 4 % as cap, on a spheroid of usual shape.
RING_ENDS = (0.15, 0.46, 0.73, 1.0)

NAMES = (
    "basal anterior", "basal anteroseptal", "basal inferoseptal", "basal inferior", "basal inferolateral",
    "basal anterolateral", "mid anterior", "mid anteroseptal", "mid inferoseptal", "mid inferior", "mid inferolateral",
    "mid anterolateral", "apical anterior", "apical septal", "apical inferior", "apical lateral", "apex",
)  # fmt: skip


class Territory(Enum):
    """The coronary artery that usually feeds a part of the wall."""

    LAD = "left anterior descending"
    LCX = "left circumflex"
    RCA = "right coronary"


SEGMENTS_OF = {
    Territory.LAD: (1, 2, 7, 8, 13, 14, 17),
    Territory.LCX: (5, 6, 11, 12, 16),
    Territory.RCA: (3, 4, 9, 10, 15),
}


def ring_places() -> Float:
    """Return the middle of each ring as a share of the arc length from apex to base."""
    return (np.arange(RINGS) + 0.5) / RINGS


def angles_deg() -> Float:
    """Return the middle of each column."""
    return 360.0 * (np.arange(ANGLES) + 0.5) / ANGLES


def segment_map() -> NDArray[np.int64]:
    """Return the segment, 1 to 17, of each sample `[ring, angle]`."""
    angle = angles_deg()
    sextant = np.mod(np.floor((angle - 60.0) / 60.0), 6).astype(np.int64)
    quadrant = np.mod(np.floor((angle - 45.0) / 90.0), 4).astype(np.int64)
    by_level = np.stack([np.full(ANGLES, 17), 13 + quadrant, 7 + sextant, 1 + sextant])
    level = np.searchsorted(RING_ENDS[:-1], ring_places(), side="right")
    return np.asarray(by_level[level])


def segment_means(values: Float, area: Float) -> tuple[float, ...]:
    """Return the mean of a polar map in segments 1 to 17, weighted by the area that each sample stands for."""
    members = segment_map()
    return tuple(
        float(np.average(values[members == number], weights=area[members == number]))
        for number in range(1, SEGMENTS + 1)
    )
