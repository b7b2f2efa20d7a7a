"""The command `dicomnode` that the other files hang their commands on, and the options that they share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dicomnode import config_file
from dicomnode.config import Config

app = typer.Typer(
    name="dicomnode",
    help="A DICOM node for nuclear cardiology: receives SPECT studies, processes them, sends derived series to PACS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The configuration; else $DICOMNODE_CONFIG, /etc/dicomnode/config.toml, ./config.toml."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def config_path(option: Path | None) -> Path | None:
    """Return the file that the configuration is read from; None where all defaults take effect."""
    return config_file.find(option, os.environ)


def load_config(option: Path | None) -> Config:
    """Return the configuration that takes effect. Raises ConfigurationError."""
    return config_file.load(config_path(option))
