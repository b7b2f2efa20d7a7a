"""What is coarse is as measured, what is fine is as the network drew it, and the counts stay."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.networks.coarse import with_measured_coarse

PIXEL_MM = (4.0, 4.0)
Y, X = np.mgrid[:64, :64] * 4.0


def wave(length_mm: float) -> np.ndarray:
    """Return a view of 20 counts with a wave of 10 along the rows."""
    return (20.0 + 10.0 * np.cos(2.0 * np.pi * (X - X.mean()) / length_mm))[None].astype(np.float32)


def test_coarse_structure_that_an_estimate_lacks_is_given_back() -> None:
    measured = wave(128.0)
    flat = np.full_like(measured, measured.mean())
    given_back = with_measured_coarse(flat, measured, PIXEL_MM)
    assert np.std(given_back) > 0.85 * np.std(measured)


def test_fine_structure_stays_as_it_was_estimated() -> None:
    measured = wave(16.0)
    flat = np.full_like(measured, measured.mean())
    assert np.std(with_measured_coarse(flat, measured, PIXEL_MM)) < 0.02 * np.std(measured)
    assert np.allclose(with_measured_coarse(measured, flat, PIXEL_MM), measured, rtol=0.02)


def test_a_perfect_estimate_gets_little_of_the_noise() -> None:
    true = wave(128.0)
    measured = np.random.default_rng(2).poisson(true).astype(np.float32)
    given_back = with_measured_coarse(true, measured, PIXEL_MM)
    assert np.std(given_back - true) < 0.2 * np.std(measured - true)


def test_counts_are_kept_and_nothing_is_negative() -> None:
    random = np.random.default_rng(3)
    measured = random.poisson(0.2, (5, 30, 40)).astype(np.float32)
    estimate = random.random((5, 30, 40)).astype(np.float32)
    estimate *= measured.sum(axis=(1, 2), keepdims=True) / estimate.sum(axis=(1, 2), keepdims=True)
    given_back = with_measured_coarse(estimate, measured, PIXEL_MM)
    assert given_back.min() >= 0.0
    assert given_back.sum(axis=(1, 2)) == pytest.approx(measured.sum(axis=(1, 2)), rel=1e-5)


def test_an_empty_view_stays_empty() -> None:
    nothing = np.zeros((2, 16, 16), dtype=np.float32)
    assert np.array_equal(with_measured_coarse(nothing, nothing, PIXEL_MM), nothing)
