"""Analytic hearts that beat, with known volumes, and a virtual patient: what is measured comes near what is true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipelines.cardiac.gated_function import GatedFunction, gated_function
from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.left_ventricle import find_left_ventricle
from pipelines.geometry import VoxelGrid
from pipelines.images import Volume
from pipelines.simulation.acquisition import acquire
from pipelines.simulation.anatomy import Sex
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.virtual_patient import make_patient
from tests.accuracy.heart_gated import gated_volumes
from tests.pipelines.cardiac.hearts import Heart, seen

GRID = VoxelGrid.axial((36, 36, 36), (6.4, 6.4, 6.4), (45.0, -30.0, 10.0))
REST = Heart(wall=10.0)
APEX = REST.half_length + REST.wall / 2


def cavity_ml(heart: Heart) -> float:
    width, length = heart.half_width - heart.wall / 2, heart.half_length - heart.wall / 2
    height = length - heart.base - (length**3 - heart.base**3) / (3 * length**2)
    return math.pi * width**2 * height / 1000.0


def contracted(share: float) -> Heart:
    """Return the heart with this share of a usual beat done; its apex stays where it is."""
    width, length = REST.half_width - 5.5 * share, REST.half_length - 4.0 * share
    wall = REST.wall + 4.0 * share
    middle = np.asarray(REST.middle) + (APEX - length - wall / 2) * REST.axis
    return replace(
        REST,
        middle=(float(middle[0]), float(middle[1]), float(middle[2])),
        half_width=width,
        half_length=length,
        wall=wall,
        base=REST.base + 5.0 * share,
    )


@cache
def beat(gates: int = 8, strength: float = 1.0) -> tuple[tuple[Volume, ...], tuple[float, ...]]:
    """Return the images of a beat and the true volumes; the heart is smallest after 3/8 of it."""
    phases = (np.arange(gates) + 0.5) / gates
    shares = strength * (0.5 + 0.5 * np.cos(2 * np.pi * (phases - 3.5 / 8)))
    hearts = [contracted(float(share)) for share in shares]
    return tuple(seen(heart, GRID) for heart in hearts), tuple(cavity_ml(heart) for heart in hearts)


def summed(gates: Sequence[Volume]) -> Volume:
    return replace(gates[0], values=np.sum([gate.values for gate in gates], axis=0, dtype=np.float32))


def measured(gates: Sequence[Volume]) -> GatedFunction:
    return gated_function(gates, find_left_ventricle(summed(gates)))


@cache
def whole(gates: int = 8) -> GatedFunction:
    return measured(beat(gates)[0])


def dimmed(gate: Volume, share: float) -> Volume:
    return replace(gate, values=(share * gate.values).astype(np.float32))


def assert_finite(found: GatedFunction) -> None:
    numbers = (*found.volumes_ml, found.edv_ml, found.esv_ml, found.ejection_fraction_percent, found.wall_ml)
    assert np.all(np.isfinite([*numbers, *found.thickening_percent]))
    assert np.all(np.isfinite(found.thickening_map))


def test_a_beating_shells_volumes_and_ejection_fraction_are_measured() -> None:
    _, volumes = beat()
    found = whole()
    largest, smallest = max(volumes), min(volumes)
    assert found.edv_ml == pytest.approx(largest, rel=0.1)
    assert found.esv_ml == pytest.approx(smallest, rel=0.15, abs=3.0)
    assert found.ejection_fraction_percent == pytest.approx(100 * (1 - smallest / largest), abs=5.0)
    assert found.end_systole == int(np.argmin(volumes))
    assert np.corrcoef(found.volumes_ml, volumes)[0, 1] > 0.98
    assert found.remarks == ()


def test_a_weaker_beat_has_a_smaller_ejection_fraction() -> None:
    gates, volumes = beat(strength=0.4)
    found = measured(gates)
    assert found.ejection_fraction_percent == pytest.approx(100 * (1 - min(volumes) / max(volumes)), abs=4.0)


def test_a_heart_that_stands_still_ejects_nothing_and_does_not_thicken() -> None:
    found = measured([beat(strength=0.0)[0][0]] * 8)
    assert 0.0 <= found.ejection_fraction_percent < 1.0
    assert max(map(abs, found.thickening_percent)) < 1.0


def test_the_wall_thickens_everywhere_in_a_heart_that_beats_evenly() -> None:
    thickening = whole().thickening_percent
    assert len(thickening) == 17
    assert min(thickening) > 15.0
    assert np.mean(thickening) == pytest.approx(40.0, abs=15.0)


def test_sixteen_gates_tell_the_same_as_eight() -> None:
    eight, sixteen = whole(), whole(16)
    assert len(sixteen.volumes_ml) == 16
    assert sixteen.ejection_fraction_percent == pytest.approx(eight.ejection_fraction_percent, abs=2.0)
    assert sixteen.edv_ml == pytest.approx(eight.edv_ml, rel=0.03)


def test_a_last_gate_with_a_fifth_fewer_counts_changes_nothing() -> None:
    gates, _ = beat()
    short = (*gates[:-1], dimmed(gates[-1], 0.8))
    found = measured(short)
    assert found.ejection_fraction_percent == pytest.approx(whole().ejection_fraction_percent, abs=1.0)
    assert found.thickening_percent == pytest.approx(whole().thickening_percent, abs=3.0)


def test_an_empty_gate_is_bridged_and_remarked_on() -> None:
    gates, _ = beat()
    found = measured((*gates[:-1], dimmed(gates[-1], 0.0)))
    assert found.ejection_fraction_percent == pytest.approx(whole().ejection_fraction_percent, abs=4.0)
    assert any("gate 8 of 8" in remark for remark in found.remarks)


def test_four_gates_are_enough_for_numbers_and_a_remark() -> None:
    found = measured(beat(4)[0])
    assert_finite(found)
    assert found.ejection_fraction_percent == pytest.approx(whole().ejection_fraction_percent, abs=8.0)
    assert any("only 4 gates" in remark for remark in found.remarks)


def test_gates_in_the_wrong_order_are_remarked_on() -> None:
    gates, _ = beat()
    found = measured((*gates[3:], *gates[:3]))
    assert any("check the gating" in remark for remark in found.remarks)


def test_noise_in_place_of_gates_still_gives_numbers() -> None:
    gates, _ = beat()
    rng = np.random.default_rng(5)
    noisy = [replace(g, values=rng.poisson(np.maximum(g.values, 0) / 20.0).astype(np.float32)) for g in gates]
    assert_finite(gated_function(noisy, find_left_ventricle(summed(gates))))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_than_four_gates_are_refused_with_a_sentence(count: int) -> None:
    gates, _ = beat()
    with pytest.raises(ValueError, match="at least 4 gates"):
        gated_function(gates[:count], found_once())


def test_a_study_whose_gates_are_mostly_empty_is_refused() -> None:
    gates, _ = beat()
    with pytest.raises(ValueError, match="no counts"):
        gated_function([dimmed(gate, 0.0) for gate in gates], found_once())


def test_gates_on_different_grids_are_refused() -> None:
    gates, _ = beat()
    moved = VoxelGrid.axial(GRID.shape, GRID.voxel_mm, (0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="different grids"):
        gated_function((*gates[:-1], replace(gates[-1], grid=moved)), found_once())


@cache
def found_once() -> LeftVentricle:
    return find_left_ventricle(summed(beat()[0]))


@pytest.mark.parametrize(("seed", "sex"), [(8006, Sex.MALE), (8304, Sex.MALE)], ids=["healthy", "failing"])
def test_a_virtual_patients_ejection_fraction_comes_out(seed: int, sex: Sex) -> None:
    patient = make_patient(seed, sex=sex)
    counts = acquire(patient, CAMERAS["discovery"], np.random.default_rng(2), gated=True)
    volume, gates = gated_volumes(counts)
    found = gated_function(gates, find_left_ventricle(volume))
    truth = patient.truth
    assert found.ejection_fraction_percent == pytest.approx(truth.ejection_fraction_percent, abs=12.0)
    assert found.edv_ml == pytest.approx(truth.end_diastole.cavity_ml, rel=0.25)
    assert_finite(found)
