"""Where the guard draws its lines: what a model's own figures look like on patients that it was not trained on.

The pipeline itself runs on each held-out study at several doses, so that every figure is measured as it will be later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines import denoising
from pipelines.contract import Acquisition, PipelineInput
from pipelines.images import UnsuitableAcquisition
from pipelines.networks.model_card import DENOISER, ModelCard, checked_card
from pipelines.networks.weights import read_model, write_model
from pipelines.quality.denoising_guard import CHECKS
from pipelines.quality.guard import QUARANTINE, WARN
from pipelines.simulation.acquisition import thin
from pipelines.training.model_card import rounded
from pipelines.training.progress import Clock

DOSES = (1.0, 1 / 2, 1 / 4, 1 / 8)
THINNINGS = 2  # of each dose below the full one, by different photons
MINUTES = 20.0
REMARKED = 0.05  # of the held-out studies, by all checks together
ENOUGH_PATIENTS = 20  # for one in twenty to be one of them
MANY_PATIENTS = 200  # for one in two hundred to be one of them
FIGURES = tuple(check.figure for check in CHECKS)  # of the denoising guard

Float = NDArray[np.float64]
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Calibration:
    """The guard's figures of every run on held-out patients."""

    patients: tuple[str, ...]  # of each run
    runs: tuple[Figures, ...]
    figures: tuple[str, ...] = FIGURES  # that have limits

    @property
    def thresholds(self) -> dict[str, float]:
        """The limits of WARN and QUARANTINE of each figure, as a model card holds them; see `thresholds_of`."""
        return thresholds_of(self.runs, len(set(self.patients)), self.figures)


def check_model(models: Path | None, model: str) -> None:
    """Raise ValueError, with the file and the remedy, if there is no such denoiser in a folder (None: as shipped)."""
    checked_card(model, models, DENOISER)


def calibrate(
    model: str,
    models: Path,
    studies: Iterable[tuple[str, Acquisition]],
    seed: int,
    *,
    doses: Sequence[float] = DOSES,
    thinnings: int = THINNINGS,
    minutes: float = MINUTES,
    device: str = "cpu",
) -> Calibration:
    """Run the pipeline with a model of a folder on studies of held-out patients, each a name and an acquisition.

    Each study is run as it is and thinned to each lower dose, `thinnings` times each. Studies are taken until
    the time is up, one at least. Those that can't be processed, or whose counts aren't whole, are passed over.
    """
    clock = Clock(0.0)
    patients: list[str] = []
    runs: list[Figures] = []
    for number, (patient, acquisition) in enumerate(studies):
        if runs and clock.seconds > 60.0 * minutes:
            break
        rng = np.random.default_rng([seed, 31, number])
        try:
            found = [
                _run(model, models, acquisition, dose, rng, device)
                for dose in doses
                for _ in range(1 if dose == 1.0 else thinnings)
            ]
        except UnsuitableAcquisition:
            continue
        patients += [patient] * len(found)
        runs += found
    return Calibration(tuple(patients), tuple(runs))


def write_thresholds(folder: Path, model: str, calibration: Calibration) -> ModelCard:
    """Write the thresholds into a model's card, with the number of patients and runs that they come from."""
    trained = read_model(model, folder)
    figures = {
        **trained.card.figures,
        "guard: held-out patients": float(len(set(calibration.patients))),
        "guard: runs": float(len(calibration.runs)),
    }
    card = replace(trained.card, thresholds=rounded(calibration.thresholds), figures=figures)
    return write_model(folder, card, list(trained.members))


def thresholds_of(runs: Sequence[Figures], patients: int, figures: Sequence[str] = FIGURES) -> dict[str, float]:
    """Return `<figure>.warn` and `<figure>.quarantine` for every one of these figures that was measured.

    WARN: the same percentile of every figure, chosen so that at most 5 % of the runs exceed any of them (the 95th of
    each of seven figures would remark on every fourth sound study). Fewer than 20 patients can't tell what one in
    twenty is like: there it is the largest value seen.

    QUARANTINE: the 99.5th percentile, of fewer than 200 patients the largest value seen, and half of its distance from
    the median beyond: for a normal distribution where one in several thousand lies. The percentile alone would be
    no more than WARN, which is about the 99th where there are seven figures, and all of them together would hold back
    every thirtieth sound study. Runs of one patient are alike, so only patients count here.
    """
    values = np.array([[run.get(figure, np.nan) for figure in figures] for run in runs], dtype=np.float64)
    values = values.reshape(-1, len(figures))
    level = _level(values) if patients >= ENOUGH_PATIENTS else 1.0
    limits = {}
    for column, figure in enumerate(figures):
        seen = values[~np.isnan(values[:, column]), column]
        if not seen.size:
            continue
        top, median = float(np.quantile(seen, 0.995 if patients >= MANY_PATIENTS else 1.0)), float(np.median(seen))
        far = top + (top - median) / 2
        limits[f"{figure}.{WARN}"] = min(float(np.quantile(seen, level)), far)
        limits[f"{figure}.{QUARANTINE}"] = far
    return limits


def _level(values: Float) -> float:
    """Return the quantile of each figure `[run, figure]` that at most 5 % of the runs exceed in at least one figure."""
    ranks = np.zeros_like(values)
    for column in range(values.shape[1]):
        there = ~np.isnan(values[:, column])
        seen = values[there, column]
        # from 0 for the smallest to 1 for the largest; equal values share the lowest rank, so a constant never counts
        ranks[there, column] = np.searchsorted(np.sort(seen), seen) / max(seen.size - 1, 1)
    return float(np.quantile(ranks.max(axis=1), 1.0 - REMARKED, method="higher"))


def _run(
    model: str, models: Path, acquisition: Acquisition, dose: float, rng: np.random.Generator, device: str
) -> Figures:
    """Return the guard's figures of one run of the pipeline."""
    projections = acquisition.projections
    if projections is None:
        raise UnsuitableAcquisition("a reconstruction, not projections")
    thinned = projections if dose == 1.0 else thin(projections, dose, rng)
    options: dict[str, str | float] = {"dose_fraction": dose, "model": model, "models": str(models)}
    result = denoising.run(PipelineInput(replace(acquisition, projections=thinned), options=options), device)
    made = denoising.figures_in(result)
    return {check.figure: made.get(check.figure, float("nan")) for check in CHECKS}
