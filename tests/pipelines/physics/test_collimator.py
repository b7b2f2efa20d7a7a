"""Collimators blur as their data sheets say, and the few blurs that stand for all depths lose nothing."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.physics.collimator import LEHR, Collimator, FocalSensitivity, Nodes, gaussian_kernel

DEPTHS = np.linspace(-200.0, 200.0, 64)


@pytest.mark.parametrize(("maker", "system_mm"), [("GE", 7.4), ("SIEMENS", 7.5), ("PHILIPS", 7.4), ("MEDISO", 7.4)])
def test_the_makers_resolution_at_10_cm_is_met(maker: str, system_mm: float) -> None:
    assert float(LEHR[maker].fwhm_mm(np.array(100.0))) == pytest.approx(system_mm, rel=0.12)


def test_at_the_face_a_hole_and_the_crystal_are_left() -> None:
    collimator = Collimator("test", 2.0, 30.0, 3.0)
    assert float(collimator.fwhm_mm(np.array(0.0))) == pytest.approx(np.hypot(2.0, 3.0))
    assert float(collimator.fwhm_mm(np.array(-50.0))) == pytest.approx(np.hypot(2.0, 3.0))


def test_far_away_the_blur_grows_by_hole_over_effective_length() -> None:
    collimator = Collimator("test", 1.5, 35.0, 0.0, septa_mu_per_cm=20.0)
    step = np.diff(collimator.fwhm_mm(np.array([300.0, 301.0])))
    assert float(step[0]) == pytest.approx(1.5 / (35.0 - 1.0))


@pytest.mark.parametrize("wrong", [(0.0, 35.0, 3.8), (1.5, 0.5, 3.8), (1.5, 35.0, -1.0)])
def test_impossible_collimators_are_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="no collimator"):
        Collimator("wrong", *wrong)


@pytest.mark.parametrize("radii", [(250.0,), (180.0, 230.0, 290.0)], ids=["circle", "varying"])
def test_nodes_keep_the_variance_of_every_plane_exactly(radii: tuple[float, ...]) -> None:
    nodes = Nodes.of(LEHR["GE"], radii, DEPTHS)
    variance = np.einsum("vnd,n->vd", nodes.share, nodes.sigma_mm**2)
    expected = LEHR["GE"].sigma_mm(np.array(radii)[:, None] - DEPTHS) ** 2
    np.testing.assert_allclose(variance, expected, rtol=1e-9)
    np.testing.assert_allclose(nodes.share.sum(axis=1), 1.0)
    assert nodes.share.min() >= 0
    assert nodes.sigma_mm.size < 20


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.4, 0.7, 1.0, 3.3])
def test_sampled_kernels_have_the_asked_variance_and_no_negative_weight(sigma: float) -> None:
    kernel = gaussian_kernel(sigma)
    place = np.arange(kernel.size) - kernel.size // 2
    assert kernel.sum() == pytest.approx(1.0)
    assert (kernel * place**2).sum() == pytest.approx(sigma**2, rel=1e-6)
    assert kernel.min() >= 0


def test_blur_matrices_are_symmetric_and_lose_only_what_leaves_the_edge() -> None:
    blur = Nodes.of(LEHR["GE"], (250.0,), DEPTHS).toeplitz(40, 40, 6.4)
    np.testing.assert_array_equal(blur, blur.transpose(0, 2, 1))
    np.testing.assert_allclose(blur[:, :, 20].sum(axis=1), 1.0)
    assert np.all(blur[:, :, 0].sum(axis=1) < 1.0)


def test_a_multifocal_collimator_counts_four_times_as_much_from_the_axis() -> None:
    factor = FocalSensitivity().factor(np.array([0.0, 100.0]), np.array([0.0, 150.0]), np.array([0.0]))
    assert factor[0, 0, 0] == pytest.approx(4.0)
    assert factor[0, 0, 0] > factor[1, 0, 0] > 1.0  # nearer to the camera: less magnified
    assert factor[0, 0, 0] > factor[0, 1, 0] > 1.0
    with pytest.raises(ValueError, match="focuses behind"):
        FocalSensitivity(radius_mm=600.0)
