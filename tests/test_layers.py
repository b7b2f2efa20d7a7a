"""The layer rule, read from the code: who may import whom, inside the project and outside; a break names file and line.

row 0  cli
row 1  node                                   a row may import the rows below it, never its own, never up
row 2  road | page | watching | standby       wire stages to the network; the page to decisions; notices; whose turn
row 3  stages/*  web/*  conformance/*         stages never import network or engine: those are handed in
row 4  network | store | objects | engine | routing | reload | config_file | audit | notify | metrics   no siblings meet
row 5  study | config | clockwork
row 6  errors | implementation | telemetry | systemd | config_lines
------ doors into the science: geometry, images, contract (objects, stages, engine, node); catalog (engine) ------
       pipelines/ has rows of its own and never looks back
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

NODE_ROWS: Mapping[str, int] = {
    "cli": 0, "node": 1, "road": 2, "page": 2, "watching": 2, "standby": 2, "stages": 3, "web": 3, "conformance": 3,
    "network": 4, "store": 4, "objects": 4, "engine": 4, "routing": 4, "reload": 4, "config_file": 4,
    "audit": 4, "notify": 4, "metrics": 4,
    "study": 5, "config": 5, "clockwork": 5,
    "errors": 6, "implementation": 6, "telemetry": 6, "systemd": 6, "config_lines": 6,
}  # fmt: skip
SCIENCE_ROWS: Mapping[str, int] = {
    "evaluation": 0, "training": 1, "simulation": 2, "agreement": 2, "catalog": 3,
    "denoising": 4, "attenuation_correction": 4, "reconstruction_pipeline": 4,
    "perfusion": 5, "report": 5,
    "quality": 6, "reconstruction": 6, "registration": 6, "contract": 7, "cardiac": 8, "physics": 8, "networks": 8,
    "resampling": 9, "images": 10, "geometry": 11, "neighbors": 11,
}  # fmt: skip
# rooms whose files stand side by side without knowing each other
STRANGERS_INSIDE = {"stages"}
HANDED_IN = {"network", "engine"}  # never imported by a stage
DOORS: Mapping[str, tuple[str, ...]] = {
    "geometry": ("objects", "engine"),
    "images": ("objects", "engine", "stages"),
    "contract": ("objects", "engine", "stages", "node", "watching"),
    "catalog": ("engine",),
}
LAZILY_FROM_CLI = {"simulation", "training", "evaluation", "catalog", "contract", "images"}  # inside a command only

# which files may import a package of others, as patterns of the module's name
OUTSIDE: Mapping[str, tuple[str, ...]] = {
    "pynetdicom": ("dicomnode.network.*",),
    "pydicom": ("dicomnode.objects.*", "dicomnode.network.*"),
    "highdicom": ("dicomnode.objects.*",),
    "sqlalchemy": ("dicomnode.store.*",),
    "sqlite3": ("dicomnode.store.*",),
    "psycopg": ("dicomnode.store.*",),
    "pebble": ("dicomnode.engine.*",),
    "distributed": ("dicomnode.engine.*",),
    "dask": ("dicomnode.engine.*",),
    "starlette": ("dicomnode.web.*",),
    "anyio": ("dicomnode.web.*",),
    "jinja2": ("dicomnode.web.*",),
    "markupsafe": ("dicomnode.web.*",),
    "uvicorn": ("dicomnode.web.*",),
    "typer": ("dicomnode.cli.*",),
    "rich": ("dicomnode.cli.*",),
    "apscheduler": ("dicomnode.clockwork",),
    "matplotlib": ("pipelines.report.*", "pipelines.training.*", "pipelines.evaluation.*"),
    "PIL": ("dicomnode.objects.*",),
    "scipy": ("pipelines.agreement.*", "pipelines.evaluation.*"),
    "skimage": ("pipelines.agreement.*", "pipelines.evaluation.*"),
    "statsmodels": ("pipelines.agreement.*",),
    "SimpleITK": ("pipelines.registration.*",),
    "prometheus_client": ("dicomnode.metrics",),
    "structlog": ("dicomnode.*",),
    "pydantic": ("dicomnode.config", "dicomnode.config_file", "dicomnode.config_lines"),
    "safetensors": ("pipelines.networks.*", "pipelines.training.*"),
    "torch": (
        "pipelines.networks.*", "pipelines.physics.*", "pipelines.reconstruction.*",
        "pipelines.simulation.*", "pipelines.training.*", "pipelines.evaluation.*",
        "pipelines.catalog", "pipelines.denoising", "pipelines.attenuation_correction",
        "pipelines.reconstruction_pipeline", "pipelines.resampling",
    ),
}  # fmt: skip
# what the science never touches: network, database, clock, logging set-up
NOT_IN_SCIENCE = {"socket", "ssl", "http", "urllib", "requests", "logging", "time", "datetime", "subprocess"}
TIMED = ("pipelines.training.*", "pipelines.simulation.*", "pipelines.evaluation.*")  # long runs show their progress
NUMPY_ONLY = ("pipelines.geometry", "pipelines.images", "pipelines.contract", "pipelines.cardiac.polar_map")


@dataclass(frozen=True)
class Import:
    """One import: the importing module, what it imports (dotted), where, and whether it runs at import time."""

    module: str
    imported: str
    line: int
    at_top: bool


def module_name(path: Path, root: Path = ROOT) -> str:
    """Return the dotted name of a file below the root."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str) -> Iterator[Import]:
    """Yield all imports of a source text; those of type checkers alone count too, for they name a dependency."""
    tree = ast.parse(source)
    inside_functions = {
        id(below)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for below in ast.walk(node)
    }
    for node in ast.walk(tree):
        at_top = id(node) not in inside_functions
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, at_top)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative imports hide who imports whom"
            for alias in node.names:
                yield Import(module, f"{node.module}.{alias.name}", node.lineno, at_top)


def broken_rule(found: Import) -> str | None:
    """Return the rule that an import breaks, in words, or None."""
    own, *rest = found.module.split(".")
    package, *inside = found.imported.split(".")
    if package == own and inside:
        rows = NODE_ROWS if own == "dicomnode" else SCIENCE_ROWS
        return _inside_rule(rest, inside, rows)
    if own == "pipelines":
        return _science_rule(found, package)
    if package == "pipelines":
        return _door_rule(found, rest[0] if rest else "", inside[0] if inside else "")
    return _outside_rule(found, package)


def _inside_rule(own: list[str], other: list[str], rows: Mapping[str, int]) -> str | None:
    mine, theirs = own[0], other[0]
    if mine not in rows or theirs not in rows:
        return f"{mine if mine not in rows else theirs} has no row in the house: give it one in this test"
    if mine == "stages" and theirs in HANDED_IN:
        return f"a stage gets {theirs} handed in by the node, it never imports it"
    if mine == theirs:
        return (
            f"the files of {mine} don't know each other"
            if mine in STRANGERS_INSIDE and own[1:2] != other[1:2]
            else None
        )
    if rows[mine] == rows[theirs]:
        return f"{mine} and {theirs} stand in the same row: siblings never meet"
    return (
        f"{mine} (row {rows[mine]}) never imports up to {theirs} (row {rows[theirs]})"
        if rows[mine] > rows[theirs]
        else None
    )


def _door_rule(found: Import, room: str, door: str) -> str | None:
    if room == "cli" and door in LAZILY_FROM_CLI:
        return f"cli imports pipelines.{door} inside a command only, not when it starts" if found.at_top else None
    if door not in DOORS:
        return f"pipelines.{door} is no door of the science: only {', '.join(DOORS)} are"
    return None if room in DOORS[door] else f"{room} may not use the door pipelines.{door}"


def _science_rule(found: Import, package: str) -> str | None:
    if package == "dicomnode":
        return "pipelines never imports dicomnode"
    if package in NOT_IN_SCIENCE and not _matches(found.module, TIMED):
        return f"pipelines knows no network, database, clock or logging: not {package}"
    allowed = {"numpy"} | set(sys.stdlib_module_names)
    if _matches(found.module, NUMPY_ONLY) and package not in allowed:
        return f"{found.module} uses numpy alone, so that the listener never loads {package}"
    return _outside_rule(found, package)


def _outside_rule(found: Import, package: str) -> str | None:
    if found.imported == "structlog.configure" and found.module != "dicomnode.telemetry":
        return "structlog is configured in telemetry alone"
    if package in OUTSIDE and not _matches(found.module, OUTSIDE[package]):
        return f"{package} is imported only by {', '.join(OUTSIDE[package])}"
    return None


def _matches(module: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(f"{module}.", pattern if pattern.endswith("*") else f"{pattern}.") for pattern in patterns)


def configures_logging(source: str) -> list[int]:
    """Return the lines that call `structlog.configure`."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "structlog.configure"
    ]


def product_files() -> list[Path]:
    return sorted(path for package in ("dicomnode", "pipelines") for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", product_files(), ids=lambda path: module_name(path))
def test_a_file_imports_only_what_its_room_may(path: Path) -> None:
    source, module = path.read_text(), module_name(path)
    broken = [(found.line, rule) for found in imports_of(source, module) if (rule := broken_rule(found))]
    if module != "dicomnode.telemetry":
        broken += [(line, "structlog is configured in telemetry alone") for line in configures_logging(source)]
    assert not broken, "\n".join(f"{path.relative_to(ROOT)}:{line}: {rule}" for line, rule in broken)


def test_package_faces_are_empty() -> None:
    assert [str(path) for path in product_files() if path.name == "__init__.py" and path.read_text().strip()] == []


@pytest.mark.parametrize(
    ("module", "line", "rule"),
    [
        ("dicomnode.stages.deliver", "from dicomnode.network.sender import send", "handed in"),
        ("dicomnode.stages.process", "import dicomnode.engine.local", "handed in"),
        ("dicomnode.stages.process", "from dicomnode.stages.deliver import Deliverer", "don't know each other"),
        ("dicomnode.store.outbox", "from dicomnode.network.listener import Listener", "siblings never meet"),
        ("dicomnode.web.app", "from dicomnode.stages.operate import requeue", "siblings never meet"),
        ("dicomnode.study", "from dicomnode.store.journal import Journal", "never imports up"),
        ("dicomnode.store.spool", "from dicomnode import node", "never imports up"),
        ("dicomnode.routing", "import pydicom", "imported only by dicomnode.objects"),
        ("dicomnode.stages.process", "import torch", "torch is imported only by"),
        ("dicomnode.node", "from sqlalchemy import select", "imported only by dicomnode.store"),
        ("dicomnode.store.journal", "from pynetdicom import AE", "imported only by dicomnode.network"),
        ("dicomnode.node", "import typer", "imported only by dicomnode.cli"),
        ("dicomnode.stages.process", "import apscheduler", "imported only by dicomnode.clockwork"),
        ("dicomnode.cli.app", "from structlog import configure", "telemetry alone"),
        ("dicomnode.objects.reader", "from pipelines.physics.system_matrix import SystemMatrix", "no door"),
        ("dicomnode.stages.process", "from pipelines.catalog import CATALOG", "may not use the door"),
        ("dicomnode.cli.app", "from pipelines.simulation import acquisition", "inside a command only"),
        ("dicomnode.routing", "def f():\n    import pydicom", "imported only by dicomnode.objects"),
        ("dicomnode.new_room", "from dicomnode.errors import NodeError", "no row in the house"),
        ("pipelines.images", "import torch", "numpy alone"),
        ("pipelines.contract", "import SimpleITK", "numpy alone"),
        ("pipelines.reconstruction.osem", "from dicomnode.study import Study", "never imports dicomnode"),
        ("pipelines.reconstruction.osem", "import pydicom", "imported only by"),
        ("pipelines.physics.system_matrix", "from pipelines.reconstruction.osem import osem", "never imports up"),
        ("pipelines.reconstruction.osem", "import socket", "no network"),
        ("pipelines.catalog", "from pipelines.training.train import train", "never imports up"),
    ],
)  # fmt: skip
def test_a_forbidden_import_is_caught(module: str, line: str, rule: str) -> None:
    (found,) = imports_of(line, module)
    assert rule in (broken_rule(found) or "nothing was said")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("dicomnode.cli.app", "from dicomnode.node import Node"),
        ("dicomnode.cli.app", "def simulate():\n    from pipelines.simulation.acquisition import acquire"),
        ("dicomnode.node", "from dicomnode.network.listener import Listener"),
        ("dicomnode.stages.process", "from pipelines.contract import PipelineInput"),
        ("dicomnode.store.outbox", "from dicomnode.store.journal import Journal"),
        ("dicomnode.engine.local", "from pipelines.catalog import CATALOG"),
        ("dicomnode.stages.receive", "from dicomnode.store.spool import Spool"),
        ("pipelines.physics.system_matrix", "import torch"),
    ],
)
def test_an_allowed_import_passes(module: str, line: str) -> None:
    (found,) = imports_of(line, module)
    assert broken_rule(found) is None


def test_logging_set_up_elsewhere_is_caught() -> None:
    assert configures_logging("import structlog\nstructlog.configure(processors=[])") == [2]


@pytest.mark.parametrize("module", ["dicomnode.node", "dicomnode.cli.app", "pipelines.contract"])
def test_the_listener_never_loads_torch(module: str) -> None:
    heavy = "{'torch', 'SimpleITK', 'matplotlib', 'scipy', 'distributed', 'dask'}"
    question = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
