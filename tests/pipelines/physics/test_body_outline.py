"""The body is found in a map with its lungs and without its table, and in an emission in spite of noise outside."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.physics.body_outline import body_in_emission, body_in_map, dice, seen_slices, typical_activity

GRID = VoxelGrid.axial((8, 40, 40), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0))
Y, X = np.indices((40, 40)) - 19.5
BODY = np.broadcast_to((X / 15) ** 2 + (Y / 11) ** 2 < 1, GRID.shape)
LUNGS = np.broadcast_to(((np.abs(X) - 7) / 4) ** 2 + (Y / 7) ** 2 < 1, GRID.shape)


def test_lungs_belong_to_the_body_and_the_table_does_not() -> None:
    mu = np.where(BODY, 0.15, 0.0)
    mu[LUNGS] = 0.045
    mu[:, 34:36, 5:35] = 0.06
    found = body_in_map(Volume(mu.astype(np.float32), GRID, Unit.PER_CM))
    assert dice(found, BODY) > 0.97
    assert not found[:, 34:].any()


def test_a_hot_organ_and_noise_outside_do_not_move_the_outline() -> None:
    rng = np.random.default_rng(1)
    activity = np.where(BODY, rng.gamma(4.0, 0.25, GRID.shape), rng.gamma(0.2, 0.25, GRID.shape))
    activity[:, 20:24, 10:14] = 25.0
    found = body_in_emission(Volume(activity.astype(np.float32), GRID, Unit.PROPORTIONAL_COUNTS))
    assert dice(found, BODY) > 0.94


def test_the_outermost_slices_that_the_camera_sees_are_left_out() -> None:
    activity = np.where(BODY, 1.0, 0.0)
    activity[:2] = 0.0
    seen = seen_slices(Volume(activity.astype(np.float32), GRID, Unit.PROPORTIONAL_COUNTS))
    assert seen.tolist() == [False, False, False, True, True, True, True, False]


def test_an_empty_image_has_no_slices_no_body_and_raises_nothing() -> None:
    empty = Volume(np.zeros(GRID.shape, dtype=np.float32), GRID, Unit.PROPORTIONAL_COUNTS)
    assert not seen_slices(empty).any()
    assert not body_in_emission(empty).any()


def test_the_typical_activity_is_neither_the_hot_nor_the_empty_voxels() -> None:
    values = np.concatenate([np.full(100, 2.0), np.full(10, 90.0), np.full(300, 0.01)]).astype(np.float32)
    assert typical_activity(values) == pytest.approx(2.0)
    assert typical_activity(np.zeros(5, dtype=np.float32)) == 0.0


def test_two_empty_masks_have_no_agreement() -> None:
    assert np.isnan(dice(~BODY & BODY, ~BODY & BODY))
    assert dice(BODY, BODY) == 1.0
