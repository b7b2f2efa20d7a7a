"""Polar maps beside their references, on disks small enough to work out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.agreement.polar_maps import percent_of, polar_map_agreement
from pipelines.cardiac.polar_map import as_disk
from pipelines.cardiac.segments import ANGLES, RINGS

OUTSIDE = math.nan
REFERENCE = np.array([[[OUTSIDE, 80.0], [100.0, 50.0]], [[OUTSIDE, 60.0], [100.0, 0.0]]])
DISKS = np.array([[[OUTSIDE, 88.0], [95.0, 50.0]], [[OUTSIDE, 60.0], [90.0, 1.0]]])
SEGMENTS, REFERENCE_SEGMENTS = np.array([[90.0, 60.0], [66.0, 80.0]]), np.array([[100.0, 60.0], [60.0, 80.0]])


def test_pixels_and_segments_by_hand() -> None:
    found = polar_map_agreement(DISKS, REFERENCE, SEGMENTS, REFERENCE_SEGMENTS)
    assert found.pixel_distance == pytest.approx((8 + 5 + 0 + 0 + 10 + 1) / 6)
    assert found.pixel_ape_percent == pytest.approx((10 + 5 + 0 + 0 + 10) / 5)  # the pixel without perfusion has none
    assert found.segment_ape_percent == pytest.approx((10 + 0 + 10 + 0) / 4)
    assert found.pixel_correlation.number == 6
    assert found.segment_correlation.number == 4


def test_a_map_agrees_with_itself_and_what_lies_outside_the_circle_does_not_count() -> None:
    values = np.random.default_rng(2).random((RINGS, ANGLES)) + 0.5
    disk = as_disk(percent_of(values, float(values.max())), 512)
    assert np.isnan(disk[0, 0])
    found = polar_map_agreement([disk], [disk], SEGMENTS, SEGMENTS)
    assert (found.pixel_distance, found.segment_ape_percent) == (0.0, 0.0)
    assert found.pixel_correlation.r == pytest.approx(1.0)
    assert found.pixel_correlation.number == pytest.approx(math.pi / 4 * 512**2, rel=0.01)


def test_percent_is_of_the_peak_that_is_given() -> None:
    assert percent_of([1.0, 2.0], 4.0).tolist() == [25.0, 50.0]


def test_what_has_no_answer_is_refused() -> None:
    elsewhere = np.where(np.isnan(REFERENCE), 1.0, REFERENCE)
    with pytest.raises(ValueError, match="the same pixels"):
        polar_map_agreement(DISKS, elsewhere, SEGMENTS, REFERENCE_SEGMENTS)
    with pytest.raises(ValueError, match="reference of 0"):
        polar_map_agreement(DISKS, REFERENCE, SEGMENTS, 0 * REFERENCE_SEGMENTS)
    with pytest.raises(ValueError, match="must be positive"):
        percent_of([1.0], 0.0)
