"""`evaluate low-dose` and `evaluate denoising`: the denoising paper's tables and figures on virtual patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dicomnode.cli.app import JsonOption
from dicomnode.cli.evaluation import ModelsOption, RunOption, evaluate, refusals, show, show_run
from dicomnode.cli.folders import output_folder
from dicomnode.cli.processes import JobsOption, in_processes


@evaluate.command("low-dose")
def low_dose(
    out: Annotated[Path | None, output_folder("Where tables.md and tables.json go; else they're printed only.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the cohort.")] = 1,
    patients: Annotated[int | None, typer.Option(min=2, help="Only so many of the 35 test patients.")] = None,
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Write the denoising paper's low-dose rows (Table 1): half, quarter and eighth dose against full dose."""
    from pipelines.evaluation.denoising import low_dose_table

    plans = low_dose_table.plans(seed, patients)
    rows = list(in_processes(low_dose_table.measure, plans, jobs, "Test patients"))
    show(low_dose_table.as_json(rows), low_dose_table.as_markdown(rows), out, as_json)


@evaluate.command()
def denoising(
    out: RunOption,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the cohort; no network may have learned from its test patients.")
    ] = 1,
    patients: Annotated[int | None, typer.Option(min=2, help="Only so many of the 35 test patients.")] = None,
    normals: Annotated[int, typer.Option(min=0, help="More normal hearts, for false defects.")] = 40,
    jobs: JobsOption = 1,
    model: Annotated[str, typer.Option(help="What the denoiser is called.")] = "denoiser",
    models: ModelsOption = None,
    paper: Annotated[
        Path | None, typer.Option(help="Where the paper's networks were trained to (paper-0.5 ...).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the denoising paper's tables and figures: image quality, indices of the heart, false and missed defects.

    Each patient's record is kept as it is made, so that an interrupted run goes on; 45 s of a core each.
    """
    from pipelines.evaluation.denoising import run, tables
    from pipelines.evaluation.denoising.figures.draw import draw_all
    from pipelines.evaluation.denoising.methods import ModelChoice

    choice = ModelChoice(model, models, paper)
    with refusals():
        loaded = run.open_run(out, seed, choice)
    orders = run.patient_orders(out, seed, choice, patients)
    records = list(in_processes(run.patient_record, orders, jobs, "Test patients"))
    hearts = run.normal_orders(out, seed, choice, normals)
    healthy = list(in_processes(run.normal_record, hearts, jobs, "Normal hearts"))
    evaluation = tables.Evaluation(records, healthy, loaded.described, loaded.sha256, seed)
    document = tables.write_tables(evaluation, out)
    left_out = draw_all(records, out / run.PATIENTS, out / "figures")
    show_run(document, out, left_out, as_json)
