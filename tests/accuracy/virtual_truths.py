"""Measures virtual patients for docs/virtual-patients.md: `python -m tests.accuracy.virtual_truths`."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from pipelines.simulation.anatomy import Sex
from tests.accuracy.figures import Figure
from tests.accuracy.table import replace_section
from tests.accuracy.virtual_checks import (
    line_source,
    normal_heart,
    normal_hearts,
    organs,
    point_in_water,
    ventricles,
    wall_table,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "virtual-patients.md"


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table; the percentiles of one quantity share a row."""
    return rows_as_table([(*figure.cells(), "" if figure.holds else " **fails**") for figure in figures])


def rows_as_table(cells: list[tuple[str, str, str, str, str]]) -> str:
    """Return rows of group, name, tolerance, measured and remark as a Markdown table."""
    lines, group_before = ["| property | case | tolerance | measured |", "|---|---|---|---|"], ""
    for group, name, tolerance, measured, remark in cells:
        case, spread, _ = name.partition(", 5th percentile")
        if not spread and name.endswith((", median", ", 95th percentile")) and group_before == group:
            lines[-1] = lines[-1].removesuffix(" |") + f" / {measured}{remark} |"
            continue
        what = f"{case}: 5th, 50th, 95th percentile" if spread else name
        lines.append(f"| {group if group != group_before else ''} | {what} | {tolerance} | {measured}{remark} |")
        group_before = group
    return "\n".join(lines)


def main() -> int:
    """Measure, write both tables, and say whether all figures hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=12, help="normal patients of each sex")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    sexes = [sex for sex in Sex for _ in range(asked.patients)]
    numbers = [number for _ in Sex for number in range(asked.patients)]
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        normals = list(pool.map(normal_heart, sexes, numbers))
    figures = [*line_source(), *point_in_water(), *ventricles(), *organs(), *normal_hearts(normals)]
    text = replace_section(DOCUMENT.read_text(), "truths", table(figures))
    DOCUMENT.write_text(replace_section(text, "walls", wall_table(normals)))
    missed = [figure for figure in figures if not figure.holds]
    print(f"{len(figures)} figures, {len(missed)} outside their tolerance; written to {DOCUMENT}")
    for figure in missed:
        print(*figure.cells(), sep=" | ")
    print(wall_table(normals))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
