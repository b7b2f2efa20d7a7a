"""`echo`: is a destination there, and does it accept us?"""

from __future__ import annotations

from typing import Annotated

import typer

from dicomnode.cli.app import ConfigOption, app, load_config


@app.command()
def echo(
    destination: Annotated[str, typer.Argument(help="The name of a [[destinations]] table.")],
    config: ConfigOption = None,
) -> None:
    """Send a C-ECHO to a configured destination."""
    settings = load_config(config)
    target = settings.destination(destination)
    from dicomnode.network import sender

    sender.echo(target, settings.node.ae_title, settings.tls)
    print(f"{target.name}: {target.ae_title} at {target.host}:{target.port} answered")
