"""A virtual patient is a body with a heart where hearts are, and the same one each time its seed is asked for."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import CardiacState
from pipelines.geometry import VoxelGrid
from pipelines.simulation.anatomy import Position, Sex, axis_of, draw_anatomy
from pipelines.simulation.body import Activities, Thorax, paint_abdomen
from pipelines.simulation.heart import left_ventricle
from pipelines.simulation.shapes import Canvas, Deformation, Placement
from pipelines.simulation.truth import as_json
from pipelines.simulation.virtual_patient import (
    VOXEL_MM,
    VirtualPatient,
    _paint,
    breathing_positions,
    draw_body,
    make_patient,
    slide,
)

VOXEL_ML = VOXEL_MM**3 / 1000
COARSE = VoxelGrid.axial((68, 52, 80), (6.4,) * 3, (0.0, 0.0, 0.0))


def test_the_same_seed_is_the_same_patient(man: VirtualPatient) -> None:
    again = make_patient(7, sex=Sex.MALE, body_mass_index=27.0, defects=(), injected_mbq=814.0)
    assert again.activity.values.tobytes() == man.activity.values.tobytes()
    assert again.mu_map.values.tobytes() == man.mu_map.values.tobytes()
    assert [gate.tobytes() for gate in again.gates] == [gate.tobytes() for gate in man.gates]
    assert again.truth == man.truth


def test_stress_and_rest_are_the_same_body(woman: VirtualPatient) -> None:
    rest = make_patient(8, state=CardiacState.REST, sex=Sex.FEMALE, body_mass_index=26.0, defects=woman.truth.defects)
    assert rest.mu_map.values.tobytes() == woman.mu_map.values.tobytes()
    assert rest.truth.end_diastole == woman.truth.end_diastole
    assert rest.truth.state == "rest"
    assert rest.activity.values.tobytes() != woman.activity.values.tobytes()


@pytest.mark.parametrize("position", Position)
def test_the_heart_lies_left_and_in_front_and_its_apex_points_left_forward_and_down(position: Position) -> None:
    for seed in range(60):
        anatomy = draw_anatomy(np.random.default_rng(seed), Sex.FEMALE if seed % 2 else Sex.MALE, position)
        x, y, _ = anatomy.pose.center
        along, lateral, anterior = axis_of(anatomy.pose)
        assert x > 5
        assert y < 10
        assert along[0] > 0 > along[1]
        assert along[2] < 0
        assert lateral[0] > 0  # the lateral wall faces the patient's left
        assert anterior[2] > 0
        np.testing.assert_allclose(np.cross(anterior, along), lateral, atol=1e-12)


def test_the_apex_stays_inside_the_rib_cage() -> None:
    for seed in range(100):
        anatomy = draw_anatomy(np.random.default_rng(seed), Sex.FEMALE if seed % 2 else Sex.MALE, Position.PRONE)
        end, torso = anatomy.cycle.end_diastole, anatomy.torso
        reach = (1 + end.cut) / 2 * end.half_length + end.wall
        x, y, _ = np.asarray(anatomy.pose.center) + reach * axis_of(anatomy.pose)[0]
        assert abs(x / torso.cage_half[0]) ** torso.power + abs(y / torso.cage_half[1]) ** torso.power < 1


def test_the_painted_ventricle_has_the_volumes_of_the_truth(man: VirtualPatient) -> None:
    body = man.body
    canvas = Canvas(man.activity.grid, body.deformation, body.placement)
    frame = _paint(canvas, body, Activities.none()).frame
    end = body.anatomy.cycle.end_diastole
    for shape in (end, body.anatomy.cycle.end_systole):
        wall, cavity, _ = left_ventricle(frame, end, shape)
        assert wall.sum() * VOXEL_ML == pytest.approx(shape.wall_ml, rel=0.03)
        assert cavity.sum() * VOXEL_ML == pytest.approx(shape.cavity_ml, rel=0.04)


def test_the_walls_activity_sits_where_the_truth_says(man: VirtualPatient) -> None:
    grid, truth = man.activity.grid, man.truth
    whole = np.zeros(grid.shape)
    whole[man.gates_box] = man.ventricle
    index = np.array([(whole * axis).sum() / whole.sum() for axis in np.indices(grid.shape)])
    found = grid.position_mm(*(float(value) for value in index))
    along = np.subtract(truth.endocardial_apex_mm, truth.base_mm)
    offset = found - np.asarray(truth.ventricle_center_mm)
    assert np.linalg.norm(np.cross(offset, along / np.linalg.norm(along))) < 3.0  # on the long axis
    assert abs(offset @ along) / np.linalg.norm(along) < 12.0


def test_a_scar_is_dark_where_it_was_put(woman: VirtualPatient, man: VirtualPatient) -> None:
    inferior, anterior = woman.truth.perfusion.segments_percent[9], woman.truth.perfusion.segments_percent[6]
    assert inferior < 50
    assert anterior > 99
    assert woman.truth.perfusion.tpd_percent > 8
    assert man.truth.perfusion.tpd_percent == 0


def test_the_beating_adds_and_takes_the_same_over_the_cycle(man: VirtualPatient) -> None:
    np.testing.assert_allclose(sum(man.gates), 0.0, atol=1e-9)
    systole = int(np.argmin(man.truth.gate_volumes_ml))
    assert man.gate(systole).values.sum() == pytest.approx(man.activity.values.sum(), rel=0.01)


def test_tissues_attenuate_as_tables_say(man: VirtualPatient, woman: VirtualPatient) -> None:
    for patient in (man, woman):
        mu = patient.mu_map.values
        soft = mu[(mu > 0.13) & (mu < 0.175)]
        assert 0.145 < float(np.median(soft)) < 0.162
        lung = mu[(mu > 0.03) & (mu < 0.06)].size * VOXEL_ML
        assert 1500 < lung < 7000
        assert float(mu.max()) < 0.25
        assert float(mu.min()) >= 0.0
        assert mu[0].max() > 0.1  # the trunk goes on below the field of view


def test_the_liver_is_as_large_as_livers_are() -> None:
    grid = VoxelGrid.axial((80, 66, 84), (6.0,) * 3, (0.0, 0.0, -40.0))
    only_liver = replace(Activities.none(), liver=1.0)
    for seed in range(6):
        anatomy = draw_anatomy(np.random.default_rng(seed), Sex.MALE if seed % 2 else Sex.FEMALE, Position.SUPINE)
        canvas = Canvas(grid)
        liver = paint_abdomen(canvas, anatomy, only_liver, Thorax(canvas, anatomy, only_liver).inside)
        assert 1000 < liver.activity.sum() * 0.216 < 2100


def test_the_bodys_size_follows_the_body_mass_index() -> None:
    def area(index: float) -> float:
        return float((draw_body(3, Sex.MALE, Position.SUPINE, index).mu_per_cm(COARSE)[32] > 0.1).mean())

    assert area(38.0) > 1.25 * area(21.0)


def test_prone_patients_have_no_table_before_them() -> None:
    supine, prone = (draw_body(3, Sex.MALE, lies).mu_per_cm(COARSE)[32] for lies in (Position.SUPINE, Position.PRONE))
    side = slice(0, 12)  # of the table, beside the body
    assert (supine[:, side] > 0.005).any()
    assert not (prone[:, side] > 0.005).any()


def test_the_truth_is_plain_json(woman: VirtualPatient) -> None:
    written = json.loads(json.dumps(as_json(woman.truth)))
    assert written["sex"] == "F"
    assert len(written["perfusion"]["segments_percent"]) == 17
    assert written["defects"][0]["severity"] == 0.8
    assert len(written["gate_volumes_ml"]) == 8


def test_breathing_leaves_the_mean_place_and_spends_longest_near_its_top() -> None:
    positions = breathing_positions(10.0)
    assert positions.mean() == pytest.approx(0.0)
    assert positions.max() - np.median(positions) < np.median(positions) - positions.min()
    assert 5 < np.ptp(positions) <= 10


def test_sliding_keeps_what_is_inside() -> None:
    values = np.zeros((12, 1, 1))
    values[5:7] = 1.0
    moved = slide(values, 1.5)
    assert moved.sum() == pytest.approx(2.0)
    assert moved[6:9, 0, 0] == pytest.approx([0.5, 1.0, 0.5])


def test_a_deformation_leaves_its_fixed_place_and_stays_small(man: VirtualPatient) -> None:
    fixed = (30.0, -20.0, 10.0)
    wave = Deformation.draw(np.random.default_rng(2), 8.0, fixed)
    canvas = Canvas(man.activity.grid, wave)
    moved = [np.abs(canvas.x - canvas.straight[0]), np.abs(canvas.y - canvas.straight[1])]
    near = man.activity.grid.index_of(fixed).round().astype(int)
    assert all(float(axis[tuple(near)]) < 0.5 for axis in moved)
    assert all(1.0 < float(axis.max()) < 30.0 for axis in moved)


def test_a_placement_turns_and_shifts() -> None:
    turned = Placement((1.0, 2.0, 3.0), (0.0, 0.0, 90.0))
    assert turned.to_grid((10.0, 0.0, 0.0)) == pytest.approx((1.0, 12.0, 3.0))
