"""`password`: the line of the configuration by which the page knows a user."""

from __future__ import annotations

import secrets
import sys

import typer

from dicomnode.cli.app import app

_FEWEST_LETTERS = 12


@app.command()
def password() -> None:
    """Ask for a password, twice, and print its hash for `password = ` under [[web.users]]."""
    from dicomnode.web.passwords import SALT_BYTES, hash_password

    if sys.stdin.isatty():
        chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        chosen = sys.stdin.readline().rstrip("\n")
    if len(chosen) < _FEWEST_LETTERS:
        raise typer.BadParameter(f"a password needs at least {_FEWEST_LETTERS} letters", param_hint="password")
    print(f'password = "{hash_password(chosen, secrets.token_bytes(SALT_BYTES))}"')
