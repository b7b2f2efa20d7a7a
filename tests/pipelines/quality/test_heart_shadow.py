"""The heart's place on the detector is where the camera model projects it."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import AcquisitionGeometry
from pipelines.quality.heart_shadow import heart_shadow
from tests.accuracy.analytic import Ellipsoid, project


@pytest.mark.parametrize("offset_mm", [0.0, 12.8])
def test_the_shadow_lies_on_the_projected_counts(offset_mm: float) -> None:
    geometry = AcquisitionGeometry(
        tuple(225.0 - 11 * view for view in range(16)), (6.4, 6.4), 40, 48,
        isocenter_mm=(3.0, -150.0, 40.0), center_of_rotation_offset_mm=offset_mm,
    )  # fmt: skip
    place = (48.0, -175.0, 62.0)
    counts = project([Ellipsoid(place, (25.0,) * 3, 1.0)], geometry, 2)
    shadow = heart_shadow(geometry, place, 30.0)
    assert counts[shadow].sum() > 0.999 * counts.sum()
    small = heart_shadow(geometry, place, 15.0)
    assert np.all(counts[small] > 0)
