"""The figures on a card mean what they are called."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipelines.resampling import onto
from pipelines.training.mu_map_batches import Grids, LoadedPair
from pipelines.training.mu_map_figures import (
    dice,
    domain_of_pairs,
    errors_of,
    factor_errors,
    map_errors,
    mean_figures,
    nmae,
)
from tests.pipelines.training.maps import a_map_cohort, a_pair


def measured_on_images(loaded: LoadedPair) -> np.ndarray:  # type: ignore[type-arg]
    mu: np.ndarray = onto(loaded.target[:1].float(), loaded.pair.map_grid, loaded.pair.grid)[0].numpy()  # type: ignore[type-arg]
    return mu


def test_nmae_is_the_mean_error_over_the_range_of_the_measured_map() -> None:
    measured = np.array([0.0, 0.1, 0.2, 0.1], dtype=np.float32)
    assert nmae(measured + np.float32(0.01), measured) == pytest.approx(0.05)
    assert nmae(measured, measured) == 0.0


def test_dice_counts_voxels_of_a_tissue_in_both_maps() -> None:
    measured = np.array([0.0, 0.0, 0.05, 0.05, 0.16, 0.16], dtype=np.float32)
    predicted = np.array([0.0, 0.05, 0.05, 0.16, 0.16, 0.16], dtype=np.float32)
    found = dice(predicted, measured)
    assert found["air"] == pytest.approx(2 / 3)
    assert found["lung"] == pytest.approx(0.5)
    assert found["soft tissue"] == pytest.approx(0.8)
    assert math.isnan(found["bone"])


def test_factors_are_compared_in_percent_with_their_sign() -> None:
    measured = torch.zeros(3, 9, 9)
    measured[:, 2:7, 2:7] = 0.15
    places = torch.tensor([[1, 4, 4]])
    error, bias = factor_errors(measured * 1.1, measured, 10.0, places, [0.0])
    path = 0.15 * 2.5  # half of the own voxel and two more, of 1 cm
    assert bias == pytest.approx(100 * (math.exp(-0.1 * path) - 1), rel=1e-4)
    assert error == -bias
    assert math.isnan(factor_errors(measured, measured, 10.0, places[:0], [0.0])[0])


def test_the_true_map_has_no_error_and_the_table_is_put_into_both() -> None:
    loaded = LoadedPair(a_pair(0))
    found = map_errors(measured_on_images(loaded), loaded, (0.0, 0.0))
    assert found.nmae < 2e-3  # what is left is the table's edge on coarse voxels
    empty = map_errors(np.zeros_like(measured_on_images(loaded)), loaded, (0.0, 0.0))
    assert empty.nmae > 20 * found.nmae


def test_an_ensemble_is_judged_by_its_mean() -> None:
    class Constant(torch.nn.Module):
        def __init__(self, mu: float) -> None:
            super().__init__()
            self.mu = mu

        def forward(self, images: torch.Tensor, has_scatter: torch.Tensor) -> torch.Tensor:
            _, _, z, y, x = images.shape
            return torch.full((1, 2 * z, 2 * y, 2 * x), self.mu)

    grids, loaded = Grids(16.0, 2), LoadedPair(a_pair(0))
    both = errors_of([Constant(0.05), Constant(0.15)], loaded, grids)  # type: ignore[list-item]
    mean = errors_of([Constant(0.10)], loaded, grids)  # type: ignore[list-item]
    assert both.nmae == pytest.approx(mean.nmae)
    assert both.heart_factor == pytest.approx(mean.heart_factor)
    assert both.heart_factor > 1.0


def test_a_card_gets_means_and_leaves_out_what_is_not_known() -> None:
    loaded = LoadedPair(a_pair(0))
    one = map_errors(measured_on_images(loaded), loaded, (3.0, -1.0))
    two = map_errors(measured_on_images(loaded), loaded, (float("nan"), float("nan")))
    figures = mean_figures([one, two], " here")
    assert figures["attenuation factor of the heart here, mean absolute error in %"] == 3.0
    assert all(np.isfinite(value) for value in figures.values())
    assert "Dice of bone here" not in figures


def test_the_domain_tells_what_was_learned_from() -> None:
    domain = domain_of_pairs(a_map_cohort())
    assert (domain["studies"], domain["patients"], domain["with a scatter window"]) == (4, 4, 4)
    assert domain["views"] == [12]
