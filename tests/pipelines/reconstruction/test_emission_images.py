"""The images that a mu-map is told from: levels of one reconstruction, and the scatter window where there is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.reconstruction.emission_images import LEVEL_ITERATIONS, SUBSETS, emission_images, scatter_corrected_image
from pipelines.reconstruction.reconstruct import Settings, reconstruct
from tests.pipelines.training.maps import a_scan


def test_each_level_is_the_reconstruction_of_so_many_iterations() -> None:
    projections, _ = a_scan(0)
    images = emission_images(projections)
    assert len(images.levels) == len(LEVEL_ITERATIONS)
    for iterations, level in zip(LEVEL_ITERATIONS, images.levels, strict=True):
        alone = reconstruct(projections, Settings(iterations=iterations, subsets=SUBSETS))
        assert np.array_equal(level.values, alone.values)


def test_the_scatter_window_is_an_image_of_its_own_on_the_same_grid() -> None:
    projections, _ = a_scan(0)
    images = emission_images(projections)
    assert images.scatter is not None
    assert images.scatter.grid == images.levels[0].grid
    louder = replace(projections, counts=projections.counts * np.float32([1, 2])[:, None, None, None, None])
    twice = emission_images(louder).scatter
    assert twice is not None
    assert np.allclose(twice.values.sum(), 2 * images.scatter.values.sum(), rtol=1e-3)


def test_without_a_window_below_the_photopeak_there_is_no_scatter_image() -> None:
    projections, _ = a_scan(0)
    alone = replace(projections, counts=projections.counts[:1], windows=projections.windows[:1])
    assert emission_images(alone).scatter is None
    assert len(emission_images(alone).levels) == len(LEVEL_ITERATIONS)


def test_correction_for_scatter_takes_activity_away() -> None:
    projections, _ = a_scan(0)
    plain = emission_images(projections).levels[-1]
    assert scatter_corrected_image(projections).values.sum() < 0.95 * plain.values.sum()
