"""What the denoiser was to reach, what it reached, and whether that is enough: stated before the numbers were known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.evaluation.denoising.detection import NormalRecord, false_defects
from pipelines.evaluation.denoising.index_tables import NAMES, correlation, index_pairs, indices_of
from pipelines.evaluation.denoising.paper import IMAGE, INDICES, PROJECTION
from pipelines.evaluation.denoising.quality_tables import QUALITY, SPACES, Records, mean_of, mean_quality
from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.evaluation.layout import Cell, Table

ABOVE_CEILING_PERCENT: Mapping[Dose, float] = {Dose.HALF: 3.0, Dose.QUARTER: 3.0, Dose.EIGHTH: 8.0}
PSNR_AT_EIGHTH_DB = 33.9  # the paper: 32.37
TPD_CORRELATION_AT_EIGHTH = 0.85  # the paper: 0.76
ROUNDING = 0.005  # of the printed numbers
ROWS = len(Dose) * (len(SPACES) * len(QUALITY) + len(NAMES))  # of Tables 1 to 3, for one method
_SIGN = {"PSNR": 1.0, "SSIM": 1.0, "RMSE": -1.0}  # more is better


@dataclass(frozen=True)
class Goal:
    """One goal; `reached` is None where the numbers that it needs were not made."""

    name: str
    wanted: str
    measured: str
    reached: bool | None


def goals(records: Records, normals: Sequence[NormalRecord]) -> tuple[Goal, ...]:
    """Return all goals with what was measured."""
    return (
        *(_near_ceiling(records, dose) for dose in Dose),
        _ahead_of_network(records, Method.FULL),
        _ahead_of_network(records, Method.FOR_IMAGES),
        _ahead_of_print(records),
        _psnr(records),
        *(_tpd(records, method) for method in (Method.FULL, Method.FOR_IMAGES)),
        *(_false_defects(normals, method) for method in (Method.FOR_IMAGES, Method.FULL)),
    )


def goals_table(records: Records, normals: Sequence[NormalRecord]) -> Table:
    """Return the goals as a table."""
    said = {True: "yes", False: "no", None: "not known"}
    rows: list[tuple[Cell, ...]] = [
        (goal.name, goal.wanted, goal.measured, said[goal.reached]) for goal in goals(records, normals)
    ]
    return Table("goals", "Goals", ("goal", "wanted", "measured", "reached"), tuple(rows))


def _near_ceiling(records: Records, dose: Dose) -> Goal:
    mean = mean_of(records, dose, Method.FULL, lambda one: one.projection.rmse)
    ceiling = sum(record.ceiling[dose.value].rmse for record in records) / len(records)
    allowed = ABOVE_CEILING_PERCENT[dose]
    name = f"virtual full dose, {dose.value} dose: RMSE above the ceiling's"
    if mean is None:
        return Goal(name, f"at most {allowed:g} %", "nothing", None)
    above = 100.0 * (mean / ceiling - 1.0)
    return Goal(name, f"at most {allowed:g} %", f"{above:.1f} % ({mean:.2f}, ceiling {ceiling:.2f})", above <= allowed)


def _ahead_of_network(records: Records, method: Method) -> Goal:
    """Count the rows of Tables 1, 2 and 3 in which ours is ahead of the paper's network, trained on the same data."""
    behind, rows = [], 0
    for dose in Dose:
        for row, ours, theirs in _quality_rows(records, dose, method) + _index_rows(records, dose, method):
            rows += 1
            if ours < theirs:
                behind.append(f"{row} at {dose.value} dose")
    name = f"{method.value}: ahead of the paper's network, trained here, in every row of Tables 1 to 3"
    if rows == 0:
        return Goal(name, "every row", "the paper's network was not trained", None)
    return Goal(name, "every row", _counted(rows, behind), _every_row(rows, behind))


def _quality_rows(records: Records, dose: Dose, method: Method) -> list[tuple[str, float, float]]:
    """Return name, ours and the paper's network's of each row of Tables 1 and 2; more is better."""
    rows = []
    for space in SPACES:
        for name in QUALITY:
            ours, theirs = (mean_quality(records, dose, one, space, name) for one in (method, Method.PAPER))
            if ours is not None and theirs is not None:
                rows.append((f"{space} {name}", _SIGN[name] * ours, _SIGN[name] * theirs))
    return rows


def _index_rows(records: Records, dose: Dose, method: Method) -> list[tuple[str, float, float]]:
    """Compare in the patients whose heart was read in both images: losing the worst ones must not help a method."""
    compared = (method, Method.PAPER)
    both = [record for record in records if all(indices_of(record, dose, one) is not None for one in compared)]
    rows = []
    for name, words in NAMES.items():
        ours, theirs = (correlation(index_pairs(both, dose, one, name)) for one in compared)
        if ours is not None and theirs is not None:
            rows.append((f"r of {words}", ours.r, theirs.r))
    return rows


def _ahead_of_print(records: Records) -> Goal:
    """Count the printed numbers that the virtual full dose reaches, to the digits that were printed."""
    behind: list[str] = []
    rows = 0
    for dose in Dose:
        for space, printed in {"projection": PROJECTION, "image": IMAGE}.items():
            for name, of in printed.items():
                found = mean_quality(records, dose, Method.FULL, space, name)
                if found is not None:
                    rows += 1
                    if _SIGN[name] * found < _SIGN[name] * of[dose].predicted.mean - ROUNDING:
                        behind.append(f"{space} {name} at {dose.value} dose")
        for index, words in NAMES.items():
            r = correlation(index_pairs(records, dose, Method.FULL, index))
            if r is not None:
                rows += 1
                if r.r < INDICES[index][dose][1] - ROUNDING:
                    behind.append(f"r of {words} at {dose.value} dose")
    name = f"{Method.FULL.value}: not behind the paper's printed predictions (other patients) in Tables 1 to 3"
    return Goal(name, "every row", _counted(rows, behind), _every_row(rows, behind))


def _every_row(rows: int, behind: Sequence[str]) -> bool | None:
    """Return whether all rows are ahead; None where none is behind but some could not be compared."""
    if behind:
        return False
    return True if rows == ROWS else None


def _counted(rows: int, behind: Sequence[str]) -> str:
    return f"{rows - len(behind)} of {rows} rows" + (f"; behind: {', '.join(behind)}" if behind else "")


def _psnr(records: Records) -> Goal:
    mean = mean_of(records, Dose.EIGHTH, Method.FULL, lambda one: one.projection.psnr_db)
    name, wanted = "virtual full dose, eighth dose: PSNR in projection space", f"at least {PSNR_AT_EIGHTH_DB} dB"
    if mean is None:
        return Goal(name, wanted, "nothing", None)
    return Goal(name, wanted, f"{mean:.2f} dB", mean >= PSNR_AT_EIGHTH_DB)


def _tpd(records: Records, method: Method) -> Goal:
    found = correlation(index_pairs(records, Dose.EIGHTH, method, "tpd_percent"))
    name = f"{method.value}, eighth dose: Pearson's r of TPD against full dose"
    wanted = f"at least {TPD_CORRELATION_AT_EIGHTH}"
    if found is None:
        return Goal(name, wanted, "too few patients", None)
    measured = f"{found.r:.3f} ({found.low:.2f} to {found.high:.2f})"
    return Goal(name, wanted, measured, found.r >= TPD_CORRELATION_AT_EIGHTH)


def _false_defects(normals: Sequence[NormalRecord], method: Method) -> Goal:
    """Compare in the hearts that were read in both images, so that none is lost to one side."""
    both = [
        (one.methods[Dose.QUARTER.value][method.value], one.full_dose)
        for one in normals
        if one.methods.get(Dose.QUARTER.value, {}).get(method.value) is not None and one.full_dose is not None
    ]
    ours, full = (false_defects([pair[place] for pair in both]) for place in (0, 1))
    name = f"{method.value}, quarter dose: false defects in normal hearts"
    if ours is None or full is None:
        return Goal(name, "no more than at full dose", "no normal hearts", None)
    measured = f"{ours.number} of {ours.of}, at full dose {full.number}"
    return Goal(name, "no more than at full dose", measured, ours.number <= full.number)
