"""The table of whether methods differ: paired t and Wilcoxon for each metric, corrected for having asked so often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.agreement.statistics import PairedTest, holm
from pipelines.evaluation.layout import Cell, Number, Probability, Table

LEVEL = 0.05


@dataclass(frozen=True)
class Question:
    """One comparison: the second method less the first, in every patient."""

    named: tuple[str, ...]  # the metric, where it was asked, and the names of both methods
    found: PairedTest

    @property
    def p(self) -> float:
        """The p value to believe: Wilcoxon's where the differences aren't normal."""
        return self.found.wilcoxon_p if self.found.shapiro_p < LEVEL else self.found.t_p


def paired_tests_table(asked: Sequence[Question], naming: Sequence[str], notes: str, digits: int = 3) -> Table:
    """Return the table of all questions; `naming` heads the columns that name them, the last two are the methods."""
    corrected = holm([question.p for question in asked])
    return Table(
        "tests",
        "Paired tests between methods",
        (*naming, "mean difference, second less first", "p, paired t", "p, Wilcoxon", "p, Shapiro-Wilk", "p, Holm",
         "patients"),
        tuple(_row(question, p, digits) for question, p in zip(asked, corrected, strict=True)),
        f"Holm's correction is over all {len(asked)} rows, of Wilcoxon's p where Shapiro-Wilk finds the differences "
        f"not normal (p < {LEVEL:g}), else of the t-test's. {notes}",
    )  # fmt: skip


def _row(question: Question, corrected: float, digits: int) -> tuple[Cell, ...]:
    found = question.found
    ps = map(Probability, (found.t_p, found.wilcoxon_p, found.shapiro_p, corrected))
    return (*question.named, Number(found.mean_difference, digits, sign=True), *ps, str(found.number))
