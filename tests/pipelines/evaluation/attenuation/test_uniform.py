"""Correction where nobody knows the attenuation: the contour in the emission, one coefficient in it, Chang."""

from __future__ import annotations

import numpy as np

from pipelines.evaluation.attenuation.uniform import UNIFORM_PER_CM, body_contour, chang, uniform_map
from pipelines.images import Unit, Volume
from pipelines.reconstruction.reconstruct import natural_grid
from tests.pipelines.training.maps import geometry, tissues


def an_emission() -> tuple[Volume, np.ndarray]:
    grid = natural_grid(geometry())
    mu, activity = tissues(grid, 3, table=False)
    return Volume(activity.astype(np.float32), grid, Unit.PROPORTIONAL_COUNTS), mu > 0.02


def test_the_contour_is_the_body_with_its_lungs() -> None:
    emission, body = an_emission()
    found = body_contour(emission)
    assert 2 * (found & body).sum() / (found.sum() + body.sum()) > 0.9


def test_the_map_has_one_coefficient_in_the_body_and_none_outside() -> None:
    emission, _ = an_emission()
    found = uniform_map(emission)
    assert set(np.unique(found.values)) == {np.float32(0.0), np.float32(UNIFORM_PER_CM)}
    assert (found.unit, found.grid) == (Unit.PER_CM, emission.grid)


def test_a_slice_without_counts_has_no_body() -> None:
    emission, _ = an_emission()
    values = emission.values.copy()
    values[:4] = 0.0
    assert not body_contour(Volume(values, emission.grid, emission.unit))[0].any()


def test_chang_gives_deep_places_more_than_the_skin_and_leaves_air_alone() -> None:
    emission, _ = an_emission()
    even = Volume(np.ones_like(emission.values), emission.grid, emission.unit)
    factors = chang(even, uniform_map(emission)).values
    middle = factors.shape[0] // 2, factors.shape[1] // 2, factors.shape[2] // 2
    assert factors[middle] > 2.0
    assert factors.min() >= 0.99
    air = Volume(np.zeros_like(emission.values), emission.grid, Unit.PER_CM)
    np.testing.assert_allclose(chang(emission, air).values, emission.values, rtol=1e-5)
