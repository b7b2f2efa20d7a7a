"""Views stand beside the views that were taken next to them, wherever they were stored."""

from __future__ import annotations

import numpy as np

from pipelines.neighbors import neighbor_views


def test_at_the_ends_of_a_half_orbit_the_last_view_stands_in() -> None:
    beside = neighbor_views([225.0 - 6.0 * view for view in range(30)])
    assert beside[0].tolist() == [2, 1, 0, 0, 0]
    assert beside[15].tolist() == [17, 16, 15, 14, 13]
    assert beside[29].tolist() == [29, 29, 29, 28, 27]


def test_a_full_orbit_goes_round() -> None:
    beside = neighbor_views([3.0 * view for view in range(120)])
    assert beside[0].tolist() == [118, 119, 0, 1, 2]
    assert beside[119].tolist() == [117, 118, 119, 0, 1]


def test_two_heads_stored_one_after_the_other_are_one_orbit() -> None:
    first, second = [6.0 * view for view in range(15)], [90.0 + 6.0 * view for view in range(15)]
    beside = neighbor_views(second + first)
    assert beside[0].tolist() == [28, 29, 0, 1, 2]  # the second head begins where the first one ended


def test_two_arcs_that_are_far_apart_stay_apart() -> None:
    beside = neighbor_views([0.0, 6.0, 12.0, 180.0, 186.0, 192.0])
    assert beside[2].tolist() == [0, 1, 2, 2, 2]
    assert beside[3].tolist() == [3, 3, 3, 4, 5]


def test_the_order_of_storage_changes_nothing() -> None:
    angles = np.array([(240.0 + 5.625 * view) % 360.0 for view in range(32)])
    order = np.random.default_rng(3).permutation(32)
    assert np.array_equal(order[neighbor_views(angles[order].tolist())], neighbor_views(angles.tolist())[order])


def test_a_single_view_is_its_own_neighbor() -> None:
    assert neighbor_views([90.0]).tolist() == [[0, 0, 0, 0, 0]]
