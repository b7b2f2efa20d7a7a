"""Trains the attenuation paper's adversarial network as the paper did: on random patches of reconstructions and maps.

Source: Huxohl et al., EJNMMI Physics 10 (2023) 49; least-squares adversarial losses. Not printed: the optimizer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from pipelines.networks.model_card import ModelCard
from pipelines.networks.paper_mu_map import MapGenerator
from pipelines.networks.weights import write_model
from pipelines.physics.attenuation import WATER_PER_CM
from pipelines.resampling import onto
from pipelines.training.learners import AdversarialPair
from pipelines.training.model_card import rounded
from pipelines.training.mu_map_batches import LEAST_WALL, LoadedPair
from pipelines.training.mu_map_data import MapCohort
from pipelines.training.mu_map_figures import MapErrors, domain_of_pairs, factor_errors, map_errors, mean_figures
from pipelines.training.paper_mu_map_patches import (
    PaperImage,
    draw_patches,
    on_own_grid,
    paper_image,
    predicted_map,
)
from pipelines.training.paper_mu_map_settings import EPOCHS, Distance, PaperMapSettings
from pipelines.training.progress import Budget, Report, silent, write_curves
from pipelines.training.progress_loop import Course, Trained, train

ARCHITECTURE = "pipelines.networks.paper_mu_map.MapGenerator"
LOSS = "L1 of the map in 1/cm"
VERSION = "1.0.0"
_BETAS = (0.9, 0.999)  # not printed; Adam's usual ones


def train_paper_mu_map(
    cohort: MapCohort,
    settings: PaperMapSettings,
    budget: Budget,
    folder: Path,
    *,
    name: str = "paper-mu-map",
    evidence: str = "",
    device: str = "cpu",
    report: Report = silent,
) -> ModelCard:
    """Train once; write the generator's weights, the model card and the curves into `folder`.

    The weights of the epoch with the lowest L1 on validation patients are kept. Goes on where an interrupted training
    stopped; raises OtherTraining if the folder holds another one.
    """
    learner = PaperMapLearner(cohort, settings, device)
    stated = {**settings.stated(), "budget": str(budget), "data": cohort.digest, "version": VERSION}
    training = hashlib.sha256(json.dumps(stated).encode()).hexdigest()
    course = Course(budget, check_every=learner.steps_per_epoch, patience=EPOCHS)
    result = train(learner, course, training, folder / "checkpoints" / f"{name}.safetensors", 0, report)
    write_curves(folder, [result.state.history], LOSS, f"{name}-curves")
    return write_paper_model(folder, cohort, settings, result, name=name, evidence=evidence, device=device)


def write_paper_model(
    folder: Path,
    cohort: MapCohort,
    settings: PaperMapSettings,
    result: Trained,
    *,
    name: str,
    evidence: str = "",
    device: str = "cpu",
) -> ModelCard:
    """Write the generator that a training ended with, and its card with what it reaches on test patients."""
    generator = trained_generator(settings, result)
    errors = [paper_errors(generator, LoadedPair(pair), settings, device) for pair in cohort.test]
    card = ModelCard(
        name=name,
        version=VERSION,
        architecture=ARCHITECTURE,
        settings={**settings.stated(), "epochs": result.state.history[-1].epoch},
        domain=domain_of_pairs(cohort),
        seeds=(settings.seed,),
        figures=rounded({"validation L1 in 1/cm": result.state.best, **mean_figures(errors)}),
        evidence=evidence,
    )
    return write_model(folder, card, [result.weights])


def trained_generator(settings: PaperMapSettings, result: Trained) -> MapGenerator:
    """Return the generator that a training ended with."""
    generator = settings.generator()
    generator.load_state_dict(dict(result.weights))
    return generator


class PaperMapLearner:
    """Generator and discriminator, updated in turn."""

    def __init__(self, cohort: MapCohort, settings: PaperMapSettings, device: str = "cpu") -> None:
        self._settings = settings
        self._device = device
        self._images = [paper_image(LoadedPair(pair), settings) for pair in cohort.train]
        self._validation = [paper_image(LoadedPair(pair), settings) for pair in cohort.validation]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self._generator, self._judge = settings.generator().to(device), settings.judge().to(device)
        self._pair = AdversarialPair(self._generator, self._judge, settings.learning_rate, _BETAS)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which as many patches are drawn as belong to an epoch."""
        return max(len(self._images) * self._settings.patches // self._settings.batch, 1)

    def step(self, number: int, spent: float) -> float:
        """Update the discriminator, then the generator, with the patches of this number; return the generator's L1."""
        settings = self._settings
        rng = np.random.default_rng([settings.seed, 8, number])
        seen, measured = (
            one.to(self._device) for one in draw_patches(self._images, rng, settings.batch, settings.patch)
        )
        made = self._pair.made(seen, settings.seed, number)
        if settings.adversarial_weight > 0:
            real, fake = self._judge(seen, measured), self._judge(seen, made.detach())
            self._pair.descend("discriminator", 0.5 * _off(real, 1.0) + 0.5 * _off(fake, 0.0))
        loss = settings.distance_weight * distance_loss(made, measured, settings.distance)
        if settings.adversarial_weight > 0:
            loss = loss + settings.adversarial_weight * 0.5 * _off(self._judge(seen, made), 1.0)
        self._pair.descend("generator", loss)
        return float(l1_loss(made.detach(), measured))

    def check(self) -> float:
        """Return the mean L1 of whole validation images; infinite for a training that ran away."""
        return _l1(self._generator, self._validation, self._device)

    def weights(self) -> dict[str, Tensor]:
        """Return the generator's weights."""
        return dict(self._generator.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """Return both networks and both optimizers' moments."""
        return self._pair.tensors()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        self._pair.restore(tensors)


def distance_loss(made: Tensor, measured: Tensor, how: Distance) -> Tensor:
    """Return the distance of maps `[batch, 1, z, y, x]`, in units of water so that the printed weights mean the same
    for each."""
    ours, theirs = made / WATER_PER_CM, measured / WATER_PER_CM
    if how is Distance.L1:
        return l1_loss(ours, theirs)
    squared = mse_loss(ours, theirs)
    return squared if how is Distance.L2 else squared + gradient_difference(ours, theirs)


def gradient_difference(made: Tensor, measured: Tensor) -> Tensor:
    """Return the mean difference of the steps between neighboring voxels (GDL, Mathieu et al. 2016, exponent 1)."""
    return torch.stack(
        [(made.diff(dim=axis).abs() - measured.diff(dim=axis).abs()).abs().mean() for axis in (-3, -2, -1)]
    ).mean()


def paper_errors(
    generator: MapGenerator, loaded: LoadedPair, settings: PaperMapSettings, device: str = "cpu"
) -> MapErrors:
    """Return the errors of the paper's map of one study, as `mu_map_figures.errors_of` does for ours."""
    image = paper_image(loaded, settings)
    predicted = predicted_map(generator, image, device)
    places = torch.nonzero(_wall_on(loaded, image))
    measured = image.mu_per_cm[: image.grid.shape[0]]
    factors = factor_errors(predicted, measured, image.grid.voxel_mm[1], places, loaded.pair.angles_deg)
    return map_errors(on_own_grid(predicted, image, loaded), loaded, factors)


def _wall_on(loaded: LoadedPair, image: PaperImage) -> Tensor:
    wall = onto(loaded.target[1:].float(), loaded.pair.map_grid, image.grid)[0]
    return wall > LEAST_WALL


def _off(judged: Tensor, wanted: float) -> Tensor:
    """Return the mean squared distance of a judgment from what is wanted (least-squares GAN)."""
    return (judged - wanted).square().mean()


def _l1(generator: MapGenerator, images: Sequence[PaperImage], device: str) -> float:
    errors = [
        float(l1_loss(predicted_map(generator, image, device), image.mu_per_cm[: image.grid.shape[0]]))
        for image in images
    ]
    mean = sum(errors) / len(errors)
    return mean if np.isfinite(mean) else float("inf")
