"""The left ventricle keeps its muscle while it beats, and is as large and as round as hearts are."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.simulation.anatomy import Sex, draw_cycle
from pipelines.simulation.left_ventricle import CardiacCycle, Shape, emptying

NORMAL = CardiacCycle(Shape(half_width=24.0, half_length=51.0, cut=0.62, wall=9.5), 0.62)


def test_the_volumes_are_those_of_the_body_they_describe() -> None:
    shape = NORMAL.end_diastole
    step = 0.5
    t = np.arange(shape.base_mm + step / 2, shape.outer_half_length, step)
    across = np.arange(-40.0, 40.0, step) + step / 2
    squared = across[:, None] ** 2 + across[None, :] ** 2
    cavity = sum((squared < shape.half_width**2 * (1 - (p / shape.half_length) ** 2)).sum() for p in t)
    whole = sum((squared < shape.outer_half_width**2 * (1 - (p / shape.outer_half_length) ** 2)).sum() for p in t)
    assert shape.cavity_ml == pytest.approx(cavity * step**3 / 1000, rel=0.01)
    assert shape.wall_ml == pytest.approx((whole - cavity) * step**3 / 1000, rel=0.01)


def test_the_wall_keeps_its_volume_in_every_gate_and_thickens_as_the_cavity_empties() -> None:
    gates = NORMAL.gates(8)
    np.testing.assert_allclose([gate.wall_ml for gate in gates], NORMAL.end_diastole.wall_ml, rtol=1e-9)
    thickest = max(gates, key=lambda gate: gate.wall)
    assert thickest is min(gates, key=lambda gate: gate.cavity_ml)
    assert 1.25 < NORMAL.end_systole.wall / NORMAL.end_diastole.wall < 1.75


def test_the_ejection_fraction_is_the_share_of_the_cavity_that_leaves() -> None:
    left = 1.0 - NORMAL.end_systole.cavity_ml / NORMAL.end_diastole.cavity_ml
    assert left == pytest.approx(0.62, abs=1e-9)


def test_eight_gates_see_a_little_less_of_it() -> None:
    volumes = [gate.cavity_ml for gate in NORMAL.gates(8)]
    seen = (max(volumes) - min(volumes)) / max(volumes)
    assert 0.02 < 0.62 - seen < 0.08


def test_systole_ends_in_the_third_or_fourth_of_eight_gates() -> None:
    for seed in range(20):
        cycle = draw_cycle(np.random.default_rng(seed), Sex.MALE)
        assert int(np.argmin([gate.cavity_ml for gate in cycle.gates(8)])) in (2, 3)


def test_the_cycle_begins_and_ends_full() -> None:
    assert emptying(np.array([0.0, 0.36, 1.0])) == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)


@pytest.mark.parametrize(("sex", "smallest", "largest"), [(Sex.FEMALE, 35, 125), (Sex.MALE, 50, 175)])
def test_normal_hearts_lie_within_published_ranges(sex: Sex, smallest: float, largest: float) -> None:
    cycles = [draw_cycle(np.random.default_rng(seed), sex, failing=False) for seed in range(300)]
    ends = [cycle.end_diastole for cycle in cycles]
    volumes = [end.cavity_ml for end in ends]
    assert min(volumes) > smallest
    assert max(volumes) < largest
    assert np.mean([end.shape_index for end in ends]) == pytest.approx(0.60, abs=0.06)
    assert np.mean([end.eccentricity for end in ends]) == pytest.approx(0.85, abs=0.03)
    assert np.mean([cycle.end_systole.shape_index for cycle in cycles]) == pytest.approx(0.47, abs=0.07)
    fractions = [cycle.ejection_fraction for cycle in cycles]
    assert 0.58 < np.mean(fractions) < 0.70
    assert all(70 < end.wall_ml < 190 for end in ends)


def test_failing_hearts_are_wide_round_and_weak() -> None:
    cycles = [draw_cycle(np.random.default_rng(seed), Sex.MALE, failing=True) for seed in range(200)]
    assert np.mean([cycle.end_diastole.shape_index for cycle in cycles]) == pytest.approx(0.66, abs=0.06)
    assert all(cycle.ejection_fraction < 0.45 for cycle in cycles)
