"""Tests of whether methods differ: paired t and Wilcoxon for each metric, corrected for having asked so often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipelines.agreement.statistics import PairedTest, holm, paired_test
from pipelines.evaluation.attenuation.material import Material, segment_apes
from pipelines.evaluation.attenuation.record import Frame, Method, Road, ScanRecord
from pipelines.evaluation.layout import Cell, Number, Probability, Table

LEVEL = 0.05
COMPARED = (
    (Method.NONE, Method.OURS),
    (Method.UNIFORM, Method.OURS),
    (Method.PAPER, Method.OURS),
    (Method.NONE, Method.OURS_PEAK),
    (Method.UNIFORM, Method.OURS_PEAK),
    (Method.PAPER, Method.OURS_PEAK),
    (Method.OURS_PEAK, Method.OURS),
    (Method.CT_BY_HAND, Method.OURS),
    (Method.CT_BY_HAND, Method.CT_REGISTERED),
)
Value = Callable[[ScanRecord, Method], float | None]


@dataclass(frozen=True)
class _Question:
    """One comparison: `second` less `first` in every patient."""

    metric: str
    first: Method
    second: Method
    found: PairedTest

    @property
    def p(self) -> float:
        """The p value to believe: Wilcoxon's where the differences aren't normal."""
        return self.found.wilcoxon_p if self.found.shapiro_p < LEVEL else self.found.t_p


def paired_tests_table(material: Material) -> Table:
    """Return the tests of all metrics between pairs of methods."""
    asked = [
        question
        for metric, value in _metrics().items()
        for first, second in COMPARED
        if (question := _question(material.main, metric, value, first, second)) is not None
    ]
    corrected = holm([question.p for question in asked])
    rows: list[tuple[Cell, ...]] = []
    for question, p in zip(asked, corrected, strict=True):
        found = question.found
        ps = (found.t_p, found.wilcoxon_p, found.shapiro_p, p)
        named = (question.metric, material.label(question.first), material.label(question.second))
        rows.append(
            (*named, Number(found.mean_difference, 4, sign=True), *map(Probability, ps), str(found.number))
        )  # fmt: skip
    return Table(
        "tests",
        "Paired tests between methods",
        ("metric", "first", "second", "mean difference, second less first", "p, paired t", "p, Wilcoxon",
         "p, Shapiro-Wilk", "p, Holm", "patients"),
        tuple(rows),
        f"Patients are compared, not scans: of a patient with stress and rest the mean counts. Holm's correction is "
        f"over all {len(asked)} rows, of Wilcoxon's p where Shapiro-Wilk finds the differences not normal "
        f"(p < {LEVEL:g}), else of the t-test's.",
    )  # fmt: skip


def _metrics() -> Mapping[str, Value]:
    """Return what is compared, by name; less is better in each."""
    metrics: dict[str, Value] = {"NMAE of the map": _nmae}
    for road in Road:
        metrics[f"segment APE, {road.value}"] = partial(_segment_ape, road)
        metrics[f"difference of TPD from CTAC's, absolute, {road.value}"] = partial(_deficit_apart, road)
    return metrics


def _nmae(record: ScanRecord, method: Method) -> float | None:
    figures = record.maps.get(method.value)
    return None if figures is None else figures.nmae


def _segment_ape(road: Road, record: ScanRecord, method: Method) -> float | None:
    ours, theirs = (record.reading(road, Frame.OWN, one) for one in (method, Method.CTAC))
    return None if ours is None or theirs is None else float(segment_apes(ours, theirs).mean())


def _deficit_apart(road: Road, record: ScanRecord, method: Method) -> float | None:
    ours, theirs = (record.reading(road, Frame.OWN, one) for one in (method, Method.CTAC))
    return None if ours is None or theirs is None else abs(ours.tpd_percent - theirs.tpd_percent)


def _question(
    records: Sequence[ScanRecord], metric: str, value: Value, first: Method, second: Method
) -> _Question | None:
    """Return a comparison; None where too few patients have both, or where all differ by the same."""
    by_patient: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for record in records:
        before, after = value(record, first), value(record, second)
        if before is not None and after is not None:
            by_patient[record.patient.number].append((after, before))
    means = np.array([np.mean(pairs, axis=0) for pairs in by_patient.values()], dtype=np.float64).reshape(-1, 2)
    try:
        return _Question(metric, first, second, paired_test(means[:, 0], means[:, 1]))
    except ValueError:
        return None
