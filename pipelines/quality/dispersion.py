"""Do counts vary as counting makes them? Counted photons vary by their mean; scaled or interpolated ones don't.

Guard and denoiser rest on Poisson's law: after a scanner's smoothing, resampling or scaling it no longer holds, even
where the values were made whole again.
"""

from __future__ import annotations

import numpy as np

from pipelines.images import Array

_ROUNDING = 1e-3  # counts
_FAINT_SHARE = 0.5  # of the pixels with counts: where the image is flat, and structure adds nothing


def holds_whole_counts(counts: Array) -> bool:
    """Tell whether all values are whole and none is negative."""
    return float(counts.min(initial=0.0)) >= 0 and float(np.abs(counts - np.rint(counts)).max(initial=0.0)) <= _ROUNDING


def dispersion(counts: Array) -> float:
    """Return by how much `[gate, view, row, column]` varies from pixel to pixel, over what Poisson's law says: 1.

    Four pixels in a square are combined with the signs + - - +, which takes away whatever slopes along rows or columns;
    what is left varies by the sum of their means. The square's place is chosen by what neighbouring views count
    there, so that the choice doesn't depend on its own noise. NaN where there is no such place.
    """
    values = counts.astype(np.float64)
    corners = values[..., :-1, :-1], values[..., :-1, 1:], values[..., 1:, :-1], values[..., 1:, 1:]
    difference = corners[0] - corners[1] - corners[2] + corners[3]
    total = corners[0] + corners[1] + corners[2] + corners[3]
    beside = np.roll(total, 1, axis=1) + np.roll(total, -1, axis=1)
    seen = beside > 0
    if not seen.any():
        return float("nan")
    chosen = seen & (beside <= np.quantile(beside[seen], _FAINT_SHARE))
    return float((difference[chosen] ** 2).sum() / max(total[chosen].sum(), 1e-9))
