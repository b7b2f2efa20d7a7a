"""`backup`, `restore`: a copy of the journal, made while the node works, and put back while it does not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from dicomnode.cli.app import ConfigOption, app, load_config
from dicomnode.errors import ConfigurationError


@app.command()
def backup(
    to: Annotated[Path, typer.Option(help="The folder that the copies are kept in.")],
    keep: Annotated[int, typer.Option(min=1, help="How many copies to keep there.")] = 14,
    config: ConfigOption = None,
) -> None:
    """Copy the journal while the node works. The images are files in spool/ and derived/: copy those as files."""
    settings = load_config(config)
    from dicomnode.store.backup import back_up
    from dicomnode.store.folder import DataFolder

    try:
        print(back_up(DataFolder(settings.node.data_dir).journal, to, datetime.now(UTC), keep))
    except OSError as error:
        raise ConfigurationError(f"--to {to}: the copy can't be written ({error.strerror})") from error


@app.command()
def restore(
    copy: Annotated[Path, typer.Argument(help="A copy that `backup` made.")],
    config: ConfigOption = None,
) -> None:
    """Put a copy in the journal's place; the former journal is kept beside it. Stop the node first."""
    settings = load_config(config)
    from dicomnode.store.backup import restore as put_back
    from dicomnode.store.folder import DataFolder

    former = put_back(copy, DataFolder(settings.node.data_dir), datetime.now(UTC))
    print(f"{copy} is the journal now; the former one is {former}")
