"""Whether what a soak has seen stayed where it was: limits for each figure, a sentence for each that was broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from tests.soak.watch import Sample, Trend

# How much each figure may grow after the warm-up, from the first tenth to the last and along the straight line. What a
# study leaves behind adds up to more than that in an hour: 1,300 studies at 15 KB are 20 MB. A child's memory comes and
# goes by the arrays of one study, and its limits are wider for that.
MAY_GROW: Mapping[str, float] = {
    "node_mb": 20, "child_mb": 80, "cluster_mb": 120,
    "node_files": 5, "child_files": 3, "cluster_files": 10,
    "node_threads": 4, "child_threads": 3, "cluster_threads": 6,
}  # fmt: skip
JOURNAL_KB = 15.0  # for each study of one instance; rows are never dropped
FILES_SPARE, FILES_SPARE_MB = 1.25, 30.0  # of what retention should leave on the disk: studies under way come on top
DELIVERED = {"DELIVERED", "PURGED"}
LEAST_STUDIES = 10  # before a figure for each study means anything


def faults_of(samples: Sequence[Sample], found: Sequence[Trend], kept_s: float) -> list[str]:
    """Return a sentence for each figure that grew beyond its limit; files are kept for `kept_s` after their study."""
    return [*_grown(found), *_journal(samples), *_files(samples, kept_s)]


def undelivered(sent: Sequence[str], states: Mapping[str, str], archived: AbstractSet[str]) -> list[str]:
    """Return a sentence for each study that was sent and did not arrive: its state, or that the archive has none of it.

    A study that was DELIVERED long enough ago is PURGED, and so is one that nothing was to be sent of.
    """
    told = []
    for uid in sent:
        state = states.get(uid, "unknown")
        if state not in DELIVERED:
            told.append(f"study {uid} is {state}")
        elif uid not in archived:
            told.append(f"study {uid} is {state} and the archive has nothing of it")
    return told


def expected_mb(samples: Sequence[Sample], kept_s: float) -> list[float]:
    """Return the room that files should take at each look: that of the studies that came within the time they are kept.

    What one study takes is read from the looks before the first purge was due.
    """
    filling = [one for one in samples if one.studies >= LEAST_STUDIES and one.at_s <= kept_s]
    each_mb = max((one.files_mb / one.studies for one in filling), default=0.0)
    expected = []
    purged = 0
    for one in samples:
        while samples[purged].at_s < one.at_s - kept_s:
            purged += 1
        before = samples[purged].studies if one.at_s > kept_s else 0
        expected.append(each_mb * (one.studies - before))
    return expected


def _grown(found: Sequence[Trend]) -> list[str]:
    told = []
    for one in found:
        limit = MAY_GROW.get(one.name)
        along_the_line = one.per_hour * one.hours
        if limit is not None and max(one.last - one.first, along_the_line) > limit:
            told.append(
                f"{one.name} grew from {one.first:.1f} to {one.last:.1f}, by {along_the_line:.1f} along the line; "
                f"expected at most {limit:g}"
            )
    return told


def _journal(samples: Sequence[Sample]) -> list[str]:
    first, last = samples[0], samples[-1]
    studies = last.studies - first.studies
    if studies < LEAST_STUDIES:
        return []
    each_kb = 1024 * (last.journal_mb - first.journal_mb) / studies
    return [f"the journal took {each_kb:.1f} KB for a study, expected at most {JOURNAL_KB:g}"] * (each_kb > JOURNAL_KB)


def _files(samples: Sequence[Sample], kept_s: float) -> list[str]:
    beyond = [
        (one, expected)
        for one, expected in zip(samples, expected_mb(samples, kept_s), strict=True)
        if one.studies >= LEAST_STUDIES and one.files_mb > FILES_SPARE * expected + FILES_SPARE_MB
    ]
    if not beyond:
        return []
    one, expected = max(beyond, key=lambda pair: pair[0].files_mb - pair[1])
    return [f"files took {one.files_mb:.0f} MB after {one.at_s:.0f} s, expected {expected:.0f} MB by the retention"]
