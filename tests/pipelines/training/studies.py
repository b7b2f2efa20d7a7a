"""Small studies with known expected counts for the tests of the trainings: bright spots that turn with the views."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections
from pipelines.training.denoiser_data import Cohort, TrainingStudy, split_by_patient, training_studies


def expected_counts(
    seed: int, gates: int = 1, views: int = 12, rows: int = 24, columns: int = 24
) -> NDArray[np.float64]:
    """Return `[gate, view, row, column]` of a few blurred spots at random places."""
    rng = np.random.default_rng(seed)
    angles = np.arange(views) * np.pi / views
    row, column = np.arange(rows)[:, None], np.arange(columns)[None, :]
    counts = np.full((views, rows, columns), 0.5)
    for _ in range(4):
        x, y = rng.uniform(-0.3, 0.3, 2) * columns
        middle = columns / 2 + x * np.cos(angles) + y * np.sin(angles)
        across = (column - middle[:, None, None]) ** 2 + (row - rng.uniform(0.3, 0.7) * rows) ** 2
        counts += rng.uniform(10, 40) * np.exp(-across / (2 * rng.uniform(1.5, 3.0) ** 2))
    return np.repeat(counts[None] / gates, gates, axis=0)


def a_study(seed: int, gates: int = 1, windows: int = 1, **size: int) -> Projections:
    """Return counted projections of one patient."""
    mean = expected_counts(seed, gates, **size)
    counts = np.random.default_rng([seed, 1]).poisson(np.repeat(mean[None], windows, axis=0))
    geometry = AcquisitionGeometry(
        angles_deg=tuple(225.0 - 180.0 / mean.shape[1] * view for view in range(mean.shape[1])),
        pixel_size_mm=(6.4, 6.4),
        rows=mean.shape[2],
        columns=mean.shape[3],
    )
    return Projections(counts.astype(np.float32), geometry, (EnergyWindow(126, 154),) * windows)


def a_training_study(seed: int = 0, gates: int = 1, patient: str = "", **size: int) -> TrainingStudy:
    """Return one training study."""
    (study,) = training_studies(a_study(seed, gates, 1, **size), patient or f"patient {seed}")
    return study


def a_cohort(patients: int = 6, gates: int = 1, **size: int) -> Cohort:
    """Return the studies of so many patients, split."""
    return split_by_patient([a_training_study(seed, gates, "", **size) for seed in range(patients)], seed=0)
