"""`search`: the attenuation paper's random search over everything that it left open."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dicomnode.cli.app import JsonOption, app
from dicomnode.cli.evaluation import refusals, show_run
from dicomnode.cli.mu_map_folder import read_pairs
from dicomnode.cli.processes import in_processes
from dicomnode.cli.training import named_device
from dicomnode.errors import StudyUnsuitable

VIRTUAL_SEED = 21  # of the cohort; the evaluation's is another
_PATIENTS_PER_SCAN = 103 / 150


@app.command()
def search(
    budget: Annotated[int, typer.Option(min=1, help="How many trainings; the paper: 215.")],
    out: Annotated[Path, typer.Option(help="Where journal, tables, figure and the best model go; goes on there.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder as for `train mu-map`; without it virtual scans are made in OUT/pairs.")
    ] = None,
    scans: Annotated[int, typer.Option(min=10, help="So many virtual scans, where no data are named.")] = 150,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same settings.")] = 0,
    epochs: Annotated[float | None, typer.Option(min=0.001, help="Of each training; 100 unless said.")] = None,
    minutes_per_run: Annotated[float | None, typer.Option(min=0.01, help="Or: minutes of each training.")] = None,
    width_share: Annotated[
        float | None,
        typer.Option(min=0.01, max=1.0, help="For CPUs: a share of the filters, voxels twice as large."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes that make virtual scans.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Train the paper's network with settings drawn at random, and write which choices do better.

    Each training stands in journal.jsonl as soon as it ends; the same command with a larger budget goes on.
    """
    from pipelines.evaluation.page import save
    from pipelines.evaluation.search import run, tables
    from pipelines.evaluation.search.figure import draw_choices
    from pipelines.images import UnsuitableAcquisition
    from pipelines.training.mu_map_data import split_pairs
    from pipelines.training.paper_mu_map_settings import EPOCHS

    if epochs is not None and minutes_per_run is not None:
        raise typer.BadParameter("either --epochs or --minutes-per-run, not both")
    place = named_device(device)
    pairs, evidence = _pairs(data, out / "pairs", scans, jobs)
    usual = None if minutes_per_run is not None else epochs or float(EPOCHS)
    settings = run.SearchSettings(seed, usual, minutes_per_run, width_share)
    records = []
    try:
        with refusals():
            for record in run.search(split_pairs(pairs), settings, budget, out, evidence=evidence, device=place):
                records.append(record)
                _tell(record, budget)
    except UnsuitableAcquisition as error:
        raise StudyUnsuitable(str(error)) from None
    document = tables.write_tables(records, evidence, out)
    save(draw_choices(records, evidence), out / "figures" / "fig_03_choices.png")
    show_run(document, out, (), as_json)


def _pairs(data: Path | None, kept: Path, scans: int, jobs: int) -> tuple[list[Any], str]:
    """Return the pairs to learn from, read or made, and on what kind of patients they are."""
    from pipelines.training.model_card import OF_A_SITE, VIRTUAL

    if data is not None:
        found = read_pairs(data, kept)
        return found.pairs, VIRTUAL if found.virtual else OF_A_SITE
    from pipelines.training.mu_map_cohort import orders, write_virtual_pair
    from pipelines.training.mu_map_data import read_pair

    wanted = orders(kept, VIRTUAL_SEED, scans, round(scans * _PATIENTS_PER_SCAN), ("symbia",), misregistered=False)
    return [read_pair(path) for path in in_processes(write_virtual_pair, wanted, jobs, "Virtual scans")], VIRTUAL


def _tell(record: Any, budget: int) -> None:
    found = record.discarded or f"NMAE {record.nmae:.4f}"
    print(f"training {record.number + 1} of {budget}: {found}, {record.seconds:.0f} s", file=sys.stderr)
