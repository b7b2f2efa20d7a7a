"""`make bench`: receiving, road, costs, workers, journals, reconstruction -> docs/benchmarks.md, .json and pictures."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks import (
    cluster_cost,
    cost,
    failover,
    full_journal,
    journals,
    listening,
    receiving,
    recon,
    road,
    workers,
)
from tests.benchmarks.picture import draw_all
from tests.benchmarks.recon import LeftOut
from tests.benchmarks.report import SECTIONS, Measured, Part, page
from tests.loopback import is_isolated

DOCS = Path(__file__).resolve().parents[2] / "docs"


def machine() -> str:
    """Say what the figures were measured on, and with which versions."""
    peers = [_first_line("storescp", "--version"), _first_line("Orthanc", "--version")]
    ours = [f"{name} {version(name)}" for name in ("dicomnode", "pynetdicom", "pydicom", "torch")]
    cores = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{cores}; data on {file_system(Path(tempfile.gettempdir()))}; {'; '.join(peers + ours)}"


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder lies on (man 5 proc_pid_mounts), by which flushes cost."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    above = [(place, kind) for place, kind in mounts if folder.resolve().is_relative_to(place)]
    return max(above, key=lambda mount: len(mount[0]), default=("", "an unknown file system"))[1]


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0].strip("$ ")


def main() -> int:
    """Measure, print and write page, raw figures and picture, after each part anew: a part takes its time."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--only", choices=tuple(SECTIONS), nargs="+", help="measure these and keep what is there else")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--draw", action="store_true", help="measure nothing; write page and pictures anew")
    parser.add_argument("--sizes", type=int, nargs="+", default=full_journal.SIZES, help="studies in the journal")
    parser.add_argument("--out", type=Path, default=DOCS)
    wanted = parser.parse_args()
    if not is_isolated():
        sys.exit("DCMTK's and Orthanc's servers listen on every address: run this by `make bench`")

    def say(line: str) -> None:
        print(line, flush=True)

    parts: Mapping[str, Callable[[Path], Sequence[object]]] = {
        "road": lambda folder: road.measure(folder, wanted.repeats, say),
        "cost": lambda folder: cost.measure(folder, say),
        "workers": lambda folder: workers.measure(folder, say),
        "cluster": lambda folder: cluster_cost.measure(folder, say),
        "journals": lambda folder: full_journal.measure(folder, say, wanted.sizes),
        "databases": lambda folder: journals.measure(folder, say),
        "failover": lambda folder: failover.measure(folder, say),
        "recon": lambda folder: recon.measure(folder, say),
        "listening": lambda folder: listening.measure(folder, say),
        "receiving": lambda folder: receiving.measure(folder, wanted.repeats, say),
    }
    kept = wanted.out / "benchmarks.json"
    try:
        found = Measured.read(kept.read_text()) if (wanted.only or wanted.draw) and kept.exists() else Measured()
    except ValueError:
        parser.error(f"{kept} is none of ours, or of another version; measure everything once, without --only")
    wanted.out.mkdir(parents=True, exist_ok=True)
    for name in [] if wanted.draw else wanted.only or parts:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                measured: Any = Part(datetime.now(UTC), machine(), parts[name](Path(folder)))
            except LeftOut as reason:
                say(f"{name} is left out: {reason}")
                continue
        found = replace(found, **{name: measured})
        _write(found, wanted.out)
        if name == "recon" and wanted.out == DOCS:
            from tests.benchmarks.bench_recon import write_document

            write_document(measured.rows)
    _write(found, wanted.out)
    say((wanted.out / "benchmarks.md").read_text())
    return 0


def _write(found: Measured, out: Path) -> None:
    (out / "benchmarks.json").write_text(found.as_json())
    (out / "benchmarks.md").write_text(page(found))
    draw_all(found, out)


if __name__ == "__main__":
    sys.exit(main())
