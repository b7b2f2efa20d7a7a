"""The guard's decision: figures of a run against the thresholds of the model that made it, in a physician's words.

The thresholds are percentiles of the same figures over held-out patients and stand in the model's card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.contract import Finding, Verdict

WARN, QUARANTINE = "warn", "quarantine"


@dataclass(frozen=True)
class Check:
    """One figure, the larger the worse, and what it means when it is too large."""

    figure: str
    meaning: str


def judge(
    figures: Mapping[str, float], thresholds: Mapping[str, float], checks: Sequence[Check]
) -> tuple[Finding, ...]:
    """Return a finding for each check that fails or can't be made, or one that all passed.

    `thresholds` maps `<figure>.warn` and `<figure>.quarantine` to the largest value that still passes.
    """
    findings = []
    for check in checks:
        value = figures[check.figure]
        limits = {level: thresholds.get(f"{check.figure}.{level}") for level in (QUARANTINE, WARN)}
        if None in limits.values():
            words = f"the model has no threshold for {check.figure}: this was not checked"
            findings.append(Finding(Verdict.WARN, words))
            continue
        for level, verdict in ((QUARANTINE, Verdict.QUARANTINE), (WARN, Verdict.WARN)):
            limit = limits[level]
            if limit is not None and not value <= limit:  # a figure that is not a number fails
                words = f"{check.meaning} ({check.figure} {value:.3g}, usual up to {limit:.3g})"
                findings.append(Finding(verdict, words))
                break
    passed = f"the guard passed {len(checks)} checks: {', '.join(check.figure for check in checks)}"
    return tuple(findings) or (Finding(Verdict.PASS, passed),)
