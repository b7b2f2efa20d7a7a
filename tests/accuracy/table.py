"""Measures all figures and writes them into docs/reconstruction.md: `python -m tests.accuracy.table`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tests.accuracy import peer_check
from tests.accuracy.checks import CORE
from tests.accuracy.figures import markdown

DOCUMENT = Path(__file__).parents[2] / "docs" / "reconstruction.md"


def replace_section(text: str, name: str, content: str) -> str:
    """Return the text with what stands between the markers of this name replaced."""
    start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = text.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n{content}\n{end}{after}"


def main() -> int:
    """Measure on the CPU, write the table, and say whether all figures hold."""
    torch.set_num_threads(min(2, torch.get_num_threads()))
    figures = [figure for check in CORE for figure in check("cpu")]
    with_peer = peer_check.PEER_PYTHON.exists()
    if with_peer:
        figures += peer_check.agreement()
    table = markdown(figures) if with_peer else f"{markdown(figures)}\n{peer_check.not_run()}"
    DOCUMENT.write_text(replace_section(DOCUMENT.read_text(), "accuracy", table))
    missed = [figure for figure in figures if not figure.holds]
    print(f"{len(figures)} figures, {len(missed)} outside their tolerance; written to {DOCUMENT}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
