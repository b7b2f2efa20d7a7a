"""Scales of the comparison, and which rows show the heart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from pipelines.cardiac.heart_frame import LeftVentricle, Spheroid
from pipelines.evaluation.denoising.methods import Estimate
from pipelines.evaluation.denoising.reading import (
    beat_percent,
    heart_rows,
    heart_slices,
    in_patient,
    projection_quality,
    truth_percent,
)
from pipelines.evaluation.denoising.record import Method
from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import EnergyWindow, Projections, Unit, Volume

GEOMETRY = AcquisitionGeometry((0.0, 90.0), (6.4, 6.4), 16, 16)


def projections(counts: ArrayLike) -> Projections:
    values = np.asarray(counts, dtype=np.float32).reshape(1, 1, 2, 16, 16)
    return Projections(values, GEOMETRY, (EnergyWindow(126.0, 154.0),))


def full_dose() -> Projections:
    return projections(np.random.default_rng(2).poisson(20.0, (2, 16, 16)))


def test_a_low_dose_is_compared_over_its_own_maximum_so_that_its_scale_does_not_count() -> None:
    full = full_dose()
    low = projections(full.counts / 4)
    assert projection_quality(Method.LOW_DOSE, Estimate(low), full).rmse == pytest.approx(0.0, abs=1e-4)


def test_a_prediction_is_compared_in_the_full_doses_counts_so_that_its_scale_counts() -> None:
    full = full_dose()
    high = projections(full.counts * 1.1)
    error = projection_quality(Method.FULL, Estimate(high), full).rmse
    wanted = 255 / full.counts.max() * np.sqrt(np.mean((0.1 * full.counts) ** 2))
    assert error == pytest.approx(wanted, rel=1e-5)


def test_the_papers_network_is_judged_by_the_shares_that_it_says() -> None:
    full = full_dose()
    shares = full.photopeak_counts() / full.counts.max()
    wrong_counts = projections(full.counts * 3)
    assert projection_quality(Method.PAPER, Estimate(wrong_counts, shares), full).rmse == pytest.approx(0, abs=1e-4)


def test_rows_below_the_heart_do_not_count_when_they_are_left_out() -> None:
    full = full_dose()
    bright = full.counts.copy()
    bright[..., 12:, :] *= 50  # a liver
    wrong = bright.copy()
    wrong[..., 12:, :] = 0
    with_liver = projection_quality(Method.FULL, Estimate(projections(wrong)), projections(bright))
    without = projection_quality(Method.FULL, Estimate(projections(wrong)), projections(bright), (0, 12))
    assert with_liver.rmse > 50
    assert without.rmse == 0


def test_the_rows_end_just_below_the_ventricle() -> None:
    geometry = AcquisitionGeometry((0.0,), (6.4, 6.4), 64, 64)
    lying = Spheroid((30.0, -40.0, 10.0), (1.0, 0.0, 0.0), half_width=25.0, half_length=50.0)
    rows = heart_rows(geometry, LeftVentricle(lying, lying, -20.0, 1.0), (0.0, 0.0, 0.0))
    lowest = 10.0 - 25.0 - 5.5 - 10.0  # middle, half the width, half the wall, margin
    assert rows[0] == 0
    assert rows[1] * 6.4 == pytest.approx(32 * 6.4 - lowest, abs=6.5)
    standing = Spheroid((30.0, -40.0, 10.0), (0.0, 0.6, -0.8), half_width=25.0, half_length=50.0)
    assert heart_rows(geometry, LeftVentricle(standing, standing, -20.0, 1.0), (0.0, 0.0, 0.0))[1] > rows[1]
    assert heart_rows(geometry, None, (0.0, 0.0, 10.0))[1] > rows[1]  # not found: more is kept


def test_without_a_ventricle_a_box_about_the_hearts_place_is_compared() -> None:
    grid = VoxelGrid.axial((40, 40, 40), (6.4, 6.4, 6.4), (0.0, 0.0, 0.0))
    values = np.zeros(grid.shape, dtype=np.float32)
    z, y, x = (round(float(place)) for place in grid.index_of((32.0, -32.0, 20.0)))
    values[z, y, x] = 1.0
    box = heart_slices(Volume(values, grid, Unit.COUNTS), None, (32.0, -32.0, 20.0))
    assert max(box.shape) <= 27
    assert box.max() == 1.0
    assert np.argwhere(box == 1.0)[0] == pytest.approx(np.array(box.shape) / 2, abs=3)


def test_errors_against_the_truth_are_in_percent_of_its_mean_in_the_patient() -> None:
    truth = np.zeros((8, 8), dtype=np.float32)
    truth[:4] = 10.0
    image = truth.copy()
    image[:4] += 1.0
    image[4:] += 100.0  # outside of the patient
    assert truth_percent(image, truth, in_patient(truth)) == pytest.approx(10.0)


def test_gates_that_are_all_alike_show_no_beat_and_a_short_gate_is_no_beat() -> None:
    beat = np.stack([np.full((2, 8, 8), 10.0), np.full((2, 8, 8), 10.0)])
    beat[0, :, 2:4], beat[1, :, 5:7] = 30.0, 30.0
    mean = np.broadcast_to(beat.mean(axis=0), beat.shape)
    short = beat * np.array([1.0, 0.7])[:, None, None, None]  # the last gate is open for a shorter time
    assert beat_percent(short, beat) == pytest.approx(100.0)
    assert beat_percent(mean, short) == pytest.approx(0.0, abs=1e-6)
    assert beat_percent((beat + mean) / 2, beat) == pytest.approx(50.0)
