"""A heart that reads as another one after denoising is remarked on or held back; one that reads alike is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.cardiac.gated_function import GatedFunction
from pipelines.contract import Heart, Verdict
from pipelines.quality.heart_change import heart_change_findings
from tests.pipelines.report.results import heart


def beating(percent: float) -> Heart:
    function = GatedFunction((100.0,) * 8, 100.0, 100.0 - percent, percent, 0, 4, 120.0, (30.0,) * 17, np.ones((2, 3)))
    return replace(heart(), function=function)


def verdicts(before: Heart, after: Heart, *, faint_gates: bool = False) -> list[Verdict]:
    return [finding.verdict for finding in heart_change_findings(before, after, faint_gates=faint_gates)]


def test_the_same_heart_gets_no_remark() -> None:
    assert verdicts(heart(), heart()) == []
    assert verdicts(beating(60.0), beating(60.0)) == []


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False)], ids=["painted", "filled"])
def test_a_defect_that_comes_or_goes_is_held_back(before: bool, after: bool) -> None:
    (finding,) = heart_change_findings(heart(before), heart(after), faint_gates=True)
    assert finding.verdict is Verdict.QUARANTINE
    assert "total perfusion deficit from" in finding.text


def test_without_normal_limits_there_is_no_deficit_to_compare() -> None:
    assert verdicts(heart(judged=False), heart(lateral_defect=True)) == []


@pytest.mark.parametrize(
    ("now", "faint_gates", "expected"),
    [
        (51.0, False, []),
        (45.0, False, [Verdict.WARN]),
        (30.0, False, [Verdict.QUARANTINE]),
        (30.0, True, [Verdict.WARN]),
    ],
)
def test_an_ejection_fraction_that_changes_is_told_and_held_where_the_input_can_be_trusted(
    now: float, faint_gates: bool, expected: list[Verdict]
) -> None:
    assert verdicts(beating(60.0), beating(now), faint_gates=faint_gates) == expected
    assert verdicts(beating(now), beating(60.0), faint_gates=faint_gates) == expected
