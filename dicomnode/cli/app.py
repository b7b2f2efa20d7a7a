"""The command `dicomnode` that the other files hang their commands on, and the options that they share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Annotated, Any

import typer

from dicomnode import config_file
from dicomnode.config import Config

app = typer.Typer(
    name="dicomnode",
    help="A DICOM node for nuclear cardiology: receives SPECT studies, processes them, sends derived series to PACS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take the [[tables]] of the configuration for its own marks
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The configuration; else $DICOMNODE_CONFIG, /etc/dicomnode/config.toml, ./config.toml."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def command_line() -> Any:
    """Return the whole command line. Every command takes --config: a script need not know which ones read it."""
    whole = typer.main.get_command(app)
    commands = list(_commands(whole))
    config = next(option for command in commands for option in command.params if option.name == "config")
    unread = copy(config)
    unread.expose_value, unread.help = False, "Taken by every command; this one reads no configuration."
    for command in commands:
        if all(option.name != "config" for option in command.params):
            command.params.append(unread)
    return whole


def _commands(group: Any) -> Iterator[Any]:
    for command in group.commands.values():
        yield from _commands(command) if hasattr(command, "commands") else (command,)


def config_path(option: Path | None) -> Path | None:
    """Return the file that the configuration is read from; None where all defaults take effect."""
    return config_file.find(option, os.environ)


def load_config(option: Path | None) -> Config:
    """Return the configuration that takes effect. Raises ConfigurationError."""
    return config_file.load(config_path(option))
