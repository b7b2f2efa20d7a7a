"""`train mu-map`: learns to tell the mu-map from images that are not corrected, from studies that have both."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from dicomnode.cli.folders import input_folder, output_folder
from dicomnode.cli.mu_map_folder import read_pairs
from dicomnode.cli.training import chosen_budget, named_device, shown_training, training
from dicomnode.errors import StudyUnsuitable

MEMBERS = 2  # of the ensemble, as shipped: how far they differ is one of the guard's checks


class MapModel(Enum):
    """Which network is trained."""

    OURS = "ours"
    PAPER = "paper"
    PAPER_COMPACT = "paper-compact"


@training.command("mu-map")
def mu_map(
    data: Annotated[
        Path,
        input_folder(
            "Folder of NM TOMO or uncorrected RECON TOMO with a CT or an attenuation map in the same frame of "
            "reference, or of pairs made before (.npz); searched to its depths."
        ),
    ],
    out: Annotated[Path, output_folder("Where weights, model card, curves, checkpoints and pairs go.")],
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Train for so long; 60 unless said (paper: 100 epochs).")
    ] = None,
    epochs: Annotated[float | None, typer.Option(min=0.001, help="Or: so many passes over the data.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, data and epochs give the same weights.")] = 0,
    members: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=16,
            help="Networks of the ensemble, 2 unless said: one can't be asked whether it is sure; minutes are shared.",
        ),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            help="Go on from trained networks, with as many members: 'shipped', or a folder, or a card in it."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
    name: Annotated[str | None, typer.Option(help="What the model is called: mu-map, or paper-mu-map.")] = None,
    model: Annotated[
        MapModel, typer.Option(help="Our network, the paper's as a baseline, or a small copy of it for CPUs.")
    ] = MapModel.OURS,
    guard_minutes: Annotated[
        float, typer.Option(min=0.0, help="Time to calibrate the guard on the held-out patients; 0: not at all.")
    ] = 20.0,
) -> None:
    """Train the mu-map network on a site's own studies with CT or attenuation map, or on virtual ones.

    Patients are split 70:15:15 by the hash of their names, or as folders named train, validation and test lay down:
    validation chooses the weights, test gives the figures on the card, and both tell the guard's thresholds as far as
    they came as DICOM images. The same command goes on after an interruption.
    """
    from pipelines.images import UnsuitableAcquisition
    from pipelines.training.model_card import OF_A_SITE, VIRTUAL
    from pipelines.training.mu_map_data import split_pairs
    from pipelines.training.paper_mu_map_settings import EPOCHS
    from pipelines.training.progress import Budget
    from pipelines.training.progress_checkpoint import OtherTraining

    ours = model is MapModel.OURS
    if not ours and start_from:
        raise typer.BadParameter("the paper's network starts from chance", param_hint="--start-from")
    budget = chosen_budget(minutes, epochs, Budget(minutes=60.0) if ours else Budget(epochs=EPOCHS))
    place = named_device(device)
    named = name or ("mu-map" if ours else "paper-mu-map")
    start = _start(start_from) if start_from else None
    number = (members or (start.card.members if start else MEMBERS)) if ours else 1
    found = read_pairs(data, out / "pairs")
    print(found.words, file=sys.stderr)
    evidence = VIRTUAL if found.virtual else OF_A_SITE
    try:
        cohort = split_pairs(found.pairs)
        with shown_training(number) as report:
            common: dict[str, Any] = {"name": named, "evidence": evidence, "device": place, "report": report}
            if ours:
                _train_ours(cohort, budget, out, seed, number, start, common)
            else:
                _train_paper(cohort, budget, out, seed, model, common)
    except (UnsuitableAcquisition, OtherTraining) as error:
        raise StudyUnsuitable(str(error)) from None
    if ours and guard_minutes > 0:
        held_out = [(pair.patient, path) for pair, path in found.files if pair.part != "train"]
        _calibrate_guard(out, named, held_out, seed, guard_minutes, place)
    print(out / f"{named}.json")


def _train_ours(
    cohort: Any, budget: Any, out: Path, seed: int, members: int, start: Any, common: dict[str, Any]
) -> None:
    from pipelines.training.mu_map_training import RETRAINING_RATE, MuMapSettings, train_mu_map
    from pipelines.training.progress_loop import Course

    settings = MuMapSettings(seed=seed, members=members)
    if start is not None:
        stated = start.card.settings
        settings = replace(
            settings,
            widths=tuple(int(width) for width in str(stated["widths"]).split()),
            finer=int(stated["finer"]),
            voxel_mm=float(stated["voxel_mm"]),
            learning_rate=RETRAINING_RATE,
        )
    train_mu_map(cohort, settings, Course(budget), out, start=start, **common)


def _start(named: str) -> Any:
    """Return the networks to go on from."""
    from pipelines.training.start import MU_MAP, networks_to_start_from

    place = None if named == "shipped" else Path(named)
    name = "mu-map"
    if place is not None and place.suffix == ".json":
        place, name = place.parent, place.stem
    try:
        return networks_to_start_from(name, MU_MAP, place)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--start-from") from None


def _calibrate_guard(
    models: Path, model: str, files: Sequence[tuple[str, Path]], seed: int, minutes: float, device: str
) -> None:
    """Write thresholds of the guard into a model's card, from files of patients that the model was not trained on."""
    from dicomnode.objects.reader import read_acquisition
    from pipelines.training.guard_thresholds import write_thresholds
    from pipelines.training.mu_map_thresholds import calibrate_maps

    if not files:
        words = "no acquisition of a held-out patient came as a DICOM image: the guard has no thresholds"
        print(words, file=sys.stderr)
        return
    shuffled = random.Random(seed).sample(files, len(files))  # noqa: S311 - an order, not a secret
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        studies = (
            (patient, read_acquisition(path))
            for patient, path in progress.track(shuffled, description="Thresholds of the guard")
        )
        found = calibrate_maps(model, models, studies, minutes=minutes, device=device)
    write_thresholds(models, model, found)
    words = f"thresholds of the guard: {len(found.runs)} runs of {len(set(found.patients))} held-out patients"
    print(words, file=sys.stderr)


def _train_paper(cohort: Any, budget: Any, out: Path, seed: int, model: MapModel, common: dict[str, Any]) -> None:
    from pipelines.training.paper_mu_map import train_paper_mu_map
    from pipelines.training.paper_mu_map_settings import PaperMapSettings

    settings = PaperMapSettings(seed=seed)
    if model is MapModel.PAPER_COMPACT:
        settings = settings.compact()
    train_paper_mu_map(cohort, settings, budget, out, **common)
