"""How a measured map lies: how far it was or would be moved, how outlines agree, whether it holds the whole heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.cardiac.heart_frame import Point
from pipelines.contract import Finding, Verdict
from pipelines.geometry import VoxelGrid
from pipelines.images import Volume
from pipelines.physics.body_outline import SKIN_PER_CM

Float = NDArray[np.float64]

MOST_OUTSIDE = 0.03  # of the left ventricle's wall: about 3 mm of the heart
_FAR_MM = (15.0, 25.0)  # remarked, held
_TURNED_DEG = (5.0, 10.0)
_WORSE = 0.03  # of the agreement: less is chance
_LEAST_AGREEMENT = 0.75
_MISFIT = "the map doesn't fit this patient"
_LOOK = "check that the map lies right"


@dataclass(frozen=True)
class Extent:
    """Where a measured map knows the patient: its grid, between the first and the last slice that show a body.

    Cameras lay their maps on the grid of the emission and leave slices empty where the CT had none.
    """

    grid: VoxelGrid
    first: int  # slice
    last: int

    @classmethod
    def of(cls, mu_map: Volume) -> Extent:
        """Return the extent of a map in 1/cm; one of air alone reaches nowhere."""
        shown = np.flatnonzero((mu_map.values > SKIN_PER_CM).any(axis=(1, 2)))
        return cls(mu_map.grid, int(shown[0]), int(shown[-1])) if shown.size else cls(mu_map.grid, 0, -1)

    def share_outside(self, places_mm: Float) -> float:
        """Return which share of places (LPS `[place, 3]`) lies beyond it."""
        homogeneous = np.column_stack([places_mm, np.ones(len(places_mm))])
        x, y, z = np.linalg.solve(self.grid.matrix, homogeneous.T)[:3]
        _, rows, columns = self.grid.shape
        inside = (x > -0.5) & (x < columns - 0.5) & (y > -0.5) & (y < rows - 0.5)
        inside &= (z > self.first - 0.5) & (z < self.last + 0.5)
        return float((~inside).mean())


def most_outside(extents: Sequence[Extent], places_mm: Float) -> float:
    """Return the largest share of places that lies beyond one of the extents."""
    return max(one.share_outside(places_mm) for one in extents)


def ends_in_heart_words(share: float) -> str:
    """Return that a map ends in the heart, and how much of the wall lies beyond it."""
    return f"it ends in the heart: {100 * share:.0f} % of the left ventricle's wall lie beyond it"


def moved_findings(
    moved_mm: float, turned_deg: float, before: float, after: float, *, same_frame: bool = True
) -> tuple[Finding, ...]:
    """Return what the registration of a measured map says: how far it was moved and turned, how outlines agree.

    `before` and `after` are Dice coefficients. Without a common frame of reference any way is as good as another, so
    it is remarked on and only the agreement judged.
    """
    words = (
        f"the attenuation map was moved by {moved_mm:.0f} mm and turned by {turned_deg:.0f}°; "
        f"{_outlines(before, after)}"
    )
    if same_frame and _farther(1, moved_mm, turned_deg):
        return (Finding(Verdict.QUARANTINE, f"{words}: more than a patient moves between two scans"),)
    if after < _LEAST_AGREEMENT or (same_frame and after < before - _WORSE):
        return (Finding(Verdict.QUARANTINE, f"{words}: {_MISFIT}"),)
    if not same_frame:
        words = f"{words}; no frame of reference tells how they lie"
    if not same_frame or _farther(0, moved_mm, turned_deg):
        return (Finding(Verdict.WARN, f"{words}: {_LOOK}"),)
    return (Finding(Verdict.PASS, words),)


def left_findings(moved_mm: float, turned_deg: float, before: float, after: float) -> tuple[Finding, ...]:
    """Return what a registration says of a vendor's map that is used where it came: a person may have aligned it.

    `moved_mm` and `turned_deg` are what the registration would do, `before` is how outlines agree as the map lies.
    """
    words = (
        f"the attenuation map was left where it came; a registration would move it by {moved_mm:.0f} mm and turn it by "
        f"{turned_deg:.0f}°: {_outlines(before, after)}"
    )
    if before < _LEAST_AGREEMENT:
        return (Finding(Verdict.QUARANTINE, f"{words}: {_MISFIT}"),)
    if _farther(1, moved_mm, turned_deg):
        return (Finding(Verdict.QUARANTINE, f"{words}: too far to go unseen"),)
    if _farther(0, moved_mm, turned_deg):
        return (Finding(Verdict.WARN, f"{words}: {_LOOK}"),)
    return (Finding(Verdict.PASS, words),)


def by_hand_findings(shift_mm: Point, before: float, after: float) -> tuple[Finding, ...]:
    """Return what is to be said of a map that a person has moved: how far, and how outlines agree."""
    x, y, z = shift_mm
    words = (
        f"the attenuation map was moved by hand by {x:g}, {y:g}, {z:g} mm (map_shift_mm), not registered; "
        f"{_outlines(before, after)}"
    )
    if after < _LEAST_AGREEMENT:
        return (Finding(Verdict.QUARANTINE, f"{words}: {_MISFIT}"),)
    if after < before - _WORSE:
        return (Finding(Verdict.WARN, f"{words}: {_LOOK}"),)
    return (Finding(Verdict.PASS, words),)


def unregistered_findings(*, same_frame: bool) -> tuple[Finding, ...]:
    """Return what is to be said of a map that was not even compared with the emission."""
    if same_frame:
        words = "the attenuation map was not registered to the emission: the rule says so (registration = false)"
        return (Finding(Verdict.WARN, words),)
    words = "the CT was not registered (registration = false), and no frame of reference tells where it lies"
    return (Finding(Verdict.QUARANTINE, words),)


def _outlines(before: float, after: float) -> str:
    return f"the outlines of the body agree to {100 * before:.0f} % before, {100 * after:.0f} % after"


def _farther(limit: int, moved_mm: float, turned_deg: float) -> bool:
    return moved_mm > _FAR_MM[limit] or turned_deg > _TURNED_DEG[limit]
