"""`evaluate`: the papers' tables on virtual patients, each number beside the paper's."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from dicomnode.cli.app import JsonOption, app
from dicomnode.cli.processes import use_one_thread

evaluate = typer.Typer(help="The papers' tables on virtual patients; nothing in them is clinical evidence.")
app.add_typer(evaluate, name="evaluate")

T = TypeVar("T")
R = TypeVar("R")


@evaluate.command("low-dose")
def low_dose(
    out: Annotated[
        Path | None, typer.Option(help="Where tables.md and tables.json go; else they're printed only.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the cohort.")] = 1,
    patients: Annotated[int | None, typer.Option(min=2, help="Only so many of the 35 test patients.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="How many processes work at the same time.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Write the denoising paper's low-dose rows (Table 1): half, quarter and eighth dose against full dose."""
    from pipelines.evaluation.denoising import low_dose_table

    plans = low_dose_table.plans(seed, patients)
    rows = list(in_processes(low_dose_table.measure, plans, jobs, "Test patients"))
    document = low_dose_table.as_json(rows)
    tables = low_dose_table.as_markdown(rows)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "tables.json").write_text(json.dumps(document, indent=2) + "\n")
        (out / "tables.md").write_text(tables)
    print(json.dumps(document) if as_json else tables)


@evaluate.command()
def denoising(
    out: Annotated[Path, typer.Option(help="Where tables, figures and records go; the same command goes on there.")],
    seed: Annotated[
        int, typer.Option(min=0, help="Of the cohort; no network may have learned from its test patients.")
    ] = 1,
    patients: Annotated[int | None, typer.Option(min=2, help="Only so many of the 35 test patients.")] = None,
    normals: Annotated[int, typer.Option(min=0, help="More normal hearts, for false defects.")] = 40,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="How many processes work at the same time.")] = 1,
    model: Annotated[str, typer.Option(help="What the denoiser is called.")] = "denoiser",
    models: Annotated[Path | None, typer.Option(help="A folder with a site's own models.")] = None,
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
    try:
        loaded = run.open_run(out, seed, choice)
    except run.OtherRun as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None
    except run.UnusableNetworks as error:
        raise typer.BadParameter(str(error), param_hint="--model, --models, --paper") from None
    orders = run.patient_orders(out, seed, choice, patients)
    records = list(in_processes(run.patient_record, orders, jobs, "Test patients"))
    hearts = run.normal_orders(out, seed, choice, normals)
    healthy = list(in_processes(run.normal_record, hearts, jobs, "Normal hearts"))
    evaluation = tables.Evaluation(records, healthy, loaded.described, loaded.sha256, seed)
    document = tables.write_tables(evaluation, out)
    left_out = draw_all(records, out / run.PATIENTS, out / "figures")
    print(json.dumps(document) if as_json else (out / "tables.md").read_text())
    for figure in left_out:  # not among what is printed as one document
        print(f"figure {figure.name} left out: {figure.reason}", file=sys.stderr)


def in_processes(work: Callable[[T], R], orders: Sequence[T], jobs: int, words: str) -> Iterator[R]:
    """Yield what `work` makes of each order, in order, with a progress bar on a terminal."""
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        yield from progress.track(_results(work, orders, jobs), total=len(orders), description=words)


def _results(work: Callable[[T], R], orders: Sequence[T], jobs: int) -> Iterator[R]:
    if jobs == 1:
        yield from map(work, orders)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=use_one_thread) as pool:
        yield from pool.map(work, orders)
