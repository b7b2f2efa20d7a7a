"""Samples are pairs on the working grid: where images and map belong together, however the patient is laid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipelines.images import Unit, Volume
from pipelines.networks.mu_map_grid import posed, working_grid
from pipelines.networks.mu_map_predict import shown
from pipelines.reconstruction.emission_images import emission_images
from pipelines.resampling import resample
from pipelines.training.mu_map_batches import Grids, LoadedPair, MapSample, blurred, draw_sample
from pipelines.training.mu_map_data import PairMaker
from tests.pipelines.chests import a_mu_map, projections
from tests.pipelines.training.maps import a_pair, map_grid, tissues

GRIDS = Grids(voxel_mm=16.0, finer=2)


def drawn(number: int, scatter_share: float = 0.5) -> MapSample:
    return draw_sample([LoadedPair(a_pair(0))], np.random.default_rng(number), GRIDS, 8, scatter_share)


def center(values: torch.Tensor) -> np.ndarray:  # type: ignore[type-arg]
    """Return the center of gravity as a share of the volume."""
    total = values.double().sum()
    places = [torch.arange(size) + 0.5 for size in values.shape]
    middle = [
        float((values.double().movedim(axis, 0).flatten(1).sum(1) * places[axis]).sum() / total) for axis in range(3)
    ]
    return np.array(middle) / np.array(values.shape)


def test_the_whole_pair_is_the_map_without_its_table_on_the_finer_grid() -> None:
    sample = LoadedPair(a_pair(0)).whole(GRIDS)
    assert sample.images.shape == (4, 32, 48, 48)
    assert sample.mu_per_cm.shape == (32, 48, 48)
    alone = Volume(tissues(map_grid(), 0, table=False)[0].astype(np.float32), map_grid(), Unit.PER_CM)
    fine = Grids(8.0, 1)
    expected = resample(alone, working_grid(a_pair(0).grid, fine.voxel_mm))
    assert np.allclose(LoadedPair(a_pair(0)).whole(fine).mu_per_cm, expected.values, atol=1e-3)


def test_a_network_is_shown_in_training_what_it_is_shown_later() -> None:
    measured = projections()
    images = emission_images(measured)
    assert images.levels[2].values.max() > 1.2 * images.levels[0].values.max(), (
        "each level is higher than the one before"
    )
    learned_from = LoadedPair(PairMaker(copies=1).of_projections(measured, a_mu_map(), "A")).whole(GRIDS).images
    later = shown(images.levels, images.scatter, GRIDS.of(images.levels[0].grid))
    assert torch.allclose(learned_from, later, rtol=5e-3, atol=5e-3)


def test_images_and_map_move_together() -> None:
    pair = LoadedPair(a_pair(0))
    grid = working_grid(pair.pair.grid, GRIDS.voxel_mm)
    still = pair.on(grid)
    moved = pair.on(posed(grid, (0.0, 0.0, 0.0), (32.0, 0.0, 0.0)))
    for one, other in ((still.images[1], moved.images[1]), (still.mu_per_cm, moved.mu_per_cm)):
        assert np.allclose(center(other) - center(one), [0.0, 0.0, -32.0 / (24 * 16.0)], atol=0.01)


def test_the_heart_is_where_the_wall_is_said_to_be() -> None:
    sample = LoadedPair(a_pair(0)).whole(GRIDS)
    places = sample.wall
    hot = sample.images[2][places[:, 0], places[:, 1], places[:, 2]].mean()
    assert float(hot) > 3.0 * float(sample.images[2][sample.images[2] > 0.2].median())


def test_draws_differ_and_a_number_always_gives_the_same() -> None:
    assert torch.equal(drawn(1).images, drawn(1).images)
    assert not torch.equal(drawn(1).images, drawn(2).images)


def test_the_scatter_window_is_dropped_as_often_as_said() -> None:
    shown = [drawn(number).has_scatter for number in range(40)]
    assert 8 < sum(shown) < 32
    hidden = next(drawn(number) for number in range(40) if not shown[number])
    assert not hidden.images[-1].any()
    assert not any(drawn(number, scatter_share=0.0).has_scatter for number in range(10))


def test_some_samples_show_a_single_reconstruction() -> None:
    alike = [torch.equal(sample.images[0], sample.images[2]) for sample in map(drawn, range(60))]
    assert 2 < sum(alike) < 25


def test_some_samples_show_the_heart_in_a_small_field_and_ask_for_no_map_outside_of_it() -> None:
    small = [sample for sample in map(drawn, range(60)) if not bool(sample.field.all())]
    assert 2 < len(small) < 25
    for sample in small:
        assert not sample.has_scatter
        assert not sample.mu_per_cm[~sample.field].any()
        assert not sample.images[:, ~sample.field].any()
        assert sample.field[tuple(sample.wall.T)].all()
    assert any(len(sample.wall) for sample in small)


def test_a_filter_blurs_and_keeps_the_sum() -> None:
    image = torch.zeros(1, 16, 16, 16)
    image[0, 8, 8, 8] = 1.0
    found = blurred(image, 1.5)
    assert float(found.sum()) == pytest.approx(1.0, rel=1e-5)
    spread = (found[0].sum(dim=(1, 2)) * (torch.arange(16.0) - 8.0) ** 2).sum()
    assert float(spread) == pytest.approx(1.5**2, rel=0.1)


def test_without_a_scatter_window_none_is_shown() -> None:
    without = LoadedPair(replace(a_pair(0), scatter=None))
    assert not without.whole(GRIDS).has_scatter


def test_a_cut_keeps_places_and_slices_together() -> None:
    for number in range(10):
        sample = drawn(number)
        assert sample.images.shape[1] == 16
        assert len(sample.known) == len(sample.mu_per_cm) == 16
        assert bool((sample.body[:, 0] < 16).all())
        at = sample.body
        assert float(sample.mu_per_cm[at[:, 0], at[:, 1], at[:, 2]].min()) > 0.1


def test_slices_without_a_measured_map_are_not_known() -> None:
    pair = replace(a_pair(0), known_mm=(-40.0, 48.0))
    assert int(LoadedPair(pair).whole(GRIDS).known.sum()) == 88 // 8
