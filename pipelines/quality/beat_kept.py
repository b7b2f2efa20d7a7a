"""Do denoised gates beat as the measured ones do? Gates that are all alike would tell of a heart that stands still.

Photons that were held out can't tell: in projections the beat lies so far below the noise that even at full dose a
still heart foretells them hardly worse than a beating one. So what is asked is whether the beat was passed on: how the
measured gates differ from their share of all gates must be found again in the denoised ones. Whether `networks.gates`
takes the right part of that difference is not told here, but by ejection fractions against the truth (evaluation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.contract import Finding, Verdict
from pipelines.images import Projections
from pipelines.neighbors import neighbor_views
from pipelines.networks.gates import beat, difference

USUAL_PERCENT = 95.0  # 97.5 to 100 on ten virtual patients, down to a sixteenth of the dose
LEAST_PERCENT = 80.0


def beat_kept_percent(measured: Projections, denoised: Projections, heart: NDArray[np.bool_]) -> float:
    """Return how much of the measured beat denoised gates show, in percent: 100 all of it, 0 gates that are alike.

    `heart` masks the pixels `[view, row, column]` that show the heart. The beat is what `networks.gates` takes from the
    measurement; the share is the slope of a straight line through all pixels. NaN if the study is not gated, or if the
    measured gates are all alike.
    """
    if measured.gates == 1:
        return float("nan")
    geometry = measured.geometry
    moving = beat(measured.photopeak_counts(), neighbor_views(geometry.angles_deg), geometry.pixel_size_mm) * heart
    found = difference(denoised.photopeak_counts())
    found *= measured.photopeak_counts().sum(dtype=np.float64) / denoised.photopeak_counts().sum(dtype=np.float64)
    energy = float((moving**2).sum())
    return 100.0 * float((found * moving).sum()) / energy if energy > 0.0 else float("nan")


def beat_findings(kept_percent: float) -> tuple[Finding, ...]:
    """Return what must be said of denoised gates that show less, or more, of a beat than was measured."""
    off = abs(kept_percent - 100.0)
    if not off > 100.0 - USUAL_PERCENT:
        return ()
    verdict = Verdict.QUARANTINE if off > 100.0 - LEAST_PERCENT else Verdict.WARN
    words = f"the denoised gates show {kept_percent:.0f} % of the measured beat: don't rely on the ejection fraction"
    return (Finding(verdict, words),)
