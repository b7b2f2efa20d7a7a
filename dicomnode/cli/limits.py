"""`train normal-limits`: what a site's normal hearts look like, from a folder of its normal studies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from dicomnode.cli.folders import input_folder, output_folder
from dicomnode.cli.pipelines import parsed_option
from dicomnode.cli.training import training
from dicomnode.errors import StudyUnsuitable


@training.command("normal-limits")
def normal_limits(
    data: Annotated[Path, input_folder("Folder of NM TOMO files of normal patients, searched to its depths.")],
    out: Annotated[Path, output_folder("The site's folder of limits; a rule's option normal_limits names it.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the rule that the limits are for."),
    ] = None,
) -> None:
    """Make normal limits of a site's own normal studies, by sex and by stress and rest; 40 of each are advised.

    Limits hold for studies that are acquired and reconstructed in the same way.
    """
    from pipelines import catalog
    from pipelines.training.site_limits import site_limits, write_site_limits

    options = dict(parsed_option(text) for text in settings or [])
    try:
        catalog.check_options("reconstruction", options)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from None
    files = sorted(path for path in data.rglob("*") if path.is_file())
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        made = site_limits(_acquisitions(progress.track(files, description="Normal studies")), options)
    for remark in made.remarks:
        print(remark, file=sys.stderr)
    if not made.limits:
        raise StudyUnsuitable(f"{data}: no sex and state has enough normal studies for limits")
    for path, limits in write_site_limits(made, out):
        print(f"{path}  {limits.number} hearts, SHA-256 {limits.sha256[:16]}")


def _acquisitions(files: Any) -> Iterator[tuple[str, Any]]:
    """Yield the projections among the files; everything else is passed over."""
    from dicomnode.objects.reader import read_acquisition

    for path in files:
        try:
            acquisition = read_acquisition(path)
        except StudyUnsuitable:
            continue
        if acquisition.projections is not None:
            yield path.name, acquisition
