"""The gates of a denoised study keep the beat, add up to the whole, and are less noisy than they were measured."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.neighbors import neighbor_views
from pipelines.networks.gates import HARMONICS, beat, difference, gates_of

Float = NDArray[np.float64]
GATES, VIEWS, PIXELS = 8, 12, 48
PIXEL_MM = (6.8, 6.8)
NEIGHBORS = neighbor_views([6.0 * view for view in range(VIEWS)])


def beating_heart(counts: float = 20.0) -> Float:
    """Return the expected counts `[gate, view, row, column]` of a ring that narrows and brightens at mid-beat."""
    phase = 2.0 * np.pi * np.arange(GATES) / GATES
    row, column = np.mgrid[:PIXELS, :PIXELS] - PIXELS / 2
    radius = np.hypot(row, column)
    rings = [np.exp(-0.5 * ((radius - 6.0 - 1.5 * np.cos(one)) / 1.8) ** 2) for one in phase]
    ring = np.array([one / one.sum() for one in rings]) * 200.0
    return np.repeat(counts * (0.2 + ring)[:, None], VIEWS, axis=1)


def beat_kept(gates: Float, truth: Float) -> float:
    """Return the share of the true beat in gates."""
    true = difference(truth)
    return float((difference(gates) * true).sum() / (true**2).sum())


def test_the_beat_is_kept_where_every_gate_alone_is_noise() -> None:
    truth = beating_heart(counts=2.0)
    counts = np.random.default_rng(0).poisson(truth).astype(np.float32)
    gates = gates_of(truth.sum(axis=0).astype(np.float32), counts, NEIGHBORS, PIXEL_MM)
    assert beat_kept(gates, truth) == pytest.approx(1.0, abs=0.1)


def test_most_of_the_noise_of_a_gate_is_gone() -> None:
    truth = beating_heart()
    counts = np.random.default_rng(0).poisson(truth).astype(np.float32)
    gates = gates_of(truth.sum(axis=0).astype(np.float32), counts, NEIGHBORS, PIXEL_MM)
    assert float(np.std(gates - truth)) < 0.4 * float(np.std(counts - truth))


def test_gates_add_up_to_the_whole_and_none_is_negative() -> None:
    truth = beating_heart(counts=0.3)  # few counts: many pixels of many gates end at zero
    counts = np.random.default_rng(1).poisson(truth).astype(np.float32)
    whole = truth.sum(axis=0).astype(np.float32)
    gates = gates_of(whole, counts, NEIGHBORS, PIXEL_MM)
    assert np.allclose(gates.sum(axis=0), whole, rtol=1e-4)
    assert float(gates.min()) == 0.0


def test_a_gate_that_was_open_for_a_shorter_time_has_its_share() -> None:
    still = np.full((GATES, VIEWS, PIXELS, PIXELS), 10.0, dtype=np.float32)
    still[-1] /= 2
    gates = gates_of(still.sum(axis=0), still, NEIGHBORS, PIXEL_MM)
    assert np.allclose(gates, still, rtol=1e-4)
    assert np.allclose(beat(still, NEIGHBORS, PIXEL_MM), 0.0, atol=1e-4)


def test_an_ungated_study_is_its_own_only_gate() -> None:
    whole = beating_heart().sum(axis=0).astype(np.float32)
    assert np.array_equal(gates_of(whole, whole[None], NEIGHBORS, PIXEL_MM)[0], whole)


def test_the_difference_of_the_gates_adds_up_to_nothing() -> None:
    counts = np.random.default_rng(2).poisson(beating_heart()).astype(np.float32)
    assert np.allclose(difference(counts).sum(axis=0), 0.0, atol=1e-6)
    assert np.allclose(beat(counts, NEIGHBORS, PIXEL_MM).sum(axis=0), 0.0, atol=1e-6)


@pytest.mark.parametrize(("harmonic", "kept"), [(1, True), (HARMONICS, True), (HARMONICS + 1, False)])
def test_only_the_first_harmonics_of_the_heart_rate_are_a_beat(harmonic: int, kept: bool) -> None:
    wave = np.cos(2.0 * np.pi * harmonic * np.arange(GATES) / GATES)
    ring = beating_heart()[0]
    moving = ring - ring.mean()
    found = beat(100.0 + wave[:, None, None, None] * moving, NEIGHBORS, PIXEL_MM)
    assert float(np.abs(found).max() / moving.max()) == pytest.approx(1.0 if kept else 0.0, abs=0.1)


@pytest.mark.parametrize("gates", [2, 3, 4, 16])
def test_any_number_of_gates_is_taken(gates: int) -> None:
    counts = np.random.default_rng(3).poisson(5.0, (gates, VIEWS, 9, 13)).astype(np.float32)
    whole = counts.sum(axis=0)
    assert np.allclose(gates_of(whole, counts, NEIGHBORS, PIXEL_MM).sum(axis=0), whole, rtol=1e-4)
