"""A map that lies otherwise than the emission is laid over it, the same way every time, and told how well it fits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipelines.images import UnsuitableAcquisition, Volume
from pipelines.networks.mu_map_grid import posed
from pipelines.reconstruction.emission_images import emission_images
from pipelines.registration.rigid import Registration, register
from tests.pipelines.chests import MIDDLE_MM, a_mu_map, projections

HEART_MM = np.array([42.0, -28.0, 6.0, 1.0])


@cache
def emission() -> Volume:
    return emission_images(projections()).levels[-1]


@pytest.mark.parametrize("shift_mm", [(0.0, 0.0, 0.0), (10.0, -7.0, 12.0), (-6.0, 4.0, -14.0)])
def test_a_shifted_patient_is_found_within_3_mm(shift_mm: tuple[float, float, float]) -> None:
    found = register(a_mu_map(shift_mm), emission())
    assert np.linalg.norm(np.add(found.shift_mm, shift_mm)) < 3.0
    assert found.turned_deg < 2.0
    assert found.agreement_after > 0.9
    assert found.agreement_after > found.agreement_before - 0.02


def test_a_turned_patient_is_turned_back() -> None:
    whole = a_mu_map()
    turned = replace(whole, grid=posed(whole.grid, (0.0, 0.0, 6.0), (0.0, 0.0, 0.0)))
    found = register(turned, emission())
    assert found.turn_deg == pytest.approx((0.0, 0.0, -6.0), abs=2.5)
    where = (turned.grid.matrix @ np.linalg.solve(whole.grid.matrix, HEART_MM))[:3]
    again = found.apply(turned).grid.matrix @ np.linalg.solve(turned.grid.matrix, [*where, 1.0])
    assert np.linalg.norm(again[:3] - HEART_MM[:3]) < 4.0


def test_the_same_images_give_the_same_motion() -> None:
    moved = a_mu_map((10.0, -7.0, 12.0))
    assert register(moved, emission()) == register(moved, emission())


def test_a_map_of_another_frame_of_reference_starts_from_the_middle_of_the_bodies() -> None:
    far = a_mu_map()
    grid = posed(far.grid, (0.0, 0.0, 0.0), (300.0, -200.0, 15.0))
    found = register(replace(far, grid=grid), emission(), same_frame=False)
    assert np.linalg.norm(np.add(found.shift_mm, (300.0, -200.0, 15.0))[:2]) < 3.0
    assert found.agreement_before == 0.0
    assert found.agreement_after > 0.9


def test_a_map_that_shows_nothing_of_the_patient_is_refused_with_the_reason() -> None:
    far = a_mu_map()
    away = replace(far, grid=posed(far.grid, (0.0, 0.0, 0.0), (0.0, 0.0, 900.0)))
    with pytest.raises(UnsuitableAcquisition, match="it shows 0 % of what the reconstruction shows"):
        register(away, emission())
    empty = replace(far, values=np.zeros_like(far.values))
    with pytest.raises(UnsuitableAcquisition, match="the attenuation map shows no body"):
        register(empty, emission(), same_frame=False)


def test_a_motion_turns_about_its_center_and_then_shifts() -> None:
    motion = Registration((1.0, 2.0, 3.0), (0.0, 0.0, 90.0), MIDDLE_MM, 1.0, 1.0)
    start = a_mu_map()
    moved = motion.apply(start)
    assert np.array_equal(moved.values, start.values)
    place = np.linalg.solve(start.grid.matrix, [MIDDLE_MM[0] + 10.0, MIDDLE_MM[1], MIDDLE_MM[2], 1.0])
    expected = np.add(MIDDLE_MM, (1.0, 12.0, 3.0))
    assert (moved.grid.matrix @ place)[:3] == pytest.approx(expected)
    assert motion.moved_mm == pytest.approx(np.sqrt(14.0))
