"""`search`: the attenuation paper's random search over everything that it left open."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dicomnode.cli.app import JsonOption, app
from dicomnode.cli.evaluation import refusals, show_run
from dicomnode.cli.folders import input_folder, output_folder
from dicomnode.cli.mu_map_folder import read_pairs
from dicomnode.cli.processes import in_processes
from dicomnode.cli.training import named_device
from dicomnode.errors import StudyUnsuitable

VIRTUAL_SEED = 21  # of the cohort; the evaluation's is another
SCANS, _PATIENTS_PER_SCAN = 150, 103 / 150  # the paper's
CPU_SCANS, CPU_MINUTES, CPU_WIDTH_SHARE = 10, 2.0, 0.25
_TOLD_SHARE = 0.25  # of a training: how often it is told of where there is no terminal


@app.command()
def search(
    budget: Annotated[int, typer.Option(min=1, help="How many trainings; the paper: 215.")],
    out: Annotated[Path, output_folder("Where journal, tables, figure and the best model go; goes on there.")],
    data: Annotated[
        Path | None, input_folder("Folder as for `train mu-map`; without it virtual scans are made in OUT/pairs.")
    ] = None,
    scans: Annotated[
        int | None,
        typer.Option(min=10, help=f"So many virtual scans, where no data are named; {SCANS}, on a CPU {CPU_SCANS}."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same settings.")] = 0,
    epochs: Annotated[
        float | None, typer.Option(min=0.001, help="Of each training; 100 unless said, but on a CPU.")
    ] = None,
    minutes_per_run: Annotated[
        float | None,
        typer.Option(min=0.01, help=f"Or: minutes of each training; on a CPU {CPU_MINUTES:g} unless said."),
    ] = None,
    width_share: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1.0,
            help=f"A share of the filters, voxels twice as large; on a CPU {CPU_WIDTH_SHARE:g} unless said.",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="The paper's size and length on a CPU too: days of each.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Processes that make virtual scans; one for each core, 8 at most."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train the paper's network with settings drawn at random, and write which choices do better.

    Each training stands in journal.jsonl as soon as it ends; the same command with a larger budget goes on. On a CPU
    the search is scaled down unless --full or options say otherwise; stderr and tables tell how.
    """
    from pipelines.evaluation.page import save
    from pipelines.evaluation.search import run, tables
    from pipelines.evaluation.search.figure import draw_choices
    from pipelines.images import UnsuitableAcquisition
    from pipelines.training.mu_map_data import split_pairs

    if epochs is not None and minutes_per_run is not None:
        raise typer.BadParameter("either --epochs or --minutes-per-run, not both")
    place = named_device(device)
    scale = Scale(None if data else scans or SCANS, epochs, minutes_per_run, width_share)
    if place == "cpu" and not full:
        scale = scale.for_cpu(scans)
    if scale.words:
        print(scale.words, file=sys.stderr)
    pairs, evidence = _pairs(data, out / "pairs", scale.scans or SCANS, jobs or min(os.cpu_count() or 1, 8))
    settings = run.SearchSettings(seed, scale.usual_epochs, scale.minutes, scale.width_share)
    records = []
    try:
        with refusals(), shown_search(budget) as (report, tell):
            found = split_pairs(pairs)
            for record in run.search(found, settings, budget, out, evidence=evidence, device=place, report=report):
                records.append(record)
                tell(record)
    except UnsuitableAcquisition as error:
        raise StudyUnsuitable(str(error)) from None
    document = tables.write_tables(records, evidence, out, scale.words)
    shown = f"{evidence}; scaled for a CPU" if scale.words else evidence
    save(draw_choices(records, shown), out / "figures" / "fig_03_choices.png")
    show_run(document, out, (), as_json)


@dataclass(frozen=True)
class Scale:
    """How large a search is; `words` say in what it is smaller than the paper's for want of a GPU."""

    scans: int | None  # virtual ones; None: data were named
    epochs: float | None
    minutes: float | None
    width_share: float | None
    words: str = ""

    def for_cpu(self, scans: int | None) -> Scale:
        """Return the same search with what a CPU does in minutes in place of what was left open."""
        said = []
        made, minutes, share = self.scans, self.minutes, self.width_share
        if made is not None and scans is None:
            made = CPU_SCANS
            said.append(f"{made} virtual scans in place of {SCANS}")
        if self.epochs is None and minutes is None:
            minutes = CPU_MINUTES
            said.append(f"{minutes:g} minutes for each training in place of 100 epochs")
        if share is None:
            share = CPU_WIDTH_SHARE
            said.append(f"{share:g} of the filters on voxels twice as large")
        words = f"scaled for a CPU: {'; '.join(said)} (--full, or options of one's own, ask for more)" if said else ""
        return Scale(made, self.epochs, minutes, share, words)

    @property
    def usual_epochs(self) -> float | None:
        """Passes over the data of each training, None where its minutes are given."""
        from pipelines.training.paper_mu_map_settings import EPOCHS

        return None if self.minutes is not None else self.epochs or float(EPOCHS)


def _pairs(data: Path | None, kept: Path, scans: int, jobs: int) -> tuple[list[Any], str]:
    """Return the pairs to learn from, read or made, and on what kind of patients they are."""
    from pipelines.training.model_card import OF_A_SITE, VIRTUAL

    if data is not None:
        found = read_pairs(data, kept)
        print(found.words, file=sys.stderr)
        return found.pairs, VIRTUAL if found.virtual else OF_A_SITE
    from pipelines.training.mu_map_cohort import orders, write_virtual_pair
    from pipelines.training.mu_map_data import read_pair

    wanted = orders(kept, VIRTUAL_SEED, scans, round(scans * _PATIENTS_PER_SCAN), ("symbia",), misregistered=False)
    return [read_pair(path) for path in in_processes(write_virtual_pair, wanted, jobs, "Virtual scans")], VIRTUAL


@contextmanager
def shown_search(budget: int) -> Iterator[tuple[Callable[[int, Any], None], Callable[[Any], None]]]:
    """Show how far a search has come; yield what is told of a training on its way, and of one that has ended.

    On a terminal there is a bar; elsewhere a line for each quarter of a training.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[loss]}"))
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("", total=1.0, loss="")
        told: dict[int, float] = {}  # share of each training that a line told of last

        def report(number: int, checked: Any) -> None:
            title = f"training {number + 1} of {budget}"
            loss = f"held out {checked.held_out:.5f}, training {checked.train:.5f}"
            progress.update(bar, completed=checked.spent, description=title, loss=loss)
            if progress.disable and told.get(number, 0.0) + _TOLD_SHARE <= checked.spent < 1.0:
                told[number] = checked.spent
                print(f"{title}: {100 * checked.spent:.0f} %, {checked.seconds:.0f} s, {loss}", file=sys.stderr)

        def tell(record: Any) -> None:
            words = record.discarded or f"NMAE {record.nmae:.4f}"
            line = f"training {record.number + 1} of {budget}: {words}, {record.seconds:.0f} s"
            if progress.disable:
                print(line, file=sys.stderr)
            else:
                progress.console.print(line, highlight=False, markup=False, soft_wrap=True)

        yield report, tell
