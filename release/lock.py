"""Pins what is installed here, dependencies of the product alone: `python -m release.lock release/constraints.txt`.

Only versions are pinned, not builds: torch's CPU and CUDA wheels differ in a local part (`+cpu`) that each site's
index decides on.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

HEAD = "# made by `make lock` from an environment in which the tests passed; pip install --constraint this file\n"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def pinned(project: Path) -> list[str]:
    """Return `name==version` of everything that a project (its pyproject.toml) needs to run, and of what that needs.

    What only a cluster needs is among it: a node that is no member of one simply does not install it.
    """
    found: dict[str, str] = {}
    stated = tomllib.loads(project.read_text("utf-8"))["project"]
    waiting = list(_names([*stated["dependencies"], *stated["optional-dependencies"]["dask"]]))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name).version.partition("+")[0]
        except PackageNotFoundError:
            continue  # for another platform
        waiting += _names(distribution(name).requires or ())
    return sorted(f"{name}=={version}" for name, version in found.items())


def _names(requirements: Iterable[str]) -> Iterator[str]:
    for requirement in requirements:
        if "extra ==" in requirement or "extra==" in requirement:
            continue
        if found := _NAME.match(requirement):
            yield found[0].lower().replace("_", "-")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(HEAD + "\n".join(pinned(Path("pyproject.toml"))) + "\n", "utf-8")
