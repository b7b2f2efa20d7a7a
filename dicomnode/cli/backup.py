"""`backup`, `restore`, `move-journal`: a copy of the journal, put back, or brought into a PostgreSQL database."""

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
        print(back_up(DataFolder.of(settings.node), to, datetime.now(UTC), keep))
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

    former = put_back(copy, DataFolder.of(settings.node), datetime.now(UTC))
    print(f"{copy} is the journal now; the former one is {former}")


@app.command("move-journal")
def move_journal(config: ConfigOption = None) -> None:
    """Bring all studies from the file in node.data_dir into the empty database at node.journal. Stop the node first."""
    settings = load_config(config)
    from dicomnode.store.folder import DataFolder
    from dicomnode.store.moving import move

    moved = move(DataFolder.of(settings.node), datetime.now(UTC))
    for table, number in moved.rows.items():
        print(f"{table:<12} {number}")
    print(f"the journal is at {settings.node.journal} now; the former one is {moved.former}")
