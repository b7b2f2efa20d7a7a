"""`train mu-map`: learns to tell the mu-map from images that are not corrected, from studies that have both."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from dicomnode.cli.mu_map_folder import read_pairs
from dicomnode.cli.training import chosen_budget, named_device, shown_training, training
from dicomnode.errors import StudyUnsuitable


class MapModel(Enum):
    """Which network is trained."""

    OURS = "ours"
    PAPER = "paper"
    PAPER_COMPACT = "paper-compact"


@training.command("mu-map")
def mu_map(
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of NM TOMO or uncorrected RECON TOMO with a CT or an attenuation map in the same frame of "
            "reference, or of pairs made before (.npz); searched to its depths."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where weights, model card, curves, checkpoints and pairs go.")],
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Train for so long; 60 unless said (paper: 100 epochs).")
    ] = None,
    epochs: Annotated[float | None, typer.Option(min=0.001, help="Or: so many passes over the data.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, data and epochs give the same weights.")] = 0,
    members: Annotated[int, typer.Option(min=1, max=16, help="Networks of the ensemble; minutes are shared.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
    name: Annotated[str | None, typer.Option(help="What the model is called: mu-map, or paper-mu-map.")] = None,
    model: Annotated[
        MapModel, typer.Option(help="Our network, the paper's as a baseline, or a small copy of it for CPUs.")
    ] = MapModel.OURS,
) -> None:
    """Train the mu-map network on a site's own studies with CT or attenuation map, or on virtual ones.

    Patients are split 70:15:15 by the hash of their names, or as folders named train, validation and test lay down:
    validation chooses the weights, test gives the figures on the card. The same command goes on after an interruption.
    """
    from pipelines.images import UnsuitableAcquisition
    from pipelines.training.model_card import OF_A_SITE, VIRTUAL
    from pipelines.training.mu_map_data import split_pairs
    from pipelines.training.paper_mu_map_settings import EPOCHS
    from pipelines.training.progress import Budget
    from pipelines.training.progress_checkpoint import OtherTraining

    ours = model is MapModel.OURS
    budget = chosen_budget(minutes, epochs, Budget(minutes=60.0) if ours else Budget(epochs=EPOCHS))
    place = named_device(device)
    named = name or ("mu-map" if ours else "paper-mu-map")
    found = read_pairs(data, out / "pairs")
    print(f"{len(found.pairs)} pairs; {len(found.passed_over)} other files were passed over", file=sys.stderr)
    evidence = VIRTUAL if found.virtual else OF_A_SITE
    try:
        cohort = split_pairs(found.pairs)
        with shown_training(members if ours else 1) as report:
            common: dict[str, Any] = {"name": named, "evidence": evidence, "device": place, "report": report}
            if ours:
                _train_ours(cohort, budget, out, seed, members, common)
            else:
                _train_paper(cohort, budget, out, seed, model, common)
    except (UnsuitableAcquisition, OtherTraining) as error:
        raise StudyUnsuitable(str(error)) from None
    print(out / f"{named}.json")


def _train_ours(cohort: Any, budget: Any, out: Path, seed: int, members: int, common: dict[str, Any]) -> None:
    from pipelines.training.mu_map_training import MuMapSettings, train_mu_map
    from pipelines.training.progress_loop import Course

    train_mu_map(cohort, MuMapSettings(seed=seed, members=members), Course(budget), out, **common)


def _train_paper(cohort: Any, budget: Any, out: Path, seed: int, model: MapModel, common: dict[str, Any]) -> None:
    from pipelines.training.paper_mu_map import train_paper_mu_map
    from pipelines.training.paper_mu_map_settings import PaperMapSettings

    settings = PaperMapSettings(seed=seed)
    if model is MapModel.PAPER_COMPACT:
        settings = settings.compact()
    train_paper_mu_map(cohort, settings, budget, out, **common)
