"""The tables of gated studies: what is left of the beat at half dose, and ejection fractions at every dose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.evaluation.denoising.arrays import FULL_DOSE
from pipelines.evaluation.denoising.index_tables import correlation
from pipelines.evaluation.denoising.quality_tables import CEILING, NOT_TRAINED, Records, three_cells
from pipelines.evaluation.denoising.record import TRUTH, Dose, Method, PatientRecord
from pipelines.evaluation.layout import Cell, Number, Table, spread


def gated_tables(records: Records) -> tuple[Table, ...]:
    """Return all tables of gated studies."""
    return _gated(records), _ejection_fractions(records)


def _gated(records: Records) -> Table:
    names = [method.value for method in Method if any(method.value in record.gated for record in records)]
    rows: list[tuple[Cell, ...]] = [("full", FULL_DOSE, None, None, None, *_ejection(records, FULL_DOSE))]
    for name in names:
        found = [record.gated[name] for record in records if name in record.gated]
        rows.append((Dose.HALF.value, name, *three_cells(found), *_ejection(records, name)))
    if Method.PAPER.value not in names:
        rows.append((Dose.HALF.value, Method.PAPER.value, NOT_TRAINED, *[None] * 6))
    best = [record.gated_ceiling for record in records]
    rows.append((Dose.HALF.value, CEILING, *three_cells(best), *[None] * 4))
    return Table(
        "gated",
        "Gates at half dose",
        (
            "dose", "method", "PSNR", "SSIM", "RMSE", "beat, % of the true one",
            "ejection fraction less full dose's, points", "ejection fraction less the truth, points", "read in",
        ),
        tuple(rows),
        "Projections gate by gate, scales as in Table 1. The paper prints no numbers: it found its gated predictions "
        "over-smoothed. The beat is how the gates, each over its own counts, differ from their mean: noise leaves it "
        "at 100 % on average, a method that makes gates alike brings it to 0. Ejection fractions: mean and sd of the "
        "differences.",
    )  # fmt: skip


def _ejection(records: Records, name: str) -> tuple[Cell, ...]:
    read = [record.gated_ejection_percent for record in records if name in record.gated_ejection_percent]
    against_full = [one[name] - one[FULL_DOSE] for one in read if FULL_DOSE in one]
    beats = [record.gated_beat_percent[name] for record in records if name in record.gated_beat_percent]
    less_full = None if name == FULL_DOSE else spread(against_full, 1)
    return (
        spread(beats, 0),
        less_full,
        spread([one[name] - one[TRUTH] for one in read], 1),
        f"{len(read)} of {len(records)}",
    )


def _ejection_fractions(records: Records) -> Table:
    rows = [_agreement("full", FULL_DOSE, records)]
    for dose in Dose:
        for method in (Method.LOW_DOSE, Method.FOR_IMAGES):
            rows.append(_agreement(dose.value, method.value, records))
    return Table(
        "ejection fractions",
        "Ejection fractions of gated studies against the truth",
        ("dose", "method", "less the truth, points", "RMS error, points", "Pearson's r with the truth", "read in"),
        tuple(rows),
        "Differences: mean and sd. Noise alone makes ejection fractions too large: it is taken for motion. The truth "
        "is the virtual patient's own volumes, so the row of the full dose shows what reading itself adds.",
    )


def _agreement(dose: str, name: str, records: Records) -> tuple[Cell, ...]:
    found = [(value, record.gated_ejection_percent[TRUTH]) for record in records for value in _read(record, dose, name)]
    differences = np.array([read - true for read, true in found])
    agreement = correlation(found)
    return (
        dose,
        name,
        spread(list(differences), 1),
        Number(float(np.sqrt(np.mean(differences**2))), 1) if found else None,
        None if agreement is None else Number(agreement.r),
        f"{len(found)} of {len(records)}",
    )


def _read(record: PatientRecord, dose: str, name: str) -> Sequence[float]:
    """Return the ejection fraction that was read in a patient, if it was."""
    above = dose in ("full", Dose.HALF.value)
    of_dose = record.gated_ejection_percent if above else record.ejection_percent.get(dose, {})
    return (of_dose[name],) if name in of_dose else ()
