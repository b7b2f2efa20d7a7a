"""Trains our denoiser on noisy studies alone: it foretells, from a part of the counts, the counts held out from it.

The loss is the Poisson likelihood of the held-out counts; its expectation is smallest for the true expected counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipelines.networks.denoiser import ARCHITECTURE, WIDTH, Denoiser
from pipelines.networks.model_card import ModelCard, WeightsError
from pipelines.networks.weights import TrainedModel, write_model
from pipelines.training.denoiser_data import VALIDATION_DOSES, Batch, Cohort, draw_batch, validation_batches
from pipelines.training.ensemble import Weights, train_members
from pipelines.training.learners import AveragedNetwork, annealed
from pipelines.training.model_card import domain_of, rounded
from pipelines.training.progress import Report, silent
from pipelines.training.progress_loop import Course, Learner

LOSS = "deviance per pixel of held-out counts"
RETRAINING_RATE = 1e-3  # a third of the usual: networks that have learned shall not forget
VERSION = "2.0.0"  # of network and training; it changes with everything that changes the weights
_WARM_UP = 0.02  # share of the budget in which the learning rate rises
_LEAST_RATE = 0.01  # share of the learning rate at the end


@dataclass(frozen=True)
class DenoiserSettings:
    """How the denoiser is trained; with the data and a budget of epochs this says all."""

    seed: int = 0
    members: int = 1  # networks of the ensemble, each from its own seed
    width: int = WIDTH
    learning_rate: float = 3e-3
    frames: int = 16  # of one step; a multiple of 4
    crop: tuple[int, int] = (40, 64)  # rows, columns
    kept: tuple[float, float] = (1 / 16, 0.9)  # the share of the counts that is seen
    averaging: float = 0.999  # of the weights over the steps
    validation_batches: int = 12


def train_denoiser(
    cohort: Cohort,
    settings: DenoiserSettings,
    course: Course,
    folder: Path,
    *,
    name: str = "denoiser",
    evidence: str = "",
    device: str = "cpu",
    report: Report = silent,
    start: TrainedModel | None = None,
) -> ModelCard:
    """Train the members one after another; write weights, model card and curves into `folder`.

    With `start`, the members go on from its networks, in turn, instead of from chance: retraining on a site's own
    studies. Goes on where an interrupted training stopped; the checkpoints are in `folder/checkpoints`. Raises
    OtherTraining if the folder holds one with other settings, another budget, other data or another start,
    WeightsError if the networks to start from have another width.
    """
    if start is not None and start.card.width != settings.width:
        found = start.card.width
        raise WeightsError(f"{start.card.name}: networks of width {found} can't go on as networks of {settings.width}")
    origin = "" if start is None else start.card.sha256
    stated = {**asdict(settings), **asdict(course), "data": cohort.digest, "version": VERSION, "start": origin}

    def learner_of(member: int, begin: Weights | None) -> Learner:
        return DenoiserLearner(cohort, settings, member, device, begin)

    weights = train_members(settings.members, learner_of, stated, course, folder, loss=LOSS, report=report, start=start)
    return write_model(folder, _card(cohort, settings, weights, name, evidence, origin), weights)


def _card(
    cohort: Cohort,
    settings: DenoiserSettings,
    weights: Sequence[Weights],
    name: str,
    evidence: str,
    origin: str,
) -> ModelCard:
    """Return the card of trained members; `origin` is the SHA-256 of the weights that they started from, if any."""
    return ModelCard(
        name=name,
        version=VERSION,
        architecture=ARCHITECTURE,
        settings={
            "width": settings.width,
            "learning_rate": settings.learning_rate,
            "least_dose": settings.kept[0],
            **({"started_from": origin} if origin else {}),
        },
        domain=domain_of(cohort.train),
        seeds=tuple(settings.seed + member for member in range(settings.members)),
        figures=_figures([_network(one, settings.width) for one in weights], cohort, settings),
        evidence=evidence,
    )


class DenoiserLearner:
    """One member of the ensemble as it learns, with the running average of its weights that is kept in the end."""

    def __init__(
        self,
        cohort: Cohort,
        settings: DenoiserSettings,
        member: int,
        device: str = "cpu",
        start: Weights | None = None,
    ) -> None:
        self._studies = cohort.train
        self._settings = settings
        self._member = member
        self._device = device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed + member)
            self._network = Denoiser(settings.width).to(device)
        if start is not None:
            self._network.load_state_dict(dict(start))
        self._average = Denoiser(settings.width).to(device)
        self._learned = AveragedNetwork(self._network, self._average, settings.learning_rate, settings.averaging)
        self._validation = validation_batches(
            cohort.held_out, settings.seed, settings.validation_batches, settings.frames, settings.crop
        )

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which as many frames are drawn as there are views."""
        return max(sum(study.views for study in self._studies) // self._settings.frames, 1)

    def step(self, number: int, spent: float) -> float:
        """Learn from the batch of this number; return its deviance per pixel."""
        settings = self._settings
        rng = np.random.default_rng([settings.seed, 3, self._member, number])
        batch = draw_batch(self._studies, rng, settings.frames, settings.crop, settings.kept)
        loss = deviance(self._network, batch, self._device)
        self._learned.descend(loss, number, annealed(spent, _WARM_UP, _LEAST_RATE))
        return float(loss.detach())

    def check(self) -> float:
        """Return the deviance per pixel of the averaged weights on held-out patients."""
        return held_out_deviance([self._average], self._validation, self._device)

    def weights(self) -> dict[str, Tensor]:
        """Return the averaged weights."""
        return dict(self._average.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, their average, and the optimizer's moments."""
        return self._learned.tensors()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        self._learned.restore(tensors)


def deviance(network: Denoiser, batch: Batch, device: str = "cpu") -> Tensor:
    """Return twice the log-likelihood that the prediction of the held-out counts lacks, per pixel."""
    return _deviance(network(_tensor(batch.frames, device)), batch, device)


@torch.inference_mode()
def held_out_deviance(networks: Sequence[Denoiser], batches: Sequence[Batch], device: str = "cpu") -> float:
    """Return the deviance per pixel of the mean prediction of an ensemble."""
    total = 0.0
    for batch in batches:
        frames = _tensor(batch.frames, device)
        expected = torch.stack([network(frames) for network in networks]).mean(dim=0)
        total += float(_deviance(expected, batch, device))
    return total / len(batches)


def _deviance(expected: Tensor, batch: Batch, device: str) -> Tensor:
    counted = _tensor(batch.held_out, device)
    foretold = expected * _tensor(batch.odds, device)[:, None, None]
    return 2.0 * (foretold - counted + torch.xlogy(counted, counted) - torch.xlogy(counted, foretold)).mean()


def _tensor(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], device: str) -> Tensor:
    return torch.from_numpy(values).to(device)


def _network(weights: Mapping[str, Tensor], width: int) -> Denoiser:
    network = Denoiser(width)
    network.load_state_dict(dict(weights))
    return network


def _figures(networks: Sequence[Denoiser], cohort: Cohort, settings: DenoiserSettings) -> dict[str, float]:
    """Return what the ensemble reaches on held-out patients beside the smooth estimate that it starts from."""
    batches = validation_batches(
        cohort.held_out, settings.seed + 1, settings.validation_batches, settings.frames, settings.crop
    )
    start = [Denoiser(settings.width)]
    figures = {}
    for number, dose in enumerate(VALIDATION_DOSES):
        own = batches[number :: len(VALIDATION_DOSES)]
        figures[f"held-out deviance per pixel at dose {dose:g}"] = held_out_deviance(networks, own)
        figures[f"the same before training at dose {dose:g}"] = held_out_deviance(start, own)
    return rounded(figures)
