"""The attenuation paper's training: its losses, patches and normalizations, and that both networks learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.images import UnsuitableAcquisition
from pipelines.networks.paper_mu_map import MapGenerator, PairClassifier, PairPatches
from pipelines.networks.weights import read_model
from pipelines.training.mu_map_batches import LoadedPair
from pipelines.training.paper_mu_map import (
    PaperMapLearner,
    distance_loss,
    gradient_difference,
    paper_errors,
    train_paper_mu_map,
)
from pipelines.training.paper_mu_map_patches import draw_patches, on_own_grid, paper_image, predicted_map
from pipelines.training.paper_mu_map_settings import (
    Discriminator,
    Distance,
    Normalization,
    PaperMapSettings,
    draw_paper_settings,
)
from pipelines.training.progress import Budget
from tests.pipelines.training.maps import a_map_cohort, a_pair

TINY = PaperMapSettings(
    filters=(4, 8), discriminator_filters=(4, 8), dense=(16, 8), patch=(16, 16, 16), patches=4, voxel_mm=16.0,
    size="compact",
)  # fmt: skip


def test_the_best_search_result_is_the_default() -> None:
    best = PaperMapSettings()
    assert (best.batch, best.patch, best.adversarial_weight, best.distance_weight) == (32, (32, 64, 64), 1.0, 100.0)
    with torch.device("meta"):
        assert isinstance(best.generator(), MapGenerator)
        assert isinstance(best.judge(), PairClassifier)
        assert isinstance(replace(best, discriminator=Discriminator.PATCHES).judge(), PairPatches)
    assert best.compact().size == "compact"


def test_a_search_draws_every_choice_and_the_same_from_the_same_seed() -> None:
    drawn = [draw_paper_settings(np.random.default_rng(seed)) for seed in range(60)]
    assert drawn[3] == draw_paper_settings(np.random.default_rng(3))
    for name, choices in (("distance", 3), ("normalization", 3), ("discriminator", 2), ("filters", 2), ("patch", 2)):
        assert len({getattr(settings, name) for settings in drawn}) == choices
    assert all(25 <= one.patches <= 50 for one in drawn if one.batch == 32)
    assert all(50 <= one.patches <= 100 for one in drawn if one.batch == 64)


def test_images_are_padded_to_32_slices_and_normalized() -> None:
    loaded = LoadedPair(a_pair(0))
    image = paper_image(loaded, TINY)
    assert image.reconstruction.shape == image.mu_per_cm.shape == (32, 24, 24)
    assert image.grid.shape[0] == 16
    assert not image.mu_per_cm[16:].any()
    assert float(image.reconstruction.mean()) == pytest.approx(1.0, rel=1e-4)
    gaussian = paper_image(loaded, replace(TINY, normalization=Normalization.GAUSSIAN)).reconstruction
    assert (float(gaussian.mean()), float(gaussian.std())) == (pytest.approx(0.0, abs=1e-4), pytest.approx(1.0))
    plain = paper_image(loaded, replace(TINY, normalization=Normalization.NONE)).reconstruction
    assert float(plain.max()) == pytest.approx(1.0, abs=1e-3)


def test_scatter_correction_shows_another_image_or_is_refused() -> None:
    wanted = replace(TINY, scatter_corrected=True, normalization=Normalization.NONE)
    plain = paper_image(LoadedPair(a_pair(0)), replace(wanted, scatter_corrected=False)).reconstruction
    assert not torch.equal(paper_image(LoadedPair(a_pair(0)), wanted).reconstruction, plain)
    with pytest.raises(UnsuitableAcquisition, match="no scatter window"):
        paper_image(LoadedPair(replace(a_pair(0), corrected=None)), wanted)


def test_patches_are_cut_from_image_and_map_at_the_same_place() -> None:
    image = paper_image(LoadedPair(a_pair(0)), TINY)
    twin = replace(image, mu_per_cm=image.reconstruction)
    seen, measured = draw_patches([twin], np.random.default_rng(0), 5, (16, 8, 8))
    assert seen.shape == (5, 1, 16, 8, 8)
    assert torch.equal(seen, measured)
    assert not torch.equal(seen[0], seen[1])


def test_the_distances_are_those_of_the_search() -> None:
    measured = torch.zeros(1, 1, 4, 4, 4)
    made = measured + 0.1538  # one unit of water
    assert float(distance_loss(made, measured, Distance.L1)) == pytest.approx(1.0, rel=1e-3)
    assert float(distance_loss(2 * made, measured, Distance.L2)) == pytest.approx(4.0, rel=1e-3)
    assert float(gradient_difference(made, measured)) == 0.0  # an even shift has no edges
    step = torch.zeros(1, 1, 4, 4, 4)
    step[..., 2:] = 0.3
    assert float(gradient_difference(step, measured)) == pytest.approx(0.3 / 3 / 3)  # one of three steps, one of 3 axes
    assert float(distance_loss(step, measured, Distance.L2_GDL)) > float(distance_loss(step, measured, Distance.L2))


def test_a_learner_that_is_restored_goes_on_as_if_nothing_had_been() -> None:
    first, second = PaperMapLearner(a_map_cohort(), TINY), PaperMapLearner(a_map_cohort(), TINY)
    first.step(0, 0.0)
    second.restore({key: value.clone() for key, value in first.tensors().items()})
    assert first.step(1, 0.5) == second.step(1, 0.5)
    kept = second.tensors()
    assert all(torch.equal(value, kept[key]) for key, value in first.tensors().items())


@pytest.mark.parametrize("judge", list(Discriminator))
def test_both_networks_learn(judge: Discriminator) -> None:
    learner = PaperMapLearner(a_map_cohort(), replace(TINY, discriminator=judge))
    before = {key: value.clone() for key, value in learner.tensors().items()}
    errors = [learner.step(number, 0.0) for number in range(12)]
    after = learner.tensors()
    moved = {key.partition(".")[0] for key, value in before.items() if not torch.equal(value, after[key])}
    assert {"generator", "discriminator"} <= moved
    assert np.mean(errors[-3:]) < 0.8 * np.mean(errors[:3])


def test_without_an_adversary_the_discriminator_stays_as_it_was() -> None:
    learner = PaperMapLearner(a_map_cohort(), replace(TINY, adversarial_weight=0.0))
    before = {key: value.clone() for key, value in learner.tensors().items() if key.startswith("discriminator.")}
    learner.step(0, 0.0)
    assert all(torch.equal(value, learner.tensors()[key]) for key, value in before.items())


def test_a_map_of_a_whole_image_lies_on_the_grid_of_the_reconstruction() -> None:
    loaded = LoadedPair(a_pair(0))
    image = paper_image(loaded, TINY)
    predicted = predicted_map(TINY.generator(), image)
    assert predicted.shape == image.grid.shape
    assert on_own_grid(predicted, image, loaded).shape == a_pair(0).grid.shape
    assert paper_errors(TINY.generator(), loaded, TINY).nmae > 0.0


def test_a_training_leaves_a_generator_with_figures_of_the_test_patients(tmp_path: Path) -> None:
    card = train_paper_mu_map(a_map_cohort(), TINY, Budget(epochs=2.0), tmp_path, name="small")
    model = read_model("small", tmp_path)
    assert model.card == card
    model.fill(0, TINY.generator())
    assert card.settings["distance"] == "L1"
    assert card.figures["NMAE"] > 0.0
    assert "attenuation factor of the heart, mean absolute error in %" in card.figures
