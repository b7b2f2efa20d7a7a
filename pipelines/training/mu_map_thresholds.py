"""Where the guard of predicted mu-maps draws its lines: its figures on patients that the networks were not trained on.

The pipeline itself runs on each held-out study, with and without its scatter window, so that every figure is measured
as it will be later. Virtual patients for it: `python -m pipelines.training.mu_map_thresholds MODELS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pipelines import attenuation_correction
from pipelines.contract import Acquisition, CardiacState, PatientSex, PipelineInput
from pipelines.images import Projections, UnsuitableAcquisition
from pipelines.networks.model_card import MU_MAP, checked_card
from pipelines.physics.scatter import scatter_windows
from pipelines.quality.map_guard import LEARNED_FIGURES
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import StudySettings, make_study, plan_attenuation_cohort
from pipelines.simulation.vendor import vendor_reconstruction
from pipelines.training.guard_thresholds import MINUTES, Calibration, Figures, write_thresholds
from pipelines.training.mu_map_cohort import MIX, VENDOR_ONLY
from pipelines.training.progress import Clock

SEED = 9_400  # of the virtual patients: far from those of trainings
PATIENTS, PATIENTS_MINUTES = 240, 120.0  # virtual ones; they take a core 50 minutes


def calibrate_maps(
    model: str,
    models: Path,
    studies: Iterable[tuple[str, Acquisition]],
    *,
    minutes: float = MINUTES,
    device: str = "cpu",
) -> Calibration:
    """Run the pipeline with a model of a folder on studies of held-out patients, each a name and an acquisition.

    Studies are taken until the time is up, one at least. Those that can't be processed are passed over.
    """
    clock = Clock(0.0)
    patients: list[str] = []
    runs: list[Figures] = []
    for patient, acquisition in studies:
        if runs and clock.seconds > 60.0 * minutes:
            break
        try:
            found = [_run(model, models, one, device) for one in _with_and_without_scatter(acquisition)]
        except UnsuitableAcquisition:
            continue
        patients += [patient] * len(found)
        runs += found
    return Calibration(tuple(patients), tuple(runs), LEARNED_FIGURES)


def _with_and_without_scatter(acquisition: Acquisition) -> list[Acquisition]:
    projections = acquisition.projections
    if projections is None or scatter_windows(projections)[0] is None:
        return [acquisition]
    return [acquisition, replace(acquisition, projections=_photopeak_alone(projections))]


def _photopeak_alone(projections: Projections) -> Projections:
    peak = projections.photopeak
    return replace(
        projections, counts=projections.counts[peak : peak + 1], windows=(projections.windows[peak],), photopeak=0
    )


def _run(model: str, models: Path, acquisition: Acquisition, device: str) -> Figures:
    """Return the guard's figures of one run of the pipeline."""
    options: dict[str, str | float] = {"map": "network", "model": model, "models": str(models)}
    made = attenuation_correction.figures_in(
        attenuation_correction.run(PipelineInput(acquisition, options=options), device)
    )
    return {figure: made.get(figure, float("nan")) for figure in LEARNED_FIGURES}


def virtual_studies(seed: int, patients: int) -> Iterator[tuple[str, Acquisition]]:
    """Yield one virtual study of each patient, on the cameras of the training in turn and at last the vendor's own."""
    cameras = (*MIX, VENDOR_ONLY)
    for number, plan in enumerate(plan_attenuation_cohort(seed, patients, patients)):
        camera = cameras[number % len(cameras)]
        projections = make_study(plan, StudySettings(CAMERAS[camera])).projections
        acquisition = Acquisition("held out", state=CardiacState(plan.state), sex=PatientSex(plan.sex.value[:1]))
        if camera == VENDOR_ONLY:
            yield str(plan.patient), replace(acquisition, reconstruction=vendor_reconstruction(projections))
        else:
            yield str(plan.patient), replace(acquisition, projections=projections)


def main() -> None:
    """Write the thresholds of a model, from virtual patients, into its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="folder with the model's weights and card")
    parser.add_argument("--model", default="mu-map")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--minutes", type=float, default=PATIENTS_MINUTES)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    checked_card(given.model, given.models, MU_MAP)
    studies = virtual_studies(given.seed, given.patients)
    found = calibrate_maps(given.model, given.models, studies, minutes=given.minutes, device=given.device)
    card = write_thresholds(given.models, given.model, found)
    print(*(f"{name} {value:.3g}" for name, value in card.thresholds.items()), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
