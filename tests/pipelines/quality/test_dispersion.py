"""Counts are told from what was scaled, filtered or resampled, at any dose and on a real camera."""

from __future__ import annotations

import numpy as np
import pytest

from dicomnode.objects.reader import read_acquisition
from pipelines.images import Array
from pipelines.quality.dispersion import dispersion, holds_whole_counts
from tests.factories import REAL_DATA
from tests.pipelines.training.studies import expected_counts

MEAN = expected_counts(3, views=24, rows=40, columns=40)


def counted(dose: float = 1.0) -> Array:
    return np.random.default_rng(1).poisson(dose * MEAN).astype(np.float32)


@pytest.mark.parametrize("dose", [0.1, 1.0, 4.0])
def test_what_was_counted_varies_as_counting_makes_it(dose: float) -> None:
    assert dispersion(counted(dose)) == pytest.approx(1.0, abs=0.06)


def test_scaled_counts_vary_by_their_scale() -> None:
    assert dispersion(3.0 * counted()) == pytest.approx(3.0, rel=0.06)


@pytest.mark.parametrize("axis", [-1, -2])
def test_counts_moved_by_half_a_pixel_vary_too_little_even_when_whole(axis: int) -> None:
    moved = np.rint(0.5 * (counted(4.0) + np.roll(counted(4.0), 1, axis)))
    assert holds_whole_counts(moved)
    assert dispersion(moved) < 0.6


def test_whole_counts_are_whole_and_none_is_negative() -> None:
    assert holds_whole_counts(counted())
    assert not holds_whole_counts(0.9 * counted())
    assert not holds_whole_counts(counted() - 1000.0)


def test_nothing_says_nothing() -> None:
    assert np.isnan(dispersion(np.zeros((1, 4, 8, 8), np.float32)))


def test_a_real_camera_counts_as_poisson_said() -> None:
    file = REAL_DATA / "ge_xeleris_tomo_stress.dcm"
    if not file.exists():
        pytest.skip("the real camera file ge_xeleris_tomo_stress.dcm is not here")
    projections = read_acquisition(file).projections
    assert projections is not None
    assert dispersion(projections.photopeak_counts()) == pytest.approx(1.0, abs=0.1)
