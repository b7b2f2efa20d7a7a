"""The guard's decision: thresholds of the model, words for the reader, nothing untested is sent."""

from __future__ import annotations

import pytest

from pipelines.contract import Verdict
from pipelines.quality.guard import Check, judge

CHECKS = (Check("counts", "the counts change"), Check("places", "a place changes"))
LIMITS = {"counts.warn": 2.0, "counts.quarantine": 3.0, "places.warn": 4.0, "places.quarantine": 6.0}


def test_usual_figures_pass_in_one_sentence() -> None:
    (finding,) = judge({"counts": 2.0, "places": 1.0}, LIMITS, CHECKS)
    assert finding.verdict is Verdict.PASS
    assert finding.text == "the guard passed 2 checks: counts, places"


@pytest.mark.parametrize(("value", "verdict", "limit"), [(2.01, Verdict.WARN, "2"), (3.01, Verdict.QUARANTINE, "3")])
def test_a_figure_beyond_a_limit_is_told_with_both(value: float, verdict: Verdict, limit: str) -> None:
    (finding,) = judge({"counts": value, "places": 1.0}, LIMITS, CHECKS)
    assert finding.verdict is verdict
    assert finding.text == f"the counts change (counts {value:.3g}, usual up to {limit})"


def test_a_model_without_thresholds_is_remarked_on_once() -> None:
    (finding,) = judge({"counts": 1e9, "places": 1e9}, {}, CHECKS)
    assert finding.verdict is Verdict.WARN
    assert "no thresholds for counts, places" in finding.text


def test_what_could_not_be_tested_is_held_back() -> None:
    (finding,) = judge({"counts": float("nan"), "places": 1.0}, LIMITS, CHECKS)
    assert finding.verdict is Verdict.QUARANTINE
    assert finding.text == "the guard could not test counts: without that nothing is sent unseen"


def test_the_reason_why_nothing_could_be_tested_stands_in_the_same_sentence() -> None:
    (finding,) = judge({"counts": float("nan"), "places": 1.0}, LIMITS, CHECKS, "no heart was found")
    assert finding.text == (
        "the guard could not test counts since no heart was found: without that nothing is sent unseen"
    )


def test_half_a_pair_of_limits_still_holds() -> None:
    only_the_second = {name: limit for name, limit in LIMITS.items() if name != "counts.warn"}
    findings = judge({"counts": 9.0, "places": 1.0}, only_the_second, CHECKS)
    assert {finding.verdict for finding in findings} == {Verdict.QUARANTINE, Verdict.WARN}


@pytest.mark.parametrize(("value", "verdict"), [(0.04, Verdict.PASS), (0.06, Verdict.WARN), (0.16, Verdict.QUARANTINE)])
def test_limits_that_too_few_patients_made_too_narrow_are_widened(value: float, verdict: Verdict) -> None:
    narrow = {"lung.warn": 0.0, "lung.quarantine": 0.01}
    (finding,) = judge({"lung": value}, narrow, [Check("lung", "part of it is lung", (0.05, 0.15))])
    assert finding.verdict is verdict
