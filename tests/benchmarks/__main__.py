"""`make bench`: receiving and the whole road, beside its peers, in one run -> docs/benchmarks.md and .json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import receiving, road
from tests.loopback import is_isolated

DOCS = Path(__file__).resolve().parents[2] / "docs"
CLIENTS = [(1, False), (1, True), (4, False), (4, True)]


def table(rates: Sequence[receiving.Rate]) -> str:
    """Return the rates as a Markdown table, one row per receiver."""
    found = {(rate.receiver, rate.associations, rate.no_delay): rate for rate in rates}
    lines = [
        "| receiver | on the disk before it answers | 1 association | 1, no delay | 4 associations | 4, no delay |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(rate.receiver for rate in rates):
        cells = [f"{found[name, associations, no_delay].instances_per_s:.0f}" for associations, no_delay in CLIENTS]
        lines.append(f"| {name} | {found[name, 1, False].durable} | {' | '.join(cells)} |")
    return "\n".join(lines)


def road_table(times: Sequence[road.RoadTime]) -> str:
    """Return the road's times as a Markdown table."""
    lines = [
        "| study | derived instances | first after start, s | warm, median s | warm, range s |",
        "|---|---|---|---|---|",
    ]
    for row in times:
        spread = f"{min(row.warm_s):.2f} - {max(row.warm_s):.2f}"
        middle = statistics.median(row.warm_s)
        lines.append(f"| {row.study} | {row.derived} | {row.first_s:.2f} | {middle:.2f} | {spread} |")
    return "\n".join(lines)


def machine() -> str:
    """Say what the figures were measured on, and with which versions."""
    peers = [_first_line("storescp", "--version"), _first_line("Orthanc", "--version")]
    ours = [f"{name} {version(name)}" for name in ("dicomnode", "pynetdicom", "pydicom", "torch")]
    cores = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{cores}; {'; '.join(peers + ours)}"


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0].strip("$ ")


def report(rates: Sequence[receiving.Rate], times: Sequence[road.RoadTime], repeats: int, when: datetime) -> str:
    """Return the whole page."""
    return f"""# Benchmarks

Made by `make bench` on {when:%Y-%m-%d}; {machine()}. All processes share this machine and its loopback.

## Instances per second received

{receiving.INSTANCES} NM instances of 0.5 MB sent by DCMTK's `storescu`, as packaged and with `TCP_NODELAY=1`
("no delay"), over one association and over four at once; the clock runs from the start of the clients to the end of the
last. Medians of {repeats} rounds after one for warming up; the receivers' order turns round with each. DCMTK and
Orthanc write a response in two pieces; as packaged, the second waits for the client's acknowledgment of the first;
started with `TCP_NODELAY=1` it does not, so both are shown.

{table(rates)}

## From the scanner to the archive

Seconds from the C-STORE response to the last derived instance in Orthanc. The study is whole on arrival, so there is no
quiet time in it. The first study after a start finds the child process still loading.

{road_table(times)}
"""


def main() -> int:
    """Measure, print and write both forms."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=DOCS)
    wanted = parser.parse_args()
    if not is_isolated():
        sys.exit("DCMTK's and Orthanc's servers listen on every address: run this by `make bench`")

    def say(line: str) -> None:
        print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        times = road.measure(Path(folder) / "road", wanted.repeats, say)
        rates = receiving.measure(Path(folder) / "receiving", wanted.repeats, say)
    now = datetime.now(UTC)
    figures = {
        "when": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "receiving": [asdict(rate) for rate in rates],
        "road": [asdict(row) for row in times],
    }
    (wanted.out / "benchmarks.json").write_text(json.dumps(figures, indent=1) + "\n")
    (wanted.out / "benchmarks.md").write_text(report(rates, times, wanted.repeats, now))
    say((wanted.out / "benchmarks.md").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
