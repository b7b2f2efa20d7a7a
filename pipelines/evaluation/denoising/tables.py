"""`tables.md`, `tables.json` and a physician's worklist of a denoising evaluation, made from its records alone."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from pipelines.evaluation import run_folder
from pipelines.evaluation.denoising.detection import NormalRecord
from pipelines.evaluation.denoising.gated_tables import gated_tables
from pipelines.evaluation.denoising.goals import goals_table
from pipelines.evaluation.denoising.index_tables import index_tables
from pipelines.evaluation.denoising.low_dose_table import CAMERA
from pipelines.evaluation.denoising.paired_tests import methods_compared
from pipelines.evaluation.denoising.paper import SOURCE
from pipelines.evaluation.denoising.quality_tables import quality_tables
from pipelines.evaluation.denoising.record import Dose, Method, PatientRecord
from pipelines.evaluation.layout import Table
from pipelines.training.model_card import VIRTUAL

WORKLIST_COLUMNS = ("patient", "image", "summed score", "difference (-3 to +3)", "acceptable (y/n)", "remarks")
SCORED = (Method.LOW_DOSE, Method.PAPER, Method.FOR_IMAGES, Method.FULL)


@dataclass(frozen=True)
class Evaluation:
    """All that the tables are made from."""

    patients: Sequence[PatientRecord]
    normals: Sequence[NormalRecord]
    model: str  # name and version, in words
    sha256: Mapping[str, str]  # of the weights of each network
    seed: int


def tables_of(evaluation: Evaluation) -> tuple[Table, ...]:
    """Return all tables, the goals first. Raises ValueError for fewer than 2 patients."""
    patients, normals = evaluation.patients, evaluation.normals
    if len(patients) < 2:
        raise ValueError("a spread needs at least 2 patients")
    quality, indices = quality_tables(patients), index_tables(patients, normals)
    return (
        goals_table(patients, normals), *quality, *gated_tables(patients), *indices, methods_compared(patients)
    )  # fmt: skip


def as_markdown(evaluation: Evaluation, tables: Sequence[Table]) -> str:
    """Return the tables with what must be known to read them."""
    return "\n".join([f"# Denoising\n\n{_head(evaluation)}\n", *(table.as_markdown() for table in tables)])


def as_json(evaluation: Evaluation, tables: Sequence[Table]) -> dict[str, object]:
    """Return the same as values that JSON can hold."""
    counts = [record.million_counts for record in evaluation.patients]
    return {
        "evidence": VIRTUAL,
        "paper": SOURCE,
        "camera": CAMERA,
        "seed": evaluation.seed,
        "patients": len(evaluation.patients),
        "normal_hearts": len(evaluation.normals),
        "median_million_counts": float(np.median(counts)),
        "model": evaluation.model,
        "sha256": dict(evaluation.sha256),
        "tables": {table.key: table.as_json() for table in tables},
    }


def worklist(evaluation: Evaluation) -> str:
    """Return, as CSV, one row per image that a site's physician may score, with empty columns for it."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(WORKLIST_COLUMNS)
    for record in evaluation.patients:
        made = [
            f"{dose.value}, {method.value}"
            for dose in Dose
            for method in SCORED
            if method.value in record.methods.get(dose.value, {})
        ]
        for image in ("full dose", *made):
            writer.writerow((record.patient, image, *[""] * (len(WORKLIST_COLUMNS) - 2)))
    return text.getvalue()


def write_tables(evaluation: Evaluation, out: Path) -> dict[str, object]:
    """Write `tables.md`, `tables.json` and `worklist.csv`, and return what `tables.json` holds."""
    tables = tables_of(evaluation)
    document = as_json(evaluation, tables)
    run_folder.write_tables(out, document, as_markdown(evaluation, tables))
    (out / "worklist.csv").write_text(worklist(evaluation))
    return document


def _head(evaluation: Evaluation) -> str:
    counts = [record.million_counts for record in evaluation.patients]
    networks = ", ".join(f"{name} ({digest[:12]})" for name, digest in sorted(evaluation.sha256.items()))
    return (
        f"**{VIRTUAL}.** {len(evaluation.patients)} virtual patients (test patients of seed {evaluation.seed}), "
        f"camera `{CAMERA}`, {np.median(counts):.2f} million counts in the median ({min(counts):.2f} to "
        f"{max(counts):.2f}), gates summed; {len(evaluation.normals)} more normal hearts. Ours: {evaluation.model}. "
        f'Networks and SHA-256: {networks}. "Paper" is what {SOURCE} printed of its own 35 patients. Filters were '
        "tuned on validation patients for the lowest RMSE at each dose. Numbers are mean ± sd over patients."
    )
