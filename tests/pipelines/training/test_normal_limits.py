"""Normal limits are made of normal hearts alone, of the right ones, and of enough."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipelines.cardiac.limits_library import LimitsKey, LimitsSex, LimitsState
from pipelines.contract import CardiacState
from pipelines.images import Volume
from pipelines.simulation.anatomy import Position, Sex
from pipelines.training.normal_limits import limits_of_site, normal_maps, our_limits
from pipelines.training.normal_volumes import plan_normals, read_normal
from tests.pipelines.cardiac.hearts import NEAR_GRID, Heart, seen


def a_site(number: int) -> list[Volume]:
    """Return volumes of hearts that differ a little in size."""
    return [
        seen(Heart(half_width=25.0 + 0.3 * index, half_length=46.0 + 0.5 * index), NEAR_GRID) for index in range(number)
    ]


def test_a_site_makes_limits_of_its_own_volumes() -> None:
    limits = limits_of_site("women of this town, stress", "our own way", a_site(8))
    assert (limits.population, limits.number, limits.reconstruction) == ("women of this town, stress", 8, "our own way")
    assert float(limits.mean[6:18].std()) < 5.0  # these walls are even


def test_volumes_without_a_heart_are_told_and_do_not_count() -> None:
    found = normal_maps([*a_site(1), seen(None, NEAR_GRID)])
    assert len(found.maps) == 1
    assert "no left ventricle found" in found.refusals[0]
    with pytest.raises(ValueError, match="1 normal hearts are too few"):
        limits_of_site("few", "any way", [*a_site(1), seen(None, NEAR_GRID)])


def test_the_plan_gives_each_group_as_many_patients_all_cameras_and_some_prone() -> None:
    plans = plan_normals(per_group=12)
    assert set(Counter((plan.sex, plan.state) for plan in plans).values()) == {12}
    assert set(Counter((plan.sex, plan.camera) for plan in plans).values()) == {8}
    assert sum(plan.position is Position.PRONE for plan in plans) == 12
    assert len({plan.seed for plan in plans}) == len(plans)


def test_limits_are_made_of_the_patients_to_whom_they_apply(tmp_path: Path) -> None:
    plans = plan_normals(per_group=8)
    for number, plan in enumerate(plan for plan in plans if (plan.sex, plan.state) == (Sex.MALE, CardiacState.REST)):
        volume = a_site(2)[number % 2]
        np.savez(tmp_path / plan.file_name, plain=volume.values, corrected=volume.values, affine=volume.grid.matrix)
        again, _ = read_normal(tmp_path / plan.file_name)
        np.testing.assert_array_equal(again.values, volume.values)
        assert again.grid == volume.grid
    limits = our_limits(LimitsKey(LimitsSex.MEN, LimitsState.REST, corrected=True), plans, tmp_path)
    assert limits.number == 8
    assert limits.population.startswith("men, rest, corrected for attenuation; virtual patients")
    assert "true mu-map" in limits.reconstruction
