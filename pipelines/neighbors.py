"""What stands beside what: views of an orbit by their angles, not by the order of storage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REACH = 2  # neighbors on each side
WIDEST_GAP = 2.0  # steps of the orbit; beyond it two views don't show the same


def neighbor_views(angles_deg: Sequence[float], reach: int = REACH) -> NDArray[np.int64]:
    """Return, for each view, the indices `[view, 2 * reach + 1]` of the views about it; the middle one is itself.

    At the ends of an orbit the last view stands in for what is missing; a full orbit goes round. Two heads that are
    stored one after the other, and views in any order, are put in the order of their angles.
    """
    angles = np.asarray(angles_deg, dtype=np.float64) % 360.0
    order = np.argsort(angles, kind="stable")
    gaps = np.diff(angles[order], append=angles[order[0]] + 360.0)  # after each view, the last one's to the first
    steps = gaps[gaps > 1e-6]
    joined = gaps <= WIDEST_GAP * float(np.median(steps)) if len(angles) > 1 else np.zeros(1, dtype=bool)
    following, previous = np.arange(len(angles)), np.arange(len(angles))
    following[order] = np.where(joined, np.roll(order, -1), order)
    previous[order] = np.where(np.roll(joined, 1), np.roll(order, 1), order)
    columns = [np.arange(len(angles))]
    for _ in range(reach):
        columns = [previous[columns[0]], *columns, following[columns[-1]]]
    return np.stack(columns, axis=1)


def median_of_neighbors(values: NDArray[np.float64], neighbors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what the neighbours of each view let expect: the median of those two on each side that are not NaN.

    At the ends of an orbit there are neighbours on one side alone; NaN where there is none.
    """
    medians = np.empty(len(values))
    for view in range(len(values)):
        beside = values[list({*neighbors[view]} - {view})]
        beside = beside[~np.isnan(beside)]
        medians[view] = np.median(beside) if beside.size else float("nan")
    return medians
