"""A cohort of virtual pairs: cameras are dealt out, parts are the plan's, and a file that is there is left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.images import Unit, Volume
from pipelines.physics.table import find_table
from pipelines.training.mu_map_cohort import MIX, orders, write_virtual_pair
from pipelines.training.mu_map_data import PairMaker, read_pair, write_pair
from tests.pipelines.training.maps import a_pair


def test_orders_follow_the_papers_cohort_and_deal_out_the_cameras(tmp_path: Path) -> None:
    wanted = orders(tmp_path, 3, scans=30, patients=20, cameras=MIX, misregistered=False)
    assert [order.camera for order in wanted[: len(MIX)]] == list(MIX)
    assert len({order.path for order in wanted}) == 30
    assert len({order.plan.patient for order in wanted}) == 20
    assert {order.plan.split.value for order in wanted} == {"train", "validation", "test"}


def test_a_virtual_patient_becomes_a_pair_with_heart_and_table(tmp_path: Path) -> None:
    (order,) = orders(tmp_path, 3, scans=1, patients=1, cameras=("prospect",), misregistered=False)
    pair = read_pair(write_virtual_pair(order))
    assert pair.patient == f"VIRTUAL-{order.plan.patient:08d}"
    assert pair.part == order.plan.split.value
    assert pair.levels.shape == (2, 3, 64, 64, 64)
    assert pair.scatter is None  # this camera has one window
    liters = float(pair.wall.astype(np.float64).sum()) * np.prod(pair.map_grid.voxel_mm) / 1e6
    assert 0.05 < liters < 0.4
    mu = Volume(pair.mu_per_cm.astype(np.float32), pair.map_grid, Unit.PER_CM)
    assert find_table(mu).mu_per_cm.any()
    image = Volume(pair.levels[0, 1].astype(np.float32), pair.grid, Unit.PROPORTIONAL_COUNTS)
    found, known = PairMaker().of_reconstruction(image, mu, "the same").wall > 0.5, pair.wall > 0.3
    # the heart is where it is said to be: a wall that is looked for in the image is the same one
    assert 2.0 * (found & known).sum() / (found.sum() + known.sum()) > 0.7


def test_a_pair_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (order,) = orders(tmp_path, 3, scans=1, patients=1, cameras=("symbia",), misregistered=True)
    write_pair(order.path, a_pair(0))
    assert read_pair(write_virtual_pair(order)).digest == a_pair(0).digest
