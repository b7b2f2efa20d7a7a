"""Scatter from energy windows: the right windows are found, the trapezoid has the right area."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections, UnsuitableAcquisition
from pipelines.physics.scatter import scatter_from_windows, scatter_windows

GEOMETRY = AcquisitionGeometry(tuple(6.0 * view for view in range(5)), (6.4, 6.4), 16, 20)
PEAK, LOWER, UPPER = EnergyWindow(126.0, 154.0), EnergyWindow(112.0, 126.0), EnergyWindow(154.0, 161.0)
FAR = EnergyWindow(60.0, 80.0)


def study(windows: tuple[EnergyWindow, ...], levels: tuple[float, ...]) -> Projections:
    counts = np.ones((len(windows), 2, 5, 16, 20), np.float32) * np.array(levels, np.float32)[:, None, None, None, None]
    return Projections(counts, GEOMETRY, windows, photopeak=windows.index(PEAK))


def test_the_windows_that_touch_the_photopeak_are_found_wherever_they_are_stored() -> None:
    assert scatter_windows(study((FAR, UPPER, PEAK, LOWER), (1, 1, 1, 1))) == (3, 1)
    assert scatter_windows(study((PEAK, FAR), (1, 1))) == (None, None)


@pytest.mark.parametrize(
    ("windows", "levels", "expected"),
    [
        ((PEAK, LOWER, UPPER), (100.0, 28.0, 7.0), (28 / 14 + 7 / 7) * 28 / 2),
        ((PEAK, LOWER), (100.0, 28.0), 28 / 14 * 28 / 2),
    ],
    ids=["TEW", "DEW"],
)
def test_the_estimate_is_the_trapezoid_under_the_photopeak(
    windows: tuple[EnergyWindow, ...], levels: tuple[float, ...], expected: float
) -> None:
    estimate = scatter_from_windows(study(windows, levels))
    assert estimate.shape == (2, 5, 16, 20)
    np.testing.assert_allclose(estimate, expected, rtol=1e-5)


def test_smoothing_takes_noise_off_and_keeps_the_level() -> None:
    projections = study((PEAK, LOWER), (100.0, 0.0))
    projections.counts[1] = np.random.default_rng(2).poisson(20.0, projections.counts[1].shape)
    rough, smooth = scatter_from_windows(projections, 0.0), scatter_from_windows(projections)
    assert smooth.std() < 0.4 * rough.std()
    assert smooth.mean() == pytest.approx(rough.mean(), rel=0.02)


def test_without_a_lower_window_scatter_is_not_made_up() -> None:
    with pytest.raises(UnsuitableAcquisition, match="no scatter window"):
        scatter_from_windows(study((PEAK, FAR), (100.0, 10.0)))
