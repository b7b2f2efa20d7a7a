"""`evaluate`: the group that holds the evaluations, and what its commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol

import typer

from dicomnode.cli.app import app
from dicomnode.cli.folders import output_folder

evaluate = typer.Typer(help="The papers' tables on virtual patients; nothing in them is clinical evidence.")
app.add_typer(evaluate, name="evaluate")

RunOption = Annotated[Path, output_folder("Where tables, figures and records go; the same command goes on there.")]
ModelsOption = Annotated[
    Path | None, typer.Option(help="A folder with a site's own models; else those that are shipped.")
]


class LeftOut(Protocol):
    """A figure that could not be drawn."""

    @property
    def name(self) -> str:
        """The figure's file."""

    @property
    def reason(self) -> str:
        """Why, in words."""


@contextmanager
def refusals() -> Iterator[None]:
    """Tell which option is wrong where a run can't go on in its folder, or its networks can't be used."""
    from pipelines.evaluation.run_folder import OtherRun, UnusableNetworks

    try:
        yield
    except OtherRun as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None
    except UnusableNetworks as error:
        raise typer.BadParameter(str(error), param_hint="--model, --models, --paper") from None


def show(document: Mapping[str, object], tables: str, out: Path | None, as_json: bool) -> None:
    """Write tables into a folder, where one is named, and print them."""
    from pipelines.evaluation.run_folder import write_tables

    if out is not None:
        write_tables(out, document, tables)
    print(json.dumps(document) if as_json else tables)


def show_run(document: Mapping[str, object], out: Path, left_out: Sequence[LeftOut], as_json: bool) -> None:
    """Print the tables that a run wrote into its folder, and say which figures it could not draw."""
    from pipelines.evaluation.run_folder import TABLES

    print(json.dumps(document) if as_json else (out / TABLES).read_text())
    for figure in left_out:  # not among what is printed as one document
        print(f"figure {figure.name} left out: {figure.reason}", file=sys.stderr)
