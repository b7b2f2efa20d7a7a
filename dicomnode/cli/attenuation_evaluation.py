"""`evaluate attenuation`: the attenuation paper's tables and figures on virtual patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dicomnode.cli.app import JsonOption
from dicomnode.cli.evaluation import ModelsOption, RunOption, evaluate, refusals, show_run
from dicomnode.cli.processes import JobsOption, in_processes


@evaluate.command("attenuation")
def attenuation(
    out: RunOption,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the cohort; no network may have learned from its test patients.")
    ] = 30,
    patients: Annotated[int | None, typer.Option(min=2, help="Only so many of the 15 test patients.")] = None,
    others: Annotated[int, typer.Option(min=0, help="So many of them on each other camera, too.")] = 6,
    jobs: JobsOption = 1,
    model: Annotated[str, typer.Option(help="What the mu-map network is called.")] = "mu-map",
    models: ModelsOption = None,
    paper: Annotated[
        Path | None,
        typer.Option(
            help="Where the paper's network was trained to (train mu-map --model paper); else the one that is shipped."
        ),
    ] = None,
    without_paper: Annotated[bool, typer.Option("--without-paper", help="Leave the paper's network out.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the attenuation paper's tables and figures: maps, segments, pixels; by PRAC and by OSEM; against CTAC.

    Each scan's record is kept as it is made, so that an interrupted run goes on; a minute of a core each.
    """
    from pipelines.evaluation.attenuation import run, tables
    from pipelines.evaluation.attenuation.figures.draw import draw_all
    from pipelines.evaluation.attenuation.material import NO_PAPER, Material
    from pipelines.evaluation.attenuation.models import ModelChoice, shipped_paper

    if without_paper and paper is not None:
        raise typer.BadParameter("either --paper or --without-paper, not both")
    choice = ModelChoice(model, models, None if without_paper else paper or shipped_paper())
    with refusals():
        loaded = run.open_run(out, seed, choice)
    orders = run.scan_orders(out, seed, choice, patients, others)
    records = tuple(in_processes(run.scan_record, orders, jobs, "Scans"))
    material = Material.of(records, out / run.SCANS, loaded.paper.words if loaded.paper else NO_PAPER)
    document = tables.write_tables(tables.Evaluation(material, loaded.described, loaded.sha256, seed), out)
    left_out = draw_all(material, out / "figures")
    show_run(document, out, left_out, as_json)
