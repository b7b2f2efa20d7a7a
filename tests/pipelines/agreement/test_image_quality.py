"""Image quality against hand-computed numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.agreement.image_quality import (
    absolute_percentage_error,
    gray,
    image_quality,
    nmae,
    psnr_db,
    rmse,
    ssim_global,
)

RNG = np.random.default_rng(1)
SCENE = RNG.random((3, 32, 32))
APPROXIMATELY_ONE: object = pytest.approx((1.0, 1.0, 1.0))


def test_rmse_is_the_root_of_the_mean_square() -> None:
    assert rmse([1.0, 2.0, 3.0], [1.0, 4.0, 7.0]) == pytest.approx(math.sqrt((0 + 4 + 16) / 3))


def test_the_papers_psnr_follows_from_its_rmse() -> None:
    assert psnr_db(5.69, 255.0) == pytest.approx(33.03, abs=0.01)
    assert psnr_db(0.0, 255.0) == math.inf


def test_an_image_is_perfectly_like_itself() -> None:
    quality = image_quality(SCENE, SCENE, 1.0)
    assert (quality.rmse, quality.psnr_db) == (0.0, math.inf)
    assert quality.ssim_global == pytest.approx(1.0)
    assert (quality.ssim_unscaled, quality.ssim_per_frame, quality.ssim_windowed) == APPROXIMATELY_ONE


def test_global_ssim_by_hand() -> None:
    x, y = np.array([0.0, 1.0]), np.array([0.2, 0.6])  # means .5 and .4, variances .25 and .04, covariance .1
    expected = (2 * 0.5 * 0.4 + 0.01) / (0.25 + 0.16 + 0.01) * (2 * 0.1 + 0.02) / (0.25 + 0.04 + 0.02)
    assert ssim_global(x, y) == pytest.approx(expected)


def test_windowed_ssim_by_hand() -> None:
    x, y = RNG.random((7, 7)), RNG.random((7, 7))  # one window: its sample variances, the constants .01 and .03 squared
    (xx, xy), (_, yy) = np.cov(x.ravel(), y.ravel())
    means = (2 * x.mean() * y.mean() + 1e-4) / (x.mean() ** 2 + y.mean() ** 2 + 1e-4)
    assert image_quality(x, y, 1.0).ssim_windowed == pytest.approx(means * (2 * xy + 9e-4) / (xx + yy + 9e-4))


def test_ssim_per_frame_is_the_mean_over_the_frames() -> None:
    noisy = SCENE + RNG.normal(size=SCENE.shape)
    expected = np.mean([ssim_global(a / 2.0, b / 2.0) for a, b in zip(noisy, SCENE, strict=True)])
    assert image_quality(noisy, SCENE, 2.0).ssim_per_frame == pytest.approx(expected)


def test_more_noise_is_worse_by_every_measure() -> None:
    little, much = (image_quality(SCENE + sd * RNG.normal(size=SCENE.shape), SCENE, 1.0) for sd in (0.05, 0.2))
    assert little.rmse < much.rmse
    assert little.psnr_db > much.psnr_db
    assert little.ssim_global > much.ssim_global
    assert little.ssim_windowed > much.ssim_windowed


def test_quality_does_not_depend_on_the_unit_of_counts() -> None:
    noisy = SCENE + 0.1 * RNG.normal(size=SCENE.shape)
    one, other = image_quality(noisy, SCENE, 1.0), image_quality(40 * noisy, 40 * SCENE, 40.0)
    assert other.psnr_db == pytest.approx(one.psnr_db)
    assert other.ssim_windowed == pytest.approx(one.ssim_windowed)
    assert other.rmse == pytest.approx(40 * one.rmse)


def test_nmae_is_over_the_range_of_the_reference() -> None:
    assert nmae([0.1, 0.3], [0.0, 0.2]) == pytest.approx(0.5)


def test_percentage_error_of_each_segment() -> None:
    np.testing.assert_allclose(absolute_percentage_error([90.0, 110.0], [100.0, 100.0]), [10.0, 10.0])


def test_each_image_is_divided_by_its_own_maximum() -> None:
    assert gray([0.0, 2.0, 4.0]).tolist() == [0.0, 127.5, 255.0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rmse([1.0], [1.0, 2.0]), "can't be compared"),
        (lambda: rmse([math.nan], [1.0]), "not finite"),
        (lambda: rmse([], []), "can't be compared"),
        (lambda: nmae([1.0, 2.0], [3.0, 3.0]), "constant"),
        (lambda: absolute_percentage_error([1.0], [0.0]), "reference of 0"),
        (lambda: gray([0.0, 0.0]), "without counts"),
        (lambda: psnr_db(1.0, 0.0), "peak must be positive"),
        (lambda: image_quality(np.ones((4, 4)), np.ones((4, 4)), 1.0), "smaller than the window"),
    ],
)
def test_what_has_no_answer_is_refused(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]
