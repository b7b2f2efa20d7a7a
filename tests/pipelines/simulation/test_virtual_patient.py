"""A virtual patient is a body with a heart where hearts are, and the same one each time its seed is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.simulation.anatomy import Position, Sex, axis_of, draw_anatomy
from pipelines.simulation.virtual_patient import VirtualPatient, make_patient


@pytest.fixture(scope="module")
def man() -> VirtualPatient:
    return make_patient(7, sex=Sex.MALE, defects=())


def test_the_same_seed_is_the_same_patient(man: VirtualPatient) -> None:
    again = make_patient(7, sex=Sex.MALE, defects=())
    assert again.activity.values.tobytes() == man.activity.values.tobytes()
    assert again.mu_map.values.tobytes() == man.mu_map.values.tobytes()
    assert again.truth == man.truth


def test_another_seed_is_another_patient(man: VirtualPatient) -> None:
    assert make_patient(8, sex=Sex.MALE, defects=()).truth != man.truth


def test_the_heart_lies_left_and_in_front_and_its_apex_points_left_forward_and_down() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        anatomy = draw_anatomy(rng, Sex.FEMALE if seed % 2 else Sex.MALE, Position.SUPINE)
        x, y, _ = anatomy.pose.center
        along, lateral, anterior = axis_of(anatomy.pose)
        assert x > 5
        assert y < 10
        assert along[0] > 0
        assert along[1] < 0
        assert along[2] < 0
        assert lateral[0] > 0  # the lateral wall faces the patient's left
        assert anterior[2] > 0
        np.testing.assert_allclose(np.cross(anterior, along), lateral, atol=1e-12)


def test_the_beating_adds_and_takes_the_same_over_the_cycle(man: VirtualPatient) -> None:
    np.testing.assert_allclose(sum(man.gates), 0.0, atol=1e-9)
