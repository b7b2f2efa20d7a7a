"""`tables.md` and `tables.json` of an attenuation evaluation, made from its records and images alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.evaluation import run_folder
from pipelines.evaluation.attenuation.goals import goals_table
from pipelines.evaluation.attenuation.heart_tables import (
    agreement_table,
    bland_altman_table,
    deficit_table,
    roads_table,
    truth_table,
)
from pipelines.evaluation.attenuation.map_tables import map_table
from pipelines.evaluation.attenuation.material import NO_PAPER, Material
from pipelines.evaluation.attenuation.paired_tests import methods_compared
from pipelines.evaluation.attenuation.paper import SOURCE
from pipelines.evaluation.attenuation.patient_tables import literature_table, patients_table
from pipelines.evaluation.attenuation.record import Frame
from pipelines.evaluation.attenuation.robustness_tables import (
    camera_table,
    misregistration_table,
    registration_table,
)
from pipelines.evaluation.attenuation.run import CAMERA
from pipelines.evaluation.layout import Table
from pipelines.training.model_card import VIRTUAL


@dataclass(frozen=True)
class Evaluation:
    """All that the tables are made from."""

    material: Material
    model: str  # name and version of ours, in words
    sha256: Mapping[str, str]  # of the weights of each network
    seed: int


def tables_of(evaluation: Evaluation) -> tuple[Table, ...]:
    """Return all tables, the goals first. Raises ValueError for fewer than 2 scans on the main camera."""
    material = evaluation.material
    if len(material.main) < 2:
        raise ValueError("a spread needs at least 2 scans")
    found = (
        goals_table(material), map_table(material), agreement_table(material, Frame.OWN),
        agreement_table(material, Frame.COMMON), roads_table(material), bland_altman_table(material),
        deficit_table(material), truth_table(material), camera_table(material), misregistration_table(material),
        registration_table(material),
        methods_compared(material), literature_table(), patients_table(evaluation.seed),
    )  # fmt: skip
    return tuple(table for table in found if table is not None)


def as_markdown(evaluation: Evaluation, tables: Sequence[Table]) -> str:
    """Return the tables with what must be known to read them."""
    head = f"# Attenuation correction\n\n{_head(evaluation)}\n"
    return "\n".join([head, *(table.as_markdown() for table in tables)])


def as_json(evaluation: Evaluation, tables: Sequence[Table]) -> dict[str, object]:
    """Return the same as values that JSON can hold."""
    main = evaluation.material.main
    return {
        "evidence": VIRTUAL,
        "paper": SOURCE,
        "camera": CAMERA,
        "seed": evaluation.seed,
        "patients": len({record.patient.number for record in main}),
        "scans": len(main),
        "scans_on_other_cameras": len(evaluation.material.records) - len(main),
        "median_million_counts": float(np.median([record.million_counts for record in main])),
        "model": evaluation.model,
        "paper_network": evaluation.material.paper_size,
        "sha256": dict(evaluation.sha256),
        "tables": {table.key: table.as_json() for table in tables},
    }


def write_tables(evaluation: Evaluation, out: Path) -> dict[str, object]:
    """Write `tables.md` and `tables.json`, and return what `tables.json` holds."""
    tables = tables_of(evaluation)
    document = as_json(evaluation, tables)
    run_folder.write_tables(out, document, as_markdown(evaluation, tables))
    return document


def _head(evaluation: Evaluation) -> str:
    main = evaluation.material.main
    counts = [record.million_counts for record in main]
    networks = ", ".join(f"{name} ({digest[:12]})" for name, digest in sorted(evaluation.sha256.items()))
    return (
        f"**{VIRTUAL}.** {len(main)} scans of {len({one.patient.number for one in main})} virtual patients (test "
        f"patients of seed {evaluation.seed}), camera `{CAMERA}`, {np.median(counts):.2f} million counts in the median "
        f"({min(counts):.2f} to {max(counts):.2f}). Ours: {evaluation.model}. The paper's network: "
        f'{_paper_words(evaluation.material)}. Networks and SHA-256: {networks}. "Paper" is what {SOURCE} printed of '
        "its own patients. CTAC, the reference, has the patient's own map in register."
    )


def _paper_words(material: Material) -> str:
    if material.paper_size != NO_PAPER:
        return material.paper_size
    return f"**{NO_PAPER}, so no table has a row of the paper's cGAN** (none is shipped or named, or it was left out)"
