"""Tests of whether methods differ: paired t and Wilcoxon for each metric, corrected for having asked so often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipelines.agreement.image_quality import ImageQuality
from pipelines.agreement.statistics import PairedTest, holm, paired_test
from pipelines.evaluation.denoising.index_tables import NAMES
from pipelines.evaluation.denoising.quality_tables import QUALITY, SPACES, Records
from pipelines.evaluation.denoising.record import Dose, Method, MethodRecord, PatientRecord
from pipelines.evaluation.layout import Cell, Number, Probability, Table

LEVEL = 0.05
COMPARED = (
    *((Method.LOW_DOSE, method) for method in Method if method is not Method.LOW_DOSE),
    (Method.PAPER, Method.FOR_IMAGES),
    (Method.PAPER, Method.FULL),
)


@dataclass(frozen=True)
class _Question:
    """One comparison: `second` less `first` in every patient."""

    metric: str
    dose: Dose
    first: Method
    second: Method
    found: PairedTest

    @property
    def p(self) -> float:
        """The p value to believe: Wilcoxon's where the differences aren't normal."""
        return self.found.wilcoxon_p if self.found.shapiro_p < LEVEL else self.found.t_p


def paired_tests_table(records: Records) -> Table:
    """Return the tests of all metrics between low dose and each method, and between the paper's network and ours."""
    asked = [
        question
        for metric, value in _metrics().items()
        for dose in Dose
        for first, second in COMPARED
        if (question := _question(records, metric, value, dose, first, second)) is not None
    ]
    corrected = holm([question.p for question in asked])
    return Table(
        "tests",
        "Paired tests between methods",
        (
            "metric", "dose", "first", "second", "mean difference, second less first", "p, paired t", "p, Wilcoxon",
            "p, Shapiro-Wilk", "p, Holm",
        ),
        tuple(_row(question, p) for question, p in zip(asked, corrected, strict=True)),
        f"Holm's correction is over all {len(asked)} rows, of Wilcoxon's p where Shapiro-Wilk finds the differences "
        f"not normal (p < {LEVEL:g}), else of the t-test's. The paper: low dose against predicted, p < 0.001 in "
        "projection space, < 0.05 in image space; of the indices at most 0.03, but at an eighth of the dose 0.29 for "
        "volume and 0.39 for wall. It doesn't say what of the indices it compared: here it is how far they lie from "
        "those of the full dose.",
    )  # fmt: skip


def _row(question: _Question, corrected: float) -> tuple[Cell, ...]:
    found = question.found
    ps = (found.t_p, found.wilcoxon_p, found.shapiro_p, corrected)
    named = (question.metric, question.dose.value, question.first.value, question.second.value)
    return (*named, Number(found.mean_difference, 3, sign=True), *map(Probability, ps))


Value = Callable[[PatientRecord, MethodRecord], float | None]


def _metrics() -> Mapping[str, Value]:
    """Return what is compared, by name: quality in both spaces, and how far indices lie from the full dose's."""
    metrics: dict[str, Value] = {}
    for space, of_space in SPACES.items():
        for name, value in QUALITY.items():
            metrics[f"{space} {name}"] = partial(_quality, of_space, value)
    for name, words in NAMES.items():
        metrics[f"{words.partition(',')[0]}, distance to full dose"] = partial(_distance, name)
    return metrics


def _quality(
    of_space: Callable[[MethodRecord], ImageQuality],
    value: Callable[[ImageQuality], float],
    _record: PatientRecord,
    one: MethodRecord,
) -> float:
    return value(of_space(one))


def _distance(name: str, record: PatientRecord, one: MethodRecord) -> float | None:
    if record.full_dose is None or one.indices is None:
        return None
    return abs(float(getattr(one.indices, name)) - float(getattr(record.full_dose, name)))


def _question(
    records: Records, metric: str, value: Value, dose: Dose, first: Method, second: Method
) -> _Question | None:
    """Return a comparison; None where too few patients have both, or where all differ by the same."""
    pairs = []
    for record in records:
        made = record.methods.get(dose.value, {})
        if first.value in made and second.value in made:
            before, after = value(record, made[first.value]), value(record, made[second.value])
            if before is not None and after is not None:
                pairs.append((after, before))
    afterwards, beforehand = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    try:
        return _Question(metric, dose, first, second, paired_test(afterwards, beforehand))
    except ValueError:
        return None
