"""Post-filters do at their cut-off what their unit says."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.reconstruction.filters import (
    Butterworth,
    Gaussian,
    Hann,
    PostFilter,
    filter_volume,
    nyquist_cycles_per_cm,
)


def wave(cycles_per_cm: float, axis: int, voxel_mm: tuple[float, float, float]) -> np.ndarray:
    """Return a cosine of this frequency along one axis of a volume."""
    index = np.indices((40, 40, 40))[axis] + (0.5 if axis == 0 else 0.0)  # a cosine that its mirror image continues
    pattern: np.ndarray = np.cos(2 * np.pi * cycles_per_cm * index * voxel_mm[axis] / 10).astype(np.float32)
    return pattern


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    ("post_filter", "factor"),
    [(Butterworth(0.25, 10), 0.5**0.5), (Butterworth(0.25, 10, power=True), 0.5), (Hann(0.5), 0.5)],
    ids=["amplitude", "power", "hann"],
)
def test_a_wave_at_the_cutoff_is_damped_alike_along_every_axis(
    axis: int, post_filter: PostFilter, factor: float
) -> None:
    voxel_mm = (4.0, 5.0, 10.0)
    pattern = wave(0.25, axis, voxel_mm)
    np.testing.assert_allclose(filter_volume(pattern, voxel_mm, post_filter), factor * pattern, atol=1e-5)


def test_a_cutoff_in_nyquist_becomes_cycles_per_cm() -> None:
    assert nyquist_cycles_per_cm(6.4) == pytest.approx(0.78125)
    assert Butterworth.of_nyquist(0.45, 6.4, 10).cutoff_cycles_per_cm == pytest.approx(0.3515625)


def test_a_gaussian_has_its_full_width_at_half_maximum() -> None:
    point = np.zeros((41, 41, 41), np.float32)
    point[20, 20, 20] = 1
    profile = filter_volume(point, (2.0, 2.0, 2.0), Gaussian(16.0))[20, 20]
    np.testing.assert_allclose(profile[[16, 24]] / profile[20], 0.5, atol=1e-4)


@pytest.mark.parametrize("post_filter", [Butterworth(0.3, 10), Gaussian(12.0), Hann(0.6)])
def test_the_total_is_kept(post_filter: PostFilter) -> None:
    values = np.random.default_rng(1).random((9, 16, 15)).astype(np.float32)
    assert filter_volume(values, (6.4, 6.4, 6.4), post_filter).sum() == pytest.approx(values.sum(), rel=1e-5)


def test_an_organ_cut_by_the_last_slice_does_not_reappear_in_the_first() -> None:
    values = np.zeros((32, 16, 16), np.float32)
    values[-2:] = 1
    assert filter_volume(values, (6.4, 6.4, 6.4), Butterworth(0.35, 5))[:8].max() < 0.01


@pytest.mark.parametrize(
    "make", [lambda: Butterworth(0, 5), lambda: Butterworth(0.3, 0), lambda: Hann(0), lambda: Gaussian(-1)]
)
def test_impossible_filters_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"not|can't"):
        make()
