"""`make bench`: receiving and the whole road, beside its peers, in one run -> docs/benchmarks.md and .json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import cost, full_journal, receiving, road
from tests.benchmarks.picture import draw
from tests.benchmarks.report import Measured, page
from tests.loopback import is_isolated

DOCS = Path(__file__).resolve().parents[2] / "docs"


def machine() -> str:
    """Say what the figures were measured on, and with which versions."""
    peers = [_first_line("storescp", "--version"), _first_line("Orthanc", "--version")]
    ours = [f"{name} {version(name)}" for name in ("dicomnode", "pynetdicom", "pydicom", "torch")]
    cores = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{cores}; {'; '.join(peers + ours)}"


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0].strip("$ ")


def main() -> int:
    """Measure, print and write page, raw figures and picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=full_journal.SIZES, help="studies in the journal")
    parser.add_argument("--out", type=Path, default=DOCS)
    wanted = parser.parse_args()
    if not is_isolated():
        sys.exit("DCMTK's and Orthanc's servers listen on every address: run this by `make bench`")

    def say(line: str) -> None:
        print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        here = Path(folder)
        found = Measured(
            datetime.now(UTC),
            machine(),
            wanted.repeats,
            road=road.measure(here / "road", wanted.repeats, say),
            costs=cost.measure(here / "cost", say),
            journals=full_journal.measure(here / "journal", say, wanted.sizes),
            rates=receiving.measure(here / "receiving", wanted.repeats, say),
        )
    wanted.out.mkdir(parents=True, exist_ok=True)
    (wanted.out / "benchmarks.json").write_text(json.dumps(found.as_json(), indent=1) + "\n")
    (wanted.out / "benchmarks.md").write_text(page(found))
    draw(found.rates, wanted.out / "receiving.png")
    say((wanted.out / "benchmarks.md").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
