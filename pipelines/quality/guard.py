"""The guard's decision: figures of a run against the thresholds of the model that made it, in a physician's words.

The thresholds are percentiles of the same figures over held-out patients and stand in the model's card.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.contract import Finding, Verdict

WARN, QUARANTINE = "warn", "quarantine"


@dataclass(frozen=True)
class Check:
    """One figure, the larger the worse, and what it means when it is too large."""

    figure: str
    meaning: str
    least: tuple[float, float] = (-math.inf, -math.inf)  # of WARN, QUARANTINE: lower ones are due to too few patients


def judge(
    figures: Mapping[str, float], thresholds: Mapping[str, float], checks: Sequence[Check], why_untested: str = ""
) -> tuple[Finding, ...]:
    """Return a finding for each check that fails, one for those that can't be made, or one that all passed.

    `thresholds` maps `<figure>.warn` and `<figure>.quarantine` to the largest value that still passes. What the model
    has no thresholds for is remarked on; a figure that is NaN could not be computed, `why_untested` says why, and
    nothing untested is sent.
    """
    failed = [finding for check in checks for finding in _failed(check, figures[check.figure], thresholds)]
    unknown = [check.figure for check in checks if None in _limits(check, thresholds)]
    if unknown:
        words = f"the model has no thresholds for {', '.join(unknown)}: this was not checked"
        failed.append(Finding(Verdict.WARN, words))
    untested = [check.figure for check in checks if math.isnan(figures[check.figure]) and check.figure not in unknown]
    if untested:
        why = f" since {why_untested}" if why_untested else ""
        words = f"the guard could not test {', '.join(untested)}{why}: without that nothing is sent unseen"
        failed.append(Finding(Verdict.QUARANTINE, words))
    passed = f"the guard passed {len(checks)} checks: {', '.join(check.figure for check in checks)}"
    return tuple(failed) or (Finding(Verdict.PASS, passed),)


def _limits(check: Check, thresholds: Mapping[str, float]) -> tuple[float | None, float | None]:
    """Return the limits of QUARANTINE and WARN, None where the model has none."""
    remark, hold = check.least
    return _limit(thresholds, check, QUARANTINE, hold), _limit(thresholds, check, WARN, remark)


def _limit(thresholds: Mapping[str, float], check: Check, kind: str, least: float) -> float | None:
    stated = thresholds.get(f"{check.figure}.{kind}")
    return None if stated is None else max(stated, least)


def _failed(check: Check, value: float, thresholds: Mapping[str, float]) -> list[Finding]:
    for limit, verdict in zip(_limits(check, thresholds), (Verdict.QUARANTINE, Verdict.WARN), strict=True):
        if limit is not None and value > limit:
            words = f"{check.meaning} ({check.figure} {value:.3g}, usual up to {limit:.3g})"
            return [Finding(verdict, words)]
    return []
