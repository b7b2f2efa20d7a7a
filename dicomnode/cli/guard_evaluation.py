"""`evaluate guard` tries the guard on sound and damaged studies; `train guard` draws a model's lines anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dicomnode.cli.app import JsonOption
from dicomnode.cli.evaluation import ModelsOption, evaluate, show
from dicomnode.cli.folders import input_folder, output_folder
from dicomnode.cli.processes import JobsOption, in_processes
from dicomnode.cli.training import calibrate_guard, named_device, read_archive, training


@evaluate.command("guard")
def guard(
    out: Annotated[Path, output_folder("Where tables.md, tables.json and a record of each study go.")],
    studies: Annotated[int, typer.Option(min=1, max=1000, help="Sound studies.")] = 200,
    damaged: Annotated[int, typer.Option(min=0, help="On so many of them every kind of damage is tried.")] = 20,
    model: Annotated[str, typer.Option(help="The denoiser, or the mu-map network.")] = "denoiser",
    models: ModelsOption = None,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Write which damage to a study or a network the guard notices, and how often it is wrong about sound studies.

    Goes on where it was interrupted: studies that were tried with the same weights and thresholds are kept.
    """
    from pipelines.evaluation.guard.which import judges_mu_maps

    try:
        of_maps = judges_mu_maps(model, models)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--model, --models") from None
    chosen = _Asked(out, studies, damaged, model, models, jobs)
    document, tables = _of_mu_maps(chosen) if of_maps else _of_denoiser(chosen)
    show(document, tables, out, as_json)


@dataclass(frozen=True)
class _Asked:
    """What was asked for on the command line."""

    out: Path
    studies: int
    damaged: int
    model: str
    models: Path | None
    jobs: int

    def orders(self, plans: Callable[[int], Sequence[Any]]) -> list[Any]:
        """Return the studies to be tried."""
        from pipelines.evaluation.guard.trial import Order

        return [
            Order(plan, plan.number < self.damaged, self.model, self.models, self.out) for plan in plans(self.studies)
        ]


def _of_denoiser(asked: _Asked) -> tuple[dict[str, object], str]:
    _check_model(asked.models, asked.model)
    from pipelines.evaluation.guard.studies import plans
    from pipelines.evaluation.guard.tables import as_json, as_markdown
    from pipelines.evaluation.guard.trial import try_guard

    records = list(in_processes(try_guard, asked.orders(plans), asked.jobs, "Studies"))
    return as_json(records), as_markdown(records)


def _of_mu_maps(asked: _Asked) -> tuple[dict[str, object], str]:
    from pipelines.evaluation.guard.map_damage import plans
    from pipelines.evaluation.guard.map_tables import as_json, as_markdown
    from pipelines.evaluation.guard.map_trial import try_map_guard

    records = list(in_processes(try_map_guard, asked.orders(plans), asked.jobs, "Studies"))
    return as_json(records), as_markdown(records)


@training.command("guard")
def thresholds(
    data: Annotated[Path, input_folder("Folder of studies of patients that the model was not trained on.")],
    models: Annotated[Path, typer.Option(help="The folder of the model whose card gets the thresholds.")],
    model: Annotated[str, typer.Option(help="The denoiser.")] = "denoiser",
    minutes: Annotated[float, typer.Option(min=0.01, help="Studies are taken until the time is up.")] = 20.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of studies and of thinning.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
) -> None:
    """Write the guard's thresholds for a model that is there: what its figures are on held-out patients.

    `train denoiser` does this at its end; do it again after a change of camera or protocol.
    """
    place = named_device(device)
    _check_model(models, model)
    _, files, _ = read_archive(data)
    calibrate_guard(models, model, files, seed, minutes, place)
    print(models / f"{model}.json")


def _check_model(models: Path | None, model: str) -> None:
    from pipelines.training.guard_thresholds import check_model

    try:
        check_model(models, model)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--model, --models") from None
