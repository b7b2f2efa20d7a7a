"""Is the patient the right way round? The heart's place and axis say what headers may have wrong.

A network that is moved over an image can't tell an upside-down or mirrored study from a right one, nor do counts.
"""

from __future__ import annotations

import numpy as np

from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.left_ventricle import NoHeartFound, find_left_ventricle
from pipelines.contract import Finding, Verdict
from pipelines.images import Volume

# Long axes of hearts in the left chest lie 30 to 60 degrees left of anterior and 10 to 45 down; with a margin.
USUAL_AZIMUTH_DEG = (10.0, 85.0)
USUAL_ELEVATION_DEG = (-8.0, 65.0)
CLEARLY_BETTER = 0.2  # of confidence
_TURNS = (
    ((0,), "upside down: check whether the first row is the head"),
    ((2,), "mirrored left to right (or the heart lies on the right): check the direction of rotation"),
    ((0, 2), "turned upside down: check whether the patient lay feet first"),
)


def orientation_findings(volume: Volume, ventricle: LeftVentricle | None) -> tuple[Finding, ...]:
    """Return a finding if the heart would look right only the other way round; nothing if it looks right as it is.

    `ventricle` is what was found in the transaxial volume. QUARANTINE: a turned image shows a usual heart and this
    one shows none, or one that is clearly less of a heart; WARN: the axis is unusual whichever way one turns it.
    """
    if ventricle is not None and _usual(ventricle):
        return ()
    own = ventricle.confidence if ventricle is not None else 0.0
    for axes, words in _TURNS:
        turned = Volume(np.ascontiguousarray(np.flip(volume.values, axes)), volume.grid, volume.unit)
        try:
            other = find_left_ventricle(turned)
        except NoHeartFound:
            continue
        if _usual(other) and (ventricle is None or other.confidence > own - CLEARLY_BETTER):
            return (Finding(Verdict.QUARANTINE, f"the heart lies as in a study that is {words}"),)
    if ventricle is None:
        return ()
    words = (
        f"the heart's axis is unusual ({ventricle.azimuth_deg:.0f}° left of anterior, "
        f"{ventricle.elevation_deg:.0f}° down): check it and the patient's orientation"
    )
    return (Finding(Verdict.WARN, words),)


def _usual(ventricle: LeftVentricle) -> bool:
    left, down = ventricle.azimuth_deg, ventricle.elevation_deg
    return (
        USUAL_AZIMUTH_DEG[0] <= left <= USUAL_AZIMUTH_DEG[1]
        and USUAL_ELEVATION_DEG[0] <= down <= USUAL_ELEVATION_DEG[1]
    )
