"""Trains our mu-map network: the map itself has to fit, and above all what it lets through from the heart.

The loss is the mean absolute error of the map (in units of water) plus that of the attenuation factors from the left
ventricle's wall, and with less weight from the whole body, to the detector at the acquired angles: fine structure
matters as far as it changes a polar map, and no more. Most weight has what bends a polar map: factors that are off by
different shares at different places of the wall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipelines.images import UnsuitableAcquisition
from pipelines.networks.model_card import ModelCard, WeightsError
from pipelines.networks.mu_map import ARCHITECTURE, FINER, WIDTHS, MuMapNetwork
from pipelines.networks.mu_map_grid import MULTIPLE, VOXEL_MM
from pipelines.networks.weights import TrainedModel, write_model
from pipelines.physics.attenuation import WATER_PER_CM
from pipelines.physics.escape import escape
from pipelines.training.ensemble import Weights, train_members
from pipelines.training.learners import AveragedNetwork, annealed, faster
from pipelines.training.model_card import rounded
from pipelines.training.mu_map_batches import Grids, LoadedPair, MapSample, draw_sample
from pipelines.training.mu_map_data import MapCohort
from pipelines.training.mu_map_figures import domain_of_pairs, errors_of, mean_figures
from pipelines.training.progress import Report, silent
from pipelines.training.progress_loop import Course, Learner

LOSS = "error of the map (water = 1) and of what it lets through"
RETRAINING_RATE = 6e-4  # a third of the usual: networks that have learned shall not forget
VERSION = "1.4.0"  # of network and training; it changes with everything that changes the weights
_WARM_UP = 0.01  # share of the budget in which the learning rate rises
_LEAST_RATE = 0.02  # share of the learning rate at the end


@dataclass(frozen=True)
class MuMapSettings:
    """How the network is trained; with the data and a budget of epochs this says all."""

    seed: int = 0
    members: int = 1  # networks of the ensemble, each from its own seed
    widths: tuple[int, ...] = WIDTHS
    voxel_mm: float = VOXEL_MM
    finer: int = FINER
    learning_rate: float = 2e-3
    slices: int = 32  # of the working grid in one step; a multiple of 8
    scatter_share: float = 0.5  # of the steps in which the scatter window is shown, where there is one
    heart_weight: float = 1.0
    body_weight: float = 0.2
    shape_weight: float = 3.0
    places: int = 96  # from which photons are followed, in the heart and in the body
    views: int = 12  # toward which they are followed
    averaging: float = 0.998  # of the weights over the steps

    @property
    def grids(self) -> Grids:
        """The grids of images and map."""
        return Grids(self.voxel_mm, self.finer)

    def network(self) -> MuMapNetwork:
        """Return an untrained network."""
        return MuMapNetwork(self.widths, self.finer)


def train_mu_map(
    cohort: MapCohort,
    settings: MuMapSettings,
    course: Course,
    folder: Path,
    *,
    name: str = "mu-map",
    evidence: str = "",
    device: str = "cpu",
    report: Report = silent,
    start: TrainedModel | None = None,
) -> ModelCard:
    """Train the members one after another; write weights, model card and curves into `folder`.

    Validation patients choose the weights, test patients give the card's figures. With `start`, the members go on from
    its networks, in turn, instead of from chance. Goes on where an interrupted training stopped; raises OtherTraining
    if the folder holds one with other settings, another budget, other data or another start, WeightsError if the
    networks to start from have other sizes, UnsuitableAcquisition if no study shows a heart.
    """
    origin = "" if start is None else start.card.sha256
    if start is not None:
        _check_sizes(start, settings)
    stated = {**asdict(settings), **asdict(course), "data": cohort.digest, "version": VERSION, "start": origin}
    training_pairs, validation = ([LoadedPair(pair) for pair in part] for part in (cohort.train, cohort.validation))

    def learner_of(member: int, begin: Weights | None) -> Learner:
        return MuMapLearner(training_pairs, validation, settings, member, device, begin)

    weights = train_members(settings.members, learner_of, stated, course, folder, loss=LOSS, report=report, start=start)
    return write_model(folder, _card(cohort, settings, weights, name, evidence, device, origin), weights)


def sizes(settings: MuMapSettings) -> dict[str, str | int | float]:
    """Return what a model card says of the networks' size and grid."""
    return {"widths": " ".join(map(str, settings.widths)), "finer": settings.finer, "voxel_mm": settings.voxel_mm}


def _check_sizes(start: TrainedModel, settings: MuMapSettings) -> None:
    wanted = sizes(settings)
    found = {name: start.card.settings.get(name) for name in wanted}
    if found != wanted:
        raise WeightsError(f"{start.card.name}: networks of {found} can't go on as networks of {wanted}")


def _card(
    cohort: MapCohort,
    settings: MuMapSettings,
    weights: Sequence[Weights],
    name: str,
    evidence: str,
    device: str,
    origin: str,
) -> ModelCard:
    """Return the card of trained members; `origin` is the SHA-256 of the weights that they started from, if any."""
    networks = [_network(one, settings, device) for one in weights]
    return ModelCard(
        name=name,
        version=VERSION,
        architecture=ARCHITECTURE,
        settings={
            **sizes(settings),
            "learning_rate": settings.learning_rate,
            **({"started_from": origin} if origin else {}),
        },
        domain=domain_of_pairs(cohort),
        seeds=tuple(settings.seed + member for member in range(settings.members)),
        figures=_figures(networks, cohort, settings, device),
        evidence=evidence,
    )


class MuMapLearner:
    """One member of the ensemble as it learns, with the running average of its weights that is kept in the end."""

    def __init__(
        self,
        pairs: Sequence[LoadedPair],
        validation: Sequence[LoadedPair],
        settings: MuMapSettings,
        member: int,
        device: str = "cpu",
        start: Weights | None = None,
    ) -> None:
        if not any(pair.pair.wall.any() for pair in pairs):
            raise UnsuitableAcquisition("no study to learn from shows a heart, so what leaves it can't be learned")
        self._pairs, self._validation = pairs, validation
        self._settings = settings
        self._member = member
        self._device = device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed + member)
            self._network = settings.network().to(device)
        if start is not None:
            self._network.load_state_dict(dict(start))
        self._average = settings.network().to(device)
        self._learned = AveragedNetwork(self._network, self._average, settings.learning_rate, settings.averaging)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which as many samples are drawn as there are pairs."""
        return len(self._pairs)

    def step(self, number: int, spent: float) -> float:
        """Learn from the sample of this number; return its loss."""
        settings = self._settings
        rng = np.random.default_rng([settings.seed, 4, self._member, number])
        sample = draw_sample(self._pairs, rng, settings.grids, settings.slices, settings.scatter_share)
        deepest = sample.images.shape[1] // settings.finer // MULTIPLE  # slices where the network sees most at once
        with faster(self._device, deepest):
            predicted = self._predict(self._network, sample)
        loss = map_loss(predicted, sample, settings, rng)
        self._learned.descend(loss, number, annealed(spent, _WARM_UP, _LEAST_RATE))
        return float(loss.detach())

    def _predict(self, network: MuMapNetwork, sample: MapSample) -> Tensor:
        flag = torch.tensor([float(sample.has_scatter)], device=self._device)
        mu: Tensor = network(sample.images[None].to(self._device), flag)[0]
        return mu

    @torch.inference_mode()
    def check(self) -> float:
        """Return the loss of the averaged weights on validation patients, half of them without a scatter window."""
        total = 0.0
        for number, pair in enumerate(self._validation):
            rng = np.random.default_rng([self._settings.seed, 5, number])
            sample = pair.whole(self._settings.grids, scatter=number % 2 == 0)
            total += float(map_loss(self._predict(self._average, sample), sample, self._settings, rng))
        return total / len(self._validation)

    def weights(self) -> dict[str, Tensor]:
        """Return the averaged weights."""
        return dict(self._average.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, their average, and the optimizer's moments."""
        return self._learned.tensors()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        self._learned.restore(tensors)


def map_loss(predicted: Tensor, sample: MapSample, settings: MuMapSettings, rng: np.random.Generator) -> Tensor:
    """Return the error of a predicted map `[z, y, x]` where the measured one is known, and of what it lets through.

    Photons are followed from random places of heart and body toward views that are spread over the arc.
    """
    measured, field = sample.mu_per_cm.to(predicted), sample.field.to(predicted.device)
    asked = field & sample.known.to(predicted.device)[:, None, None]
    loss = (predicted - measured)[asked].abs().mean() / WATER_PER_CM
    predicted = predicted * field
    angles = spread_views(sample.angles_deg, settings.views, rng)
    weights = ((sample.wall, settings.heart_weight, settings.shape_weight), (sample.body, settings.body_weight, 0.0))
    for places, weight, shape_weight in weights:
        if not len(places):
            continue
        chosen = places[torch.from_numpy(rng.integers(len(places), size=settings.places))].to(predicted)
        ours, theirs = (escape(mu, sample.voxel_mm, chosen, angles) for mu in (predicted, measured))
        loss = loss + weight * (ours - theirs).abs().mean()
        if shape_weight:
            loss = loss + shape_weight * bend(ours, theirs)
    return loss


def spread_views(angles_deg: Sequence[float], number: int, rng: np.random.Generator) -> list[float]:
    """Return so many of the views, spread evenly over the order in which they were taken, from a random start."""
    if len(angles_deg) <= number:
        return list(angles_deg)
    apart = len(angles_deg) / number
    first = rng.uniform(0.0, apart)
    return [angles_deg[min(int(first + apart * one), len(angles_deg) - 1)] for one in range(number)]


def bend(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return how much a polar map is bent by attenuation factors `[place, view]` in place of the true ones.

    That is the mean deviation of (our factor / the true one) over the wall from its own mean: a correction that is too
    strong everywhere changes no polar map.
    """
    ratio = ours.mean(dim=1) / theirs.mean(dim=1)
    return (ratio / ratio.mean() - 1.0).abs().mean()


def _network(weights: Mapping[str, Tensor], settings: MuMapSettings, device: str) -> MuMapNetwork:
    network = settings.network()
    network.load_state_dict(dict(weights))
    return network.to(device).eval()


def _figures(
    networks: Sequence[MuMapNetwork], cohort: MapCohort, settings: MuMapSettings, device: str
) -> dict[str, float]:
    """Return what the ensemble reaches on test patients, with and without their scatter window."""
    pairs = [LoadedPair(pair) for pair in cohort.test]
    figures: dict[str, float] = {}
    for scatter, words in ((True, ""), (False, " without a scatter window")):
        chosen = [pair for pair in pairs if not scatter or pair.scatter is not None]
        errors = [errors_of(networks, pair, settings.grids, scatter, device) for pair in chosen]
        figures |= mean_figures(errors, words) if errors else {}
    return rounded(figures)
