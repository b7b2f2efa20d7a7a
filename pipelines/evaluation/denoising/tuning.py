"""Chooses how strongly the filters smooth at each dose: `python -m pipelines.evaluation.denoising.tuning`.

Validation patients alone are looked at, none of the test.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.agreement.image_quality import rmse
from pipelines.evaluation.denoising.low_dose_table import CAMERA
from pipelines.evaluation.denoising.methods import filtered
from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.images import Projections
from pipelines.simulation.acquisition import thin
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import Split, StudySettings, make_study, plan_denoising_cohort

CANDIDATES: Mapping[Method, tuple[float, ...]] = {
    Method.GAUSSIAN: tuple(np.arange(4.0, 20.5, 1.0)),
    Method.BUTTERWORTH: tuple(np.round(np.arange(0.2, 1.01, 0.05), 2)),
    Method.NON_LOCAL_MEANS: tuple(np.round(np.arange(0.2, 1.61, 0.1), 2)),
}


def mean_rmse(studies: Sequence[Projections], dose: Dose, method: Method, strength: float) -> float:
    """Return the RMSE against the full dose, in counts over the brightest pixel times 255; mean over the studies."""
    errors = []
    for number, full in enumerate(studies):
        low = thin(full, dose.fraction, np.random.default_rng([number, 31]))
        scale = 255.0 / float(full.counts.max())
        errors.append(scale * rmse(filtered(low, dose, method, strength).counts, full.counts))
    return float(np.mean(errors))


def best_strength(studies: Sequence[Projections], dose: Dose, method: Method) -> tuple[float, float]:
    """Return the candidate with the lowest RMSE, and that RMSE."""
    error, strength = min((mean_rmse(studies, dose, method, value), value) for value in CANDIDATES[method])
    return strength, error


def main() -> None:
    """Print the best strength of each filter at each dose."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the cohort")
    parser.add_argument("--patients", type=int, default=8)
    given = parser.parse_args()
    plans = [plan for plan in plan_denoising_cohort(given.seed) if plan.split is Split.VALIDATION][: given.patients]
    studies = [make_study(plan, StudySettings(CAMERAS[CAMERA])).projections for plan in plans]
    for method in CANDIDATES:
        for dose in Dose:
            strength, error = best_strength(studies, dose, method)
            sys.stdout.write(f"{method.value}, {dose.value} dose: {strength:g} (RMSE {error:.2f})\n")


if __name__ == "__main__":
    main()
