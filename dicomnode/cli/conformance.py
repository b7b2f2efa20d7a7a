"""`conformance`: the DICOM Conformance Statement of this node as it is configured."""

from __future__ import annotations

from importlib.metadata import version

from dicomnode.cli.app import ConfigOption, app, load_config


@app.command()
def conformance(config: ConfigOption = None) -> None:
    """Print the DICOM Conformance Statement, made from the code's own tables and the configuration."""
    settings = load_config(config)
    from dicomnode.conformance.statement import statement

    print(statement(settings, version("dicomnode")), end="")
