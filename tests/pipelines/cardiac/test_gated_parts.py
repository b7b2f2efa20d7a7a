"""The parts of the gated measuring: a beat's harmonics, a shell's volumes, a shell's picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.cardiac.gated_beat import Beat
from pipelines.cardiac.gated_fit import WallFit
from pipelines.cardiac.gated_match import look_at, matched_shells
from pipelines.cardiac.gated_shell import Shell, ShellImage
from pipelines.cardiac.heart_frame import Spheroid
from pipelines.geometry import VoxelGrid
from tests.pipelines.cardiac.hearts import blurred, places_of

FRAME = Spheroid((0.0, 0.0, 0.0), (0.0, -1.0, 0.0), 24.0, 42.0)
DIASTOLE, SYSTOLE = Shell(0.0, 26.0, 44.0, -28.0, 5.0), Shell(3.0, 21.0, 41.0, -22.0, 6.5)


def test_gates_that_average_over_their_time_give_back_the_whole_swing() -> None:
    gates = 8
    fine = (np.arange(gates * 500) + 0.5) / (gates * 500) - 0.5 / gates  # moment 0 is the middle of gate 0
    curve = 100.0 + 40.0 * np.cos(2 * np.pi * fine) + 5.0 * np.sin(4 * np.pi * fine)
    shown = curve.reshape(gates, 500).mean(axis=1)[:, None]
    beat = Beat.fitted(shown, np.ones(gates), 2)
    assert beat.by_gate() == pytest.approx(shown)
    assert beat.at_moments().max() == pytest.approx(curve.max(), abs=0.05)
    assert beat.at_moments().max() > shown.max() + 0.5


def test_a_gate_without_weight_is_bridged_by_the_others() -> None:
    phases = np.arange(8) / 8
    true = 80.0 + 30.0 * np.cos(2 * np.pi * phases)
    broken = true.copy()
    broken[5] = np.nan
    weights = np.ones(8)
    weights[5] = 0.0
    assert Beat.fitted(broken[:, None], weights, 2).by_gate()[:, 0] == pytest.approx(true)


def test_four_gates_tell_one_harmonic_and_no_more() -> None:
    assert Beat.fitted(np.array([[4.0], [2.0], [1.0], [3.0]]), np.ones(4), 2).coefficients.shape == (3, 1)


def test_a_shells_volumes_are_those_of_cut_spheroids() -> None:
    half_ball = Shell(0.0, 30.0, 30.0, 0.0, 0.0)
    assert half_ball.cavity_ml == pytest.approx(2 / 3 * math.pi * 27.0)
    thicker = SYSTOLE.with_wall(DIASTOLE.wall_ml)
    assert thicker.wall_ml == pytest.approx(DIASTOLE.wall_ml, rel=1e-4)
    assert thicker.half_wall > DIASTOLE.half_wall


def test_a_shells_picture_is_its_wall_blurred_in_three_dimensions() -> None:
    grid = VoxelGrid.axial((64, 96, 64), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    places = places_of(grid)
    radius, along = np.hypot(places[..., 0], places[..., 2]), -places[..., 1] - SYSTOLE.middle
    inside = [np.hypot(radius / width, along / length) for width, length in (SYSTOLE.edge(1.0), SYSTOLE.edge(-1.0))]
    wall = ((inside[0] < 1.0) & (inside[1] > 1.0) & (along > SYSTOLE.valve_plane - SYSTOLE.middle)).astype(float)
    straight = blurred(wall, grid, 7.0 * 2.3548)
    assert np.abs(ShellImage(SYSTOLE, 7.0, FRAME).linear(places) - straight).max() < 0.03


def test_shells_are_found_again_from_their_pictures() -> None:
    shells = (DIASTOLE, SYSTOLE.with_wall(DIASTOLE.wall_ml))
    start = WallFit(np.array([0.0, FRAME.half_width, FRAME.half_length]), np.zeros(2), 0.0)
    looks = [look_at(ShellImage(shell, 7.0, FRAME), FRAME, start) for shell in shells]
    wanted = np.array([look.values for look in looks])
    found, blur = matched_shells(wanted, float(np.mean([look.blur for look in looks])), DIASTOLE.half_wall, FRAME)
    assert blur == pytest.approx(7.0, abs=0.3)
    for one, true in zip(found, shells, strict=True):
        assert one.cavity_ml == pytest.approx(true.cavity_ml, rel=0.04)
        assert one.half_wall == pytest.approx(true.half_wall, abs=0.3)
