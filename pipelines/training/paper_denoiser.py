"""Trains the denoising paper's adversarial network as the paper did: on pairs of low-dose and full-dose projections.

Source: Aghakhan Olia et al., J. Nucl. Cardiol. 2022. One network for one dose; gates need a training of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from pipelines.images import UnsuitableAcquisition
from pipelines.networks.adversarial import PIXELS, Discriminator, Generator
from pipelines.networks.model_card import ModelCard
from pipelines.networks.weights import write_model
from pipelines.training.denoiser_data import Cohort, TrainingStudy
from pipelines.training.learners import AdversarialPair
from pipelines.training.model_card import domain_of, rounded
from pipelines.training.progress import Budget, Report, silent, write_curves
from pipelines.training.progress_loop import Course, train

EPOCHS = 50  # "about 50"
L2_WEIGHT = 100.0  # against 1 for the adversarial loss
LOSS = "RMSE, 0 to 255 of each study's own maximum"
VERSION = "1.1.0"
LEARNING_RATE = 1e-3
_BETAS = (0.5, 0.999)  # not printed; usual for adversarial training
_SCALE = 255.0

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class PaperSettings:
    """Which of the paper's trainings, and what the paper leaves open."""

    dose: float = 0.5
    gated: bool = False  # frames are single gates
    seed: int = 0
    learning_rate: float = LEARNING_RATE
    frames: int = 8  # of one step


@dataclass(frozen=True)
class Pair:
    """Projections of one study `[frame, row, column]`, each set divided by its own maximum."""

    low_dose: Frames
    full_dose: Frames


def make_pair(study: TrainingStudy, settings: PaperSettings, rng: np.random.Generator) -> Pair:
    """Return a study thinned to the dose. Raises UnsuitableAcquisition if it isn't of 64 x 64 pixels."""
    if study.counts.shape[2:] != (PIXELS, PIXELS):
        raise UnsuitableAcquisition(
            f"found projections of {study.counts.shape[2]} x {study.counts.shape[3]} pixels; "
            f"the paper's network takes {PIXELS} x {PIXELS} alone"
        )
    full = study.counts.astype(np.int64)
    low = rng.binomial(full, settings.dose)
    if settings.gated:
        return Pair(_own_scale(low.reshape(-1, PIXELS, PIXELS)), _own_scale(full.reshape(-1, PIXELS, PIXELS)))
    return Pair(_own_scale(low.sum(axis=0)), _own_scale(full.sum(axis=0)))


def _own_scale(counts: NDArray[np.int64]) -> Frames:
    return (counts / max(int(counts.max()), 1)).astype(np.float32)


@torch.inference_mode()
def predict(generator: Generator, low_dose: Frames, device: str = "cpu", batch: int = 32) -> Frames:
    """Return the full-dose projections `[frame, row, column]`, as shares of the full dose's maximum.

    `low_dose` is divided by the maximum of all its frames, as in training.
    """
    generator.to(device).eval()
    scaled = torch.from_numpy(np.asarray(low_dose / max(float(low_dose.max()), 1e-9), dtype=np.float32))
    parts = [generator(scaled[at : at + batch, None].to(device)).cpu() for at in range(0, len(scaled), batch)]
    predicted: Frames = torch.cat(parts)[:, 0].numpy()
    return predicted


def in_counts(predicted: Frames, low_dose: Frames, dose: float) -> Frames:
    """Return predicted shares of an unknown maximum as counts: as many as the measured ones stand for at full dose.

    The paper doesn't say how it was done; `low_dose` are the counts `[frame, row, column]` that went in.
    """
    total = float(low_dose.sum(dtype=np.float64)) / dose
    return np.asarray(predicted * (total / float(predicted.sum(dtype=np.float64))), dtype=np.float32)


def train_paper(
    cohort: Cohort,
    settings: PaperSettings,
    budget: Budget,
    folder: Path,
    *,
    name: str = "paper",
    evidence: str = "",
    device: str = "cpu",
    report: Report = silent,
) -> ModelCard:
    """Train for one dose; write the generator's weights, the model card and the curves into `folder`.

    The trainings of all doses may lie in one folder, each under its name. Goes on where an interrupted one stopped.
    The weights of the epoch that did best on held-out patients are kept. Raises UnsuitableAcquisition if there are
    no such projections, OtherTraining as `train_denoiser` does.
    """
    learner = PaperLearner(cohort, settings, device)
    stated = {**asdict(settings), **asdict(budget), "data": cohort.digest, "version": VERSION}
    training = hashlib.sha256(json.dumps(stated).encode()).hexdigest()
    course = Course(budget, check_every=learner.steps_per_epoch, patience=EPOCHS)
    result = train(learner, course, training, folder / "checkpoints" / f"{name}.safetensors", 0, report)
    write_curves(folder, [result.state.history], LOSS, f"{name}-curves")
    generator = Generator()
    generator.load_state_dict(dict(result.weights))
    rmse = f"held-out RMSE (0-255) at dose {settings.dose:g}"
    card = ModelCard(
        name=name,
        version=VERSION,
        architecture="pipelines.networks.adversarial.Generator",
        settings={**asdict(settings), "epochs": result.state.history[-1].epoch},
        domain=domain_of(cohort.train),
        seeds=(settings.seed,),
        figures=rounded({rmse: result.state.best, f"{rmse}, before": learner.low_dose_rmse}),
        evidence=evidence,
    )
    return write_model(folder, card, [result.weights])


class PaperLearner:
    """Generator and discriminator, updated in turn."""

    def __init__(self, cohort: Cohort, settings: PaperSettings, device: str = "cpu") -> None:
        self._settings = settings
        self._device = device
        train_on, held_out = (_wanted(studies, settings.gated) for studies in (cohort.train, cohort.held_out))
        if not train_on or not held_out:
            raise UnsuitableAcquisition("found no gated projections in training or held-out patients")
        rng = np.random.default_rng([settings.seed, 5])  # a study's low dose is drawn once, as in the paper
        pairs = [make_pair(study, settings, rng) for study in train_on]
        self._low = torch.from_numpy(np.concatenate([pair.low_dose for pair in pairs]))
        self._full = torch.from_numpy(np.concatenate([pair.full_dose for pair in pairs]))
        self._held_out = [make_pair(study, settings, rng) for study in held_out]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self._generator, self._discriminator = Generator().to(device), Discriminator().to(device)
        self._pair = AdversarialPair(self._generator, self._discriminator, settings.learning_rate, _BETAS)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which each frame is seen once."""
        return max(len(self._low) // self._settings.frames, 1)

    @property
    def low_dose_rmse(self) -> float:
        """The loss on held-out patients of what goes in."""
        return _mean([_rmse(pair.low_dose, pair.full_dose) for pair in self._held_out])

    def step(self, number: int, spent: float) -> float:
        """Update the discriminator, then the generator, with the batch of this number; return the generator's RMSE."""
        epoch, place = divmod(number, self.steps_per_epoch)
        order = np.random.default_rng([self._settings.seed, 6, epoch]).permutation(len(self._low))
        chosen = torch.from_numpy(order[place * self._settings.frames :][: self._settings.frames])
        low, full = (frames[chosen, None].to(self._device) for frames in (self._low, self._full))
        predicted = self._pair.made(low, self._settings.seed, number)
        self._update_discriminator(low, full, predicted.detach())
        return self._update_generator(low, full, predicted)

    def _update_discriminator(self, low: Tensor, full: Tensor, predicted: Tensor) -> None:
        real, made = self._discriminator(low, full), self._discriminator(low, predicted)
        loss = binary_cross_entropy_with_logits(real, torch.ones_like(real))
        loss = loss + binary_cross_entropy_with_logits(made, torch.zeros_like(made))
        self._pair.descend("discriminator", loss)

    def _update_generator(self, low: Tensor, full: Tensor, predicted: Tensor) -> float:
        judged = self._discriminator(low, predicted)
        error = (predicted - full).square().mean(dim=(1, 2, 3)).sqrt().mean()  # the L2 norm of each frame
        adversarial = binary_cross_entropy_with_logits(judged, torch.ones_like(judged))
        self._pair.descend("generator", L2_WEIGHT * error + adversarial)
        return _SCALE * float(error.detach())

    def check(self) -> float:
        """Return the mean RMSE of held-out patients."""
        return _mean(
            [_rmse(predict(self._generator, pair.low_dose, self._device), pair.full_dose) for pair in self._held_out]
        )

    def weights(self) -> dict[str, Tensor]:
        """Return the generator's weights."""
        return dict(self._generator.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """Return both networks and both optimizers' moments."""
        return self._pair.tensors()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        self._pair.restore(tensors)


def _wanted(studies: Sequence[TrainingStudy], gated: bool) -> list[TrainingStudy]:
    return [study for study in studies if study.gates > 1 or not gated]


def _rmse(predicted: Frames, full_dose: Frames) -> float:
    return _SCALE * float(np.sqrt(np.mean((predicted - full_dose) ** 2)))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
