"""Which metrics of the attenuation evaluation are tested between which methods, patient by patient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from pipelines.agreement.statistics import PairedTest, paired_test
from pipelines.evaluation.attenuation.material import Material, segment_apes
from pipelines.evaluation.attenuation.record import Frame, Method, Road, ScanRecord
from pipelines.evaluation.layout import Table
from pipelines.evaluation.paired_tests import Question, paired_tests_table

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


def methods_compared(material: Material) -> Table:
    """Return the tests of all metrics between pairs of methods."""
    asked = [
        Question((metric, material.label(first), material.label(second)), found)
        for metric, value in _metrics().items()
        for first, second in COMPARED
        if (found := _compared(material.main, value, first, second)) is not None
    ]
    notes = "Patients are compared, not scans: of a patient with stress and rest the mean counts."
    return paired_tests_table(asked, ("metric", "first", "second"), notes, digits=4)


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


def _compared(records: Sequence[ScanRecord], value: Value, first: Method, second: Method) -> PairedTest | None:
    """Return a comparison; None where too few patients have both, or where all differ by the same."""
    by_patient: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for record in records:
        before, after = value(record, first), value(record, second)
        if before is not None and after is not None:
            by_patient[record.patient.number].append((after, before))
    means = np.array([np.mean(pairs, axis=0) for pairs in by_patient.values()], dtype=np.float64).reshape(-1, 2)
    try:
        return paired_test(means[:, 0], means[:, 1])
    except ValueError:
        return None
