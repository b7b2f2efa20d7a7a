"""`tables.md` and `tables.json` of a random search, made from its journal alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pipelines.evaluation import run_folder
from pipelines.evaluation.attenuation.paper import SEARCH, SEARCH_DISCARDED, SEARCH_P, SEARCH_RUNS, SOURCE
from pipelines.evaluation.layout import Cell, Number, Probability, Spread, Table, spread
from pipelines.evaluation.search.factors import FACTORS, Group, comparisons, groups_of
from pipelines.evaluation.search.journal import TrainingRecord
from pipelines.evaluation.search.run import LEAST_SPREAD, WORST_NMAE

LEVEL = 0.05


def tables_of(records: Sequence[TrainingRecord]) -> tuple[Table, ...]:
    """Return all tables."""
    return _choices(records), _tests(records), _best(records)


def write_tables(records: Sequence[TrainingRecord], evidence: str, out: Path, scaled: str = "") -> dict[str, object]:
    """Write `tables.md` and `tables.json`, and return what `tables.json` holds.

    `scaled` says in what the search is smaller than the paper's; nothing where it isn't.
    """
    tables = tables_of(records)
    document: dict[str, object] = {
        "evidence": evidence,
        "paper": SOURCE,
        "trainings": len(records),
        "scaled": scaled,
        "discarded": sum(bool(record.discarded) for record in records),
        "tables": {table.key: table.as_json() for table in tables},
        "records": [asdict(record) for record in records],
    }
    head = f"# Random search\n\n{_head(records, evidence, scaled)}\n"
    run_folder.write_tables(out, document, "\n".join([head, *(table.as_markdown() for table in tables)]))
    return document


def _head(records: Sequence[TrainingRecord], evidence: str, scaled: str) -> str:
    why = Counter(record.discarded for record in records if record.discarded)
    reasons = "; ".join(f"{number} x {words}" for words, number in why.most_common()) or "none"
    sizes = ", ".join(sorted({str(record.stated["size"]) for record in records}))
    said = f"**{evidence}.** {scaled[:1].upper()}{scaled[1:]}. " if scaled else f"**{evidence}.** "
    return (
        f"{said}{len(records)} trainings, size: {sizes}; discarded {sum(why.values())} ({reasons}). "
        f"A training is discarded if its NMAE on validation images is above {WORST_NMAE:g} or its maps vary less than "
        f"{LEAST_SPREAD:g} of the measured ones'. {SOURCE}: {SEARCH_RUNS} trainings, {SEARCH_DISCARDED} discarded by "
        "eye."
    )


def _choices(records: Sequence[TrainingRecord]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for factor in FACTORS:
        for group in groups_of(records, factor):
            rows.append((factor.words, group.choice, *_group_cells(group)))
    return Table(
        "choices",
        "Figure 3. Validation NMAE by choice",
        ("choice of", "drawn", "trainings", "not converged", "not converged, paper", "NMAE", "NMAE, paper"),
        tuple(rows),
        "Mean ± sd over the trainings that converged.",
    )


def _group_cells(group: Group) -> tuple[Cell, ...]:
    printed = SEARCH.get((group.factor.name, group.choice))
    lost = printed.discarded if printed else None
    nmae = printed.nmae if printed else None
    return (
        str(group.drawn),
        str(group.discarded),
        f"{lost[0]} of {lost[1]}" if lost else None,
        spread(group.nmae, 4),
        Spread(nmae.mean, nmae.sd, 3) if nmae else None,
    )


def _tests(records: Sequence[TrainingRecord]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in comparisons(records):
        named = (one.first.factor.name, one.first.choice, one.second.choice)
        printed = SEARCH_P.get(named)
        found = one.found
        ps = (min(found.shapiro_p), found.t_p, found.mann_whitney_p, one.corrected)
        rows.append(
            (
                one.first.factor.words, *named[1:], Number(found.mean_difference, 4, sign=True), *map(Probability, ps),
                None if printed is None else Probability(printed),
            )
        )  # fmt: skip
    return Table(
        "tests",
        "Tests between choices",
        ("choice of", "first", "second", "mean difference, second less first", "p, Shapiro-Wilk (smaller)",
         "p, t test (Welch)", "p, Mann-Whitney", "p, Holm", "p, paper"),
        tuple(rows),
        f"Holm's correction is over all {len(rows)} rows, of the t-test's p where Shapiro-Wilk finds both groups "
        f"normal (p >= {LEVEL:g}), else of Mann-Whitney's. The paper used the t test and corrected for nothing. "
        "Choices with fewer than 3 trainings that converged are left out.",
    )  # fmt: skip


def _best(records: Sequence[TrainingRecord]) -> Table:
    converged = [(one.nmae, one) for one in records if one.nmae is not None and not one.discarded]
    ranked = sorted(converged, key=lambda pair: (pair[0], pair[1].number))[:10]
    rows: list[tuple[Cell, ...]] = [
        (
            str(one.number),
            Number(nmae, 4),
            Number(one.best_epoch, 1),
            *(factor.choice(one.settings) for factor in FACTORS),
        )
        for nmae, one in ranked
    ]
    return Table(
        "best",
        "The best trainings",
        ("training", "NMAE", "best after epoch", *(factor.words for factor in FACTORS)),
        tuple(rows),
        "The paper's best: CNN classifier of 64, 128, 256 filters, mean normalization, weights 1 : 100, four levels, "
        "NMAE 0.018 after epoch 60.",
    )
