"""The heart's place on the detector is where the camera model projects it."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import AcquisitionGeometry
from pipelines.quality.heart_shadow import HeartPlaces, heart_shadow
from tests.accuracy.analytic import Ellipsoid, project

PLACE_MM = (48.0, -175.0, 62.0)


def orbit(offset_mm: float = 0.0) -> AcquisitionGeometry:
    return AcquisitionGeometry(
        tuple(225.0 - 11 * view for view in range(16)), (6.4, 6.4), 40, 48,
        isocenter_mm=(3.0, -150.0, 40.0), center_of_rotation_offset_mm=offset_mm,
    )  # fmt: skip


@pytest.mark.parametrize("offset_mm", [0.0, 12.8])
def test_the_shadow_lies_on_the_projected_counts(offset_mm: float) -> None:
    geometry = orbit(offset_mm)
    counts = project([Ellipsoid(PLACE_MM, (25.0,) * 3, 1.0)], geometry, 2)
    shadow = heart_shadow(geometry, PLACE_MM, 30.0)
    assert counts[shadow].sum() > 0.999 * counts.sum()
    small = heart_shadow(geometry, PLACE_MM, 15.0)
    assert np.all(counts[small] > 0)


@pytest.mark.parametrize("offset_mm", [0.0, 12.8])
def test_a_spot_in_the_heart_is_gathered_where_it_lies_and_nowhere_else(offset_mm: float) -> None:
    geometry = orbit(offset_mm)
    places = HeartPlaces.of(geometry, heart_shadow(geometry, PLACE_MM, 60.0))
    assert places is not None
    spot = (PLACE_MM[0] + 16.0, PLACE_MM[1] - 24.0, PLACE_MM[2] + 8.0)  # on the lattice of 8 mm
    seen = project([Ellipsoid(spot, (8.0,) * 3, 1.0)], geometry, 2)
    gathered = places.gathered(seen, np.ones_like(seen), 10.0)[0]
    rows, columns = (np.array([one[:, gathered.argmax()]]) for one in (places.rows, places.columns))
    brightest = np.array([np.unravel_index(view.argmax(), view.shape) for view in seen])
    assert np.abs(rows[0] - brightest[:, 0]).max() <= 1
    assert np.abs(columns[0] - brightest[:, 1]).max() <= 1
    assert np.sort(gathered)[-8:].min() < 0.97 * gathered.max()


def test_a_heart_that_a_view_does_not_show_has_no_places() -> None:
    geometry = orbit()
    assert HeartPlaces.of(geometry, heart_shadow(geometry, (48.0, -175.0, 900.0), 60.0)) is None
