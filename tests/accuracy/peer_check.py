"""Our images beside PyTomography's from the same noise-free counts: a second opinion, where its environment exists."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.accuracy.figures import Figure

ROOT = Path(__file__).parents[2]
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
NOT_RUN = "not run: PyTomography's environment is missing; make bench-recon builds it"
LARGEST_DIFFERENCE = 0.01  # NRMSE within the circle; their back projection interpolates, ours transposes


def agreement() -> list[Figure]:
    """Return the difference of the images after 8 x 2 updates, by correction. Needs `PEER_PYTHON`."""
    command = [str(PEER_PYTHON), "-m", "tests.benchmarks.bench_recon", "--agreement"]
    printed = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return [
        Figure("image against PyTomography 3.4.0", name, difference, high=LARGEST_DIFFERENCE, percent=True)
        for name, difference in found.items()
    ]


def not_run() -> str:
    """Return the row of the table that says so."""
    return f"| image against PyTomography 3.4.0 | all | ≤ {100 * LARGEST_DIFFERENCE:g} % | {NOT_RUN} |"
