"""The truth about perfusion: 17 segments that tile the wall, and defects that lie where they were put."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.simulation.left_ventricle import Shape
from pipelines.simulation.uptake import (
    TERRITORIES,
    Defect,
    WallUptake,
    draw_uptake,
    middle_of,
    perfusion_truth,
    segment_of,
)

SHAPE = Shape(half_width=24.0, half_length=51.0, cut=0.62, wall=9.5)


def wall(*defects: Defect) -> WallUptake:
    return WallUptake(1.0, 1.0, (), defects)


def patch(segment: int, severity: float = 0.8, reversible: float = 0.0, depth: float = 1.0) -> Defect:
    x, y, z = (float(value) for value in middle_of(segment, SHAPE.cut))
    return Defect((x, y, z), 25.0, 25.0, severity, reversible, depth)


@pytest.mark.parametrize("segment", range(1, 18))
def test_the_middle_of_a_segment_lies_in_it(segment: int) -> None:
    along, lateral, anterior = middle_of(segment, SHAPE.cut)
    angle = np.degrees(np.arctan2(anterior, lateral))
    assert int(segment_of(np.array(along), np.array(angle), SHAPE.cut)) == segment


def test_the_territories_hold_every_segment_once() -> None:
    assert sorted(segment for segments in TERRITORIES.values() for segment in segments) == list(range(1, 18))


def test_a_normal_wall_has_nothing_to_report() -> None:
    truth = perfusion_truth(draw_uptake(np.random.default_rng(1), ()), SHAPE, at_rest=False)
    assert set(truth.segments_percent) == {100.0}
    assert (truth.tpd_percent, truth.extent_percent, truth.summed_score) == (0.0, 0.0, 0)


@pytest.mark.parametrize("segment", range(1, 18))
def test_a_defect_hits_its_own_segment_hardest(segment: int) -> None:
    truth = perfusion_truth(wall(patch(segment)), SHAPE, at_rest=False)
    assert int(np.argmin(truth.segments_percent)) + 1 == segment
    assert truth.segments_percent[segment - 1] < 60


def test_a_wider_or_deeper_loss_is_a_larger_deficit() -> None:
    severities = [perfusion_truth(wall(patch(8, severity)), SHAPE, False).tpd_percent for severity in (0.2, 0.5, 0.9)]
    depths = [perfusion_truth(wall(patch(8, depth=depth)), SHAPE, False).tpd_percent for depth in (0.3, 0.6, 1.0)]
    assert severities == sorted(severities)
    assert severities[0] < severities[2]
    assert depths == sorted(depths)
    assert depths[0] < depths[2]


def test_ischaemia_fades_at_rest_and_a_scar_stays() -> None:
    ischaemia, scar = wall(patch(10, reversible=1.0)), wall(patch(10))
    assert perfusion_truth(ischaemia, SHAPE, at_rest=False).tpd_percent > 1
    assert perfusion_truth(ischaemia, SHAPE, at_rest=True).tpd_percent == 0
    assert perfusion_truth(scar, SHAPE, at_rest=True) == perfusion_truth(scar, SHAPE, at_rest=False)


def test_the_normal_wall_is_brightest_laterally_and_thins_at_the_apex() -> None:
    uptake = WallUptake(septal=0.92, apical=0.90)
    places = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    lateral, septal, apex = uptake.at(places, 0.5, at_rest=False)
    assert lateral == pytest.approx(1.0, abs=0.01)
    assert septal == pytest.approx(0.92, abs=0.01)
    assert apex < 0.93 * lateral
