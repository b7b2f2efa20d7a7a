"""Projections and Volume take only arrays that fit their geometry and are finite."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Projections, Unit, UnsuitableAcquisition, Volume

GEOMETRY = AcquisitionGeometry((0.0, 90.0, 180.0), (6.4, 6.4), 4, 5)
PEAK, SCATTER = EnergyWindow(126.0, 154.0, "Tc-99m"), EnergyWindow(108.0, 126.0, "scatter")


def counts(windows: int = 2, gates: int = 8) -> np.ndarray:
    return np.arange(windows * gates * 3 * 4 * 5, dtype=np.float32).reshape(windows, gates, 3, 4, 5)


def test_the_photopeaks_counts_are_those_of_its_window() -> None:
    projections = Projections(counts(), GEOMETRY, (SCATTER, PEAK), photopeak=1)
    np.testing.assert_array_equal(projections.photopeak_counts(), counts()[1])
    assert projections.gates == 8


def test_gates_add_up_and_the_source_keeps_its_own() -> None:
    projections = Projections(counts(), GEOMETRY, (PEAK, SCATTER))
    together = projections.ungated()
    assert together.gates == 1
    np.testing.assert_array_equal(together.counts[:, 0], counts().sum(axis=1))
    assert projections.gates == 8


def test_a_window_holds_its_energies() -> None:
    assert PEAK.holds(140.5)
    assert not SCATTER.holds(140.5)


@pytest.mark.parametrize(
    ("array", "windows", "photopeak", "message"),
    [
        (counts()[0], (PEAK,), 0, r"expected \[window, gate, view, row, column\]"),
        (counts()[..., :4], (PEAK, SCATTER), 0, "expected"),
        (counts(), (PEAK,), 0, "1 energy windows"),
        (counts(), (PEAK, SCATTER), 2, "photopeak 2"),
        (counts() * np.float32(np.nan), (PEAK, SCATTER), 0, "not finite"),
    ],
)
def test_projections_that_do_not_fit_are_refused(
    array: np.ndarray, windows: tuple[EnergyWindow, ...], photopeak: int, message: str
) -> None:
    with pytest.raises(UnsuitableAcquisition, match=message):
        Projections(array, GEOMETRY, windows, photopeak)


def test_a_volume_fits_its_grid_and_is_finite() -> None:
    grid = VoxelGrid.axial((2, 3, 4), (6.4, 6.4, 6.4), (0.0, 0.0, 0.0))
    Volume(np.zeros((2, 3, 4), np.float32), grid, Unit.COUNTS)
    with pytest.raises(UnsuitableAcquisition, match="on a grid of shape"):
        Volume(np.zeros((4, 3, 2), np.float32), grid, Unit.COUNTS)
    with pytest.raises(UnsuitableAcquisition, match="not finite"):
        Volume(np.full((2, 3, 4), np.inf, np.float32), grid, Unit.COUNTS)
