"""`scheduler` and `worker`: the other members of a Dask cluster, where engine.kind = "dask" sends the pipelines."""

from __future__ import annotations

import os
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from dicomnode.cli.app import ConfigOption, app, load_config
from dicomnode.telemetry import configure_logging


@app.command()
def scheduler(
    host: Annotated[
        str | None, typer.Option(help="An address of this machine to listen on; else that of engine.scheduler.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Hand out the jobs of nodes to workers, in the foreground until SIGTERM or SIGINT; reads [engine] alone."""
    settings = load_config(config)
    configure_logging(settings.log.level, settings.log.format)
    from dicomnode.engine.members import run_scheduler
    from dicomnode.systemd import ServiceManager

    run_scheduler(settings.engine, host, ServiceManager.from_environment(os.environ))


@app.command()
def worker(
    title: Annotated[
        str | None, typer.Option(help="What messages call this worker; else the name of the machine.")
    ] = None,
    cache: Annotated[
        Path, typer.Option(envvar="CACHE_DIRECTORY", help="Where files are kept that nodes send, by their SHA-256.")
    ] = Path("cache"),
    host: Annotated[
        str | None, typer.Option(help="The address that the scheduler reaches; else the one that leads to it.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="For the scheduler's connections; 0: any.")] = 0,
    config: ConfigOption = None,
) -> None:
    """Run pipelines for the nodes of a cluster, in the foreground until SIGTERM or SIGINT; reads [engine] alone."""
    settings = load_config(config)
    configure_logging(settings.log.level, settings.log.format)
    from dicomnode.engine.members import WorkerSettings, run_worker
    from dicomnode.systemd import ServiceManager

    name = title or socket.gethostname()
    run_worker(
        WorkerSettings(settings.engine, version("dicomnode"), name, cache.absolute(), host, port),
        ServiceManager.from_environment(os.environ),
    )
