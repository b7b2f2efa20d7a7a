"""Filters of images: what passes, what doesn't, and that nothing is lost at the edges."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from pipelines.networks.low_pass import butterworth, gaussian, low_passed

PIXEL_MM = (4.0, 5.0)
BLUR = functools.partial(gaussian, fwhm_mm=20.0)


def test_a_blurred_point_has_the_stated_width_in_millimeters() -> None:
    image = np.zeros((41, 41))
    image[20, 20] = 1.0
    blurred = low_passed(image, PIXEL_MM, BLUR)
    assert blurred[20, 22] / blurred[20, 20] == pytest.approx(0.5, rel=0.01)  # 10 mm across
    assert blurred[20, 20] > blurred[22, 20] > blurred[20, 22]  # 8 mm along: rows lie closer


@pytest.mark.parametrize("shape", [(2, 3, 40, 30), (5, 4), (1, 1)])
def test_no_count_is_lost_at_the_edges(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).random(shape)
    blurred = low_passed(images, PIXEL_MM, BLUR)
    assert blurred.shape == images.shape
    assert np.allclose(low_passed(np.ones(shape), PIXEL_MM, BLUR), 1.0)
    if min(shape[-2:]) > 16:
        assert np.allclose(blurred.sum(axis=(-2, -1)), images.sum(axis=(-2, -1)), rtol=1e-3)


def test_a_butterworth_filter_passes_half_of_the_power_at_its_cut_off() -> None:
    passed = butterworth(np.array([0.0, 0.53, 2.0]), cutoff_per_cm=0.53, order=10)
    assert passed[:2] == pytest.approx([1.0, np.sqrt(0.5)])
    assert passed[2] < 1e-5
