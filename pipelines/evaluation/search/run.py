"""The attenuation paper's random search: trainings with settings drawn at random, journalled, resumable, budgeted.

Source: Huxohl et al., EJNMMI Physics 10 (2023) 49. Which trainings had not converged was told by eye there; here a rule
says it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipelines.evaluation.run_folder import begin
from pipelines.evaluation.search.journal import TrainingRecord, append, read_journal
from pipelines.images import UnsuitableAcquisition
from pipelines.networks.paper_mu_map import MapGenerator
from pipelines.training.mu_map_batches import LoadedPair
from pipelines.training.mu_map_data import MapCohort, MapPair
from pipelines.training.paper_mu_map import PaperMapLearner, paper_errors, trained_generator, write_paper_model
from pipelines.training.paper_mu_map_patches import paper_image, predicted_map
from pipelines.training.paper_mu_map_settings import EPOCHS, PaperMapSettings, draw_paper_settings, reduced
from pipelines.training.progress import Budget, Report, silent
from pipelines.training.progress_loop import Course, Trained, train

BEST = "paper-mu-map"  # the name of the best training's model, as `evaluate attenuation --paper` looks for it
WORST_NMAE = 0.05  # of a training that converged
LEAST_SPREAD = 0.25  # of the measured map's standard deviation: a map with less shows no body


@dataclass(frozen=True)
class SearchSettings:
    """What decides the trainings of a search, but for how many there are."""

    seed: int = 0
    epochs: float | None = EPOCHS  # of each training
    minutes: float | None = None  # or: minutes of each
    width_share: float | None = None  # of the paper's filters; None: the paper's size

    @property
    def budget(self) -> Budget:
        """What each training may use. Raises ValueError unless exactly one of epochs and minutes is given."""
        return Budget(self.epochs, self.minutes)

    def drawn(self, number: int) -> PaperMapSettings:
        """Return the settings of a training; they depend on the seed and its number alone."""
        settings = draw_paper_settings(np.random.default_rng([self.seed, 9, number]), seed=self.seed + number)
        return settings if self.width_share is None else reduced(settings, self.width_share)


def with_scatter_correction(cohort: MapCohort) -> MapCohort:
    """Return those pairs that have both images, so that with and without scatter correction learn from the same.

    Raises UnsuitableAcquisition if a part of the data is left empty.
    """
    parts = [tuple(one for one in part if one.corrected is not None) for part in _parts(cohort)]
    if not all(parts):
        found = ", ".join(str(len(part)) for part in parts)
        raise UnsuitableAcquisition(
            f"{found} pairs for training, validation and test have a scatter window: the search tries images with and "
            "without scatter correction and needs one of each"
        )
    return MapCohort(*parts)


def _parts(cohort: MapCohort) -> tuple[tuple[MapPair, ...], ...]:
    return cohort.train, cohort.validation, cohort.test


def search(
    cohort: MapCohort,
    settings: SearchSettings,
    budget: int,
    folder: Path,
    *,
    evidence: str,
    device: str = "cpu",
    report: Report = silent,
) -> Iterator[TrainingRecord]:
    """Yield the records of so many trainings: those of the journal at once, the others as they end.

    `report` is told the number of a training and how far it has come. The best one's model lies in the folder as
    `BEST`. An interrupted training goes on from its checkpoint. Raises OtherRun if the folder holds another search,
    UnsuitableAcquisition as `with_scatter_correction`.
    """
    cohort = with_scatter_correction(cohort)
    begin(folder, {**asdict(settings), "data": cohort.digest}, name="search.json")
    records = {record.number: record for record in read_journal(folder)}
    best = min((one.nmae for one in records.values() if one.nmae is not None and not one.discarded), default=np.inf)
    for number in range(budget):
        if number not in records:
            drawn, running = settings.drawn(number), folder / "running"
            result = _trained(cohort, number, drawn, settings.budget, running, device, report)
            record = _judged(cohort, number, drawn, result, device)
            if record.nmae is not None and not record.discarded and record.nmae < best:
                best = record.nmae
                write_paper_model(folder, cohort, drawn, result, name=BEST, evidence=evidence, device=device)
            append(folder, record)
            shutil.rmtree(running, ignore_errors=True)  # a checkpoint holds both networks twice over
            records[number] = record
        yield records[number]


def _trained(
    cohort: MapCohort,
    number: int,
    drawn: PaperMapSettings,
    budget: Budget,
    running: Path,
    device: str,
    report: Report,
) -> Trained:
    learner = PaperMapLearner(cohort, drawn, device)
    course = Course(budget, check_every=learner.steps_per_epoch, patience=EPOCHS)
    stated = json.dumps({**drawn.stated(), "budget": str(budget), "data": cohort.digest})
    name = hashlib.sha256(stated.encode()).hexdigest()
    return train(learner, course, name, running / f"{number:04d}.safetensors", number, report)


def _judged(cohort: MapCohort, number: int, drawn: PaperMapSettings, result: Trained, device: str) -> TrainingRecord:
    """Return the record of a training, measured on validation images."""
    history = result.state.history
    lowest = min(history, key=lambda one: one.held_out)
    nmae, spread = None, None
    if result.weights:  # else it ran away before its first check
        generator = trained_generator(drawn, result)
        pairs = [LoadedPair(pair) for pair in cohort.validation]
        nmae = _finite(np.mean([paper_errors(generator, pair, drawn, device).nmae for pair in pairs]))
        spread = _finite(np.mean([map_spread(generator, pair, drawn, device) for pair in pairs]))
    return TrainingRecord(
        number, drawn.stated(), nmae, spread, history[-1].epoch, lowest.epoch, why_discarded(nmae, spread),
        history[-1].seconds,
    )  # fmt: skip


def _finite(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None


def map_spread(generator: MapGenerator, loaded: LoadedPair, drawn: PaperMapSettings, device: str = "cpu") -> float:
    """Return the standard deviation of a predicted map's values over that of the measured one's."""
    image = paper_image(loaded, drawn)
    predicted = predicted_map(generator, image, device)
    return float(predicted.std() / image.mu_per_cm[: image.grid.shape[0]].std().clamp_min(1e-12))


def why_discarded(nmae: float | None, spread: float | None) -> str:
    """Return why a training counts as not converged; empty if it converged."""
    if nmae is None or spread is None:
        return "its values ran away"
    if nmae > WORST_NMAE:
        return f"NMAE above {WORST_NMAE:g}"
    return f"maps without a body: spread below {LEAST_SPREAD:g} of the measured one's" if spread < LEAST_SPREAD else ""
