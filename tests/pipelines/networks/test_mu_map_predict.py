"""A mu-map comes back on the reconstruction's own grid, with the ensemble's spread, or a sentence says why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, UnsuitableAcquisition, Volume
from pipelines.networks.model_card import ModelCard, WeightsError
from pipelines.networks.mu_map import ARCHITECTURE, MuMapNetwork
from pipelines.networks.mu_map_grid import working_grid
from pipelines.networks.mu_map_predict import load_mu_map_model, predict_mu_map
from pipelines.networks.weights import write_model
from pipelines.resampling import onto

WIDTHS = (4, 4, 4, 4)
GRID = VoxelGrid.axial((12, 20, 22), (6.6, 6.6, 6.6), (3.0, -5.0, 20.0))


def networks(*seeds: int) -> list[MuMapNetwork]:
    made = []
    for seed in seeds:
        torch.manual_seed(seed)
        network = MuMapNetwork(WIDTHS)
        torch.nn.init.normal_(network.told.weight)
        made.append(network)
    return made


def an_image(seed: int = 0, grid: VoxelGrid = GRID) -> Volume:
    values = np.random.default_rng(seed).uniform(0, 10, grid.shape).astype(np.float32)
    return Volume(values, grid, Unit.PROPORTIONAL_COUNTS)


LEVELS = [an_image(seed) for seed in range(3)]


def test_the_map_lies_on_the_grid_of_the_reconstructions_in_1_per_cm() -> None:
    predicted = predict_mu_map(LEVELS, an_image(3), networks(0))
    assert predicted.mu_map.grid == GRID
    assert predicted.mu_map.unit is Unit.PER_CM
    assert not predicted.spread.any()


def test_mean_and_spread_are_those_of_the_networks() -> None:
    alone = [predict_mu_map(LEVELS, None, networks(seed)).mu_map.values for seed in (0, 1)]
    both = predict_mu_map(LEVELS, None, networks(0, 1))
    assert np.allclose(both.mu_map.values, np.mean(alone, axis=0), atol=1e-6)
    assert np.allclose(both.spread, np.std(alone, axis=0), atol=1e-6)
    assert [np.array_equal(one.values, own) for one, own in zip(both.members, alone, strict=True)] == [True, True]
    assert both.spread.any()


class Echo(torch.nn.Module):
    """Gives back the first image that it sees."""

    finer = 1

    def forward(self, images: torch.Tensor, has_scatter: torch.Tensor) -> torch.Tensor:
        return images[:, 0]


def test_structures_come_back_where_they_were() -> None:
    image = Volume(np.zeros(GRID.shape, dtype=np.float32), GRID, Unit.PROPORTIONAL_COUNTS)
    image.values[4:8, 13:17, 3:7] = 50.0
    echoed = predict_mu_map([image], None, [Echo()]).mu_map.values  # type: ignore[list-item]
    middle = (np.indices(GRID.shape) * echoed).sum(axis=(1, 2, 3)) / echoed.sum()
    assert middle == pytest.approx([5.5, 14.5, 4.5], abs=0.25)


def test_one_reconstruction_of_a_vendor_stands_for_all_levels() -> None:
    one = predict_mu_map([an_image()], None, networks(0)).mu_map.values
    three = predict_mu_map([an_image()] * 3, None, networks(0)).mu_map.values
    assert np.array_equal(one, three)


def test_what_can_not_be_told_from_is_refused() -> None:
    elsewhere = an_image(0, VoxelGrid.axial(GRID.shape, (6.6, 6.6, 6.6), (0.0, 0.0, 0.0)))
    with pytest.raises(UnsuitableAcquisition, match="different grids"):
        predict_mu_map(LEVELS, elsewhere, networks(0))
    empty = Volume(np.zeros(GRID.shape, dtype=np.float32), GRID, Unit.PROPORTIONAL_COUNTS)
    with pytest.raises(UnsuitableAcquisition, match="no activity"):
        predict_mu_map([empty], None, networks(0))
    with pytest.raises(ValueError, match="at least one network"):
        predict_mu_map(LEVELS, None, [])


def test_a_model_is_loaded_with_the_size_and_grid_on_its_card(tmp_path: Path) -> None:
    settings = {"widths": " ".join(map(str, WIDTHS)), "finer": 2, "voxel_mm": 12.0}
    card = ModelCard("mu-map", "1.0.0", ARCHITECTURE, settings, {}, (0, 1), {}, "test")
    made = networks(0, 1)
    write_model(tmp_path, card, [dict(network.state_dict()) for network in made])
    model = load_mu_map_model(folder=tmp_path)
    assert len(model.networks) == 2
    assert model.voxel_mm == 12.0
    found = predict_mu_map(LEVELS, None, model.networks, voxel_mm=model.voxel_mm).mu_map.values
    expected = predict_mu_map(LEVELS, None, made, voxel_mm=12.0).mu_map.values
    assert np.abs(found - expected).max() < 1e-3  # half precision
    other = replace(card, name="other", architecture="pipelines.networks.denoiser.Denoiser")
    write_model(tmp_path, other, [dict(network.state_dict()) for network in made])
    with pytest.raises(WeightsError, match="expected"):
        load_mu_map_model("other", tmp_path)


def test_the_working_grid_sees_what_the_reconstruction_holds() -> None:
    seen = onto(torch.from_numpy(an_image().values)[None], GRID, working_grid(GRID))
    assert float(seen.sum()) * 9.6**3 == pytest.approx(float(an_image().values.sum()) * 6.6**3, rel=0.1)
