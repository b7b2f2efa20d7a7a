"""OSEM beside PyTomography as a part of `make bench`; bench_recon does it, in an environment of its own.

Nothing of torch is imported here: bench_recon may run under another Python's packages than this program.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-bench"
PEER = "PyTomography 3.4.0"


class LeftOut(Exception):
    """A part can't be measured here; says why."""


@dataclass(frozen=True)
class ReconTime:
    """One reconstruction problem: iterations of peer and ours in turn, medians; and what each adds to its memory."""

    case: str
    peer_s: float  # per iteration
    ours_s: float
    goal: float  # times faster than the peer
    whole_grid_s: float  # ours on the peer's support
    whole_s: float  # our whole reconstruction with its set-up
    limit_s: float | None  # the goal for that
    clean: float  # image difference, NRMSE, noise-free
    noisy: float | None  # with 5 M counts
    peer_mib: float
    ours_mib: float


def measure(directory: Path, say: Callable[[str], None], python: Path | None = None) -> list[ReconTime]:
    """Return the times of all cases. Raises LeftOut if the peer's environment is not there.

    It is not made here: a benchmark runs where there is no network.
    """
    program = python or ENVIRONMENT / "bin" / "python"
    if not program.exists():
        raise LeftOut(f"{PEER} has no environment in {ENVIRONMENT.name}; `make bench-recon` makes it, with the network")
    directory.mkdir(parents=True, exist_ok=True)
    raw = directory / "recon.json"
    command = [str(program), "-m", "tests.benchmarks.bench_recon", "--json", str(raw)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            say(line.rstrip())
    if running.returncode:
        sys.exit(f"bench_recon ended with {running.returncode}")
    return read(raw)


def read(raw: Path) -> list[ReconTime]:
    """Return what bench_recon wrote."""
    return [ReconTime(**row) for row in json.loads(raw.read_text())]


def table(rows: list[ReconTime]) -> str:
    """Return the rows as Markdown."""
    heads = (
        "case", "PyTomography, per iteration", "ours", "ratio", "goal", "ratio on its support",
        "our whole reconstruction", "peak memory, peer / ours", "image difference, noise-free", "with 5 M counts",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = (
            row.case,
            f"{1000 * row.peer_s:.0f} ms",
            f"{1000 * row.ours_s:.1f} ms",
            f"**{row.peer_s / row.ours_s:.0f}x**",
            f"{row.goal:.0f}x" + (f", {row.limit_s} s" if row.limit_s else ""),
            f"{row.peer_s / row.whole_grid_s:.0f}x",
            f"{row.whole_s:.2f} s",
            f"{row.peer_mib:.0f} / {row.ours_mib:.0f} MiB",
            f"{100 * row.clean:.2f} %",
            "" if row.noisy is None else f"{100 * row.noisy:.2f} %",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
