"""`evaluate own-studies`: a site's full-dose studies, thinned, denoised and compared with their own full counts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dicomnode.cli.app import JsonOption
from dicomnode.cli.evaluation import ModelsOption, evaluate, show
from dicomnode.cli.folders import input_folder, output_folder
from dicomnode.cli.processes import JobsOption, in_processes
from dicomnode.cli.training import read_archive
from dicomnode.errors import StudyUnsuitable

DOSES = "0.5,0.25,0.125"


@evaluate.command("own-studies")
def own_studies(
    data: Annotated[Path, input_folder("A NM TOMO or GATED TOMO file, or a folder of them.")],
    out: Annotated[Path, output_folder("Where tables.md, tables.json and figures go.")],
    doses: Annotated[
        list[str], typer.Option(help=f"Shares of the full counts, {DOSES} unless said; may be given again.")
    ] = [DOSES],  # noqa: B006 - typer reads it, nobody changes it
    model: Annotated[str, typer.Option(help="What the denoiser is called.")] = "denoiser",
    models: ModelsOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the thinning.")] = 0,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Write how the denoiser does on your own studies: low doses made of full ones, and compared with them.

    Nothing that is written names a patient; which file is which study is told on stderr alone.
    """
    from pipelines.evaluation.own_studies import tables as own_studies_tables
    from pipelines.evaluation.own_studies.studies import load_networks

    shares = _doses(doses)
    _check_model(model, models)
    _, files, evidence = read_archive(data)
    figures = out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    orders = [_Order(path, shares, model, models, seed, figures, evidence) for _, path in files]
    made = list(in_processes(_evaluated, orders, jobs, "Studies"))
    records = {one.key: one for one in made if not isinstance(one, str)}  # the same counts twice are one study
    for order, one in zip(orders, made, strict=True):
        print(f"{order.path}: {one if isinstance(one, str) else one.key}", file=sys.stderr)
    if not records:
        raise StudyUnsuitable(f"none of {len(orders)} studies could be evaluated; the first: {made[0]}")
    own = own_studies_tables.OwnStudies(tuple(records.values()), load_networks(model, models)[0], evidence, seed)
    show(own_studies_tables.as_json(own), own_studies_tables.as_markdown(own), out, as_json)


@dataclass(frozen=True)
class _Order:
    """One study to be evaluated, by whatever process."""

    path: Path
    doses: tuple[float, ...]
    model: str
    models: Path | None
    seed: int
    figures: Path
    evidence: str


def _evaluated(order: _Order) -> Any:
    """Return the numbers of a study (a StudyRecord), its figure drawn; or in words why it has none."""
    from dicomnode.objects.reader import read_acquisition
    from pipelines.evaluation.own_studies.figure import draw_own_study
    from pipelines.evaluation.own_studies.studies import evaluate_study, load_networks
    from pipelines.evaluation.page import save
    from pipelines.images import UnsuitableAcquisition

    card, networks = load_networks(order.model, order.models)
    try:
        record, pictures = evaluate_study(read_acquisition(order.path), card, networks, order.doses, order.seed)
    except UnsuitableAcquisition as error:
        return f"left out: {error}"
    save(draw_own_study(pictures, record.key, order.evidence), order.figures / f"{record.key}.png")
    return record


def _doses(given: Sequence[str]) -> tuple[float, ...]:
    """Return the doses that were asked for, the largest first. Raises BadParameter."""
    from pipelines.evaluation.own_studies.studies import check_doses

    try:
        doses = sorted({float(word) for words in given for word in words.split(",")}, reverse=True)
        check_doses(doses)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--doses") from None
    return tuple(doses)


def _check_model(model: str, models: Path | None) -> None:
    """Raise BadParameter unless the denoiser is there and whole."""
    from pipelines.evaluation.own_studies.studies import load_networks

    try:
        load_networks(model, models)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--model, --models") from None
