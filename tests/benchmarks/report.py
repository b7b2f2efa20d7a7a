"""The page of the benchmarks: tables of what was measured, beside the goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import median

from tests.benchmarks.cost import STUDIES, Cost
from tests.benchmarks.full_journal import PAGES, Times
from tests.benchmarks.receiving import LOADS, Rate
from tests.benchmarks.road import RoadTime

OURS = "dicomnode"
RIVAL = "Orthanc, no delay"
AHEAD = 1.2  # times the rival, the goal


@dataclass(frozen=True)
class Measured:
    """All that one run of `make bench` measured, in the same hour on the same machine."""

    when: datetime
    machine: str
    repeats: int
    rates: Sequence[Rate]
    road: Sequence[RoadTime]
    costs: Sequence[Cost]
    journals: Sequence[Times]

    def as_json(self) -> dict[str, object]:
        """Return the raw figures."""
        return {
            "when": self.when.isoformat(timespec="seconds"),
            "machine": self.machine,
            "receiving": [asdict(one) for one in self.rates],
            "road": [asdict(one) for one in self.road],
            "cost": [asdict(one) for one in self.costs],
            "journal": [asdict(one) for one in self.journals],
        }


def page(found: Measured) -> str:
    """Return the page as Markdown."""
    return f"""# Benchmarks

Made by `make bench` on {found.when:%Y-%m-%d}; {found.machine}. All processes share this machine and its loopback.

## Instances per second received

{", ".join(f"{load.instances} {load.name} (0.5 MB each)" for load in LOADS)}, sent by DCMTK's `storescu`, as packaged
and with `TCP_NODELAY=1` ("no delay"), over one association and over four at once; the clock runs from the start of the
clients to the end of the last. Medians of {found.repeats} rounds after one for warming up; the receivers' order turns
round with each. DCMTK and Orthanc write a response in two pieces; as packaged, the second waits for the client's
acknowledgment of the first; started with `TCP_NODELAY=1` it does not, so both are shown. Goal: {AHEAD:g} times Orthanc
without delay.

{chr(10).join(_rates(load.name, found.rates) for load in LOADS)}

![instances per second](receiving.png)

## From the scanner to the archive

Seconds from the C-STORE response to the last derived instance in Orthanc. The study is whole on arrival, so there is no
quiet time in it. The first study after a start finds the child process still loading. Goal: 5 s on two cores.

{_road(found.road)}

## What a study costs

Virtual patients of 64 x 64 pixels, {STUDIES} in a row after one for warming up, from the first C-STORE to the last
delivery; processor time and memory of the node and its child.

{_costs(found.costs)}

## With many studies in the journal

Each size has a node of its own on a journal that was filled before. Goals: claim under 5 ms, page under 200 ms,
`status` under 1 s, start under 3 s.

{_journals(found.journals)}
"""


def _rates(load: str, rates: Sequence[Rate]) -> str:
    mine = [one for one in rates if one.load == load]
    clients = list(dict.fromkeys((one.associations, one.no_delay) for one in mine))
    found = {(one.receiver, one.associations, one.no_delay): one for one in mine}
    heads = [
        f"{number} association{'s' if number > 1 else ''}{', no delay' if quick else ''}" for number, quick in clients
    ]
    lines = [
        f"| {load}: receiver | on the disk before it answers | {' | '.join(heads)} |",
        "|---" * (2 + len(heads)) + "|",
    ]
    for name in dict.fromkeys(one.receiver for one in mine):
        cells = [
            f"{found[name, *client].instances_per_s:.0f} ({found[name, *client].mb_per_s:.0f} MB/s)"
            for client in clients
        ]
        lines.append(f"| {name} | {found[name, *clients[0]].durable} | {' | '.join(cells)} |")
    ratios = [f"{found[OURS, *one].instances_per_s / found[RIVAL, *one].instances_per_s:.2f}" for one in clients]
    lines.append(f"| **{OURS} / {RIVAL}** | | {' | '.join(ratios)} |")
    return "\n".join(lines) + "\n"


def _road(times: Sequence[RoadTime]) -> str:
    lines = [
        "| study | derived instances | first after start, s | warm, median s | warm, range s |",
        "|---|---|---|---|---|",
    ]
    for row in times:
        spread = f"{min(row.warm_s):.2f} - {max(row.warm_s):.2f}"
        lines.append(f"| {row.study} | {row.derived} | {row.first_s:.2f} | {median(row.warm_s):.2f} | {spread} |")
    return "\n".join(lines)


def _costs(costs: Sequence[Cost]) -> str:
    lines = [
        "| pipeline | derived instances | studies per hour | processor s per study | memory of the node, MB | of its "
        "child, MB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.pipeline} | {one.derived} | {one.studies_per_hour:.0f} | {one.processor_s:.1f} | {one.node_mb:.0f} | "
        f"{one.child_mb:.0f} |"
        for one in costs
    ]
    return "\n".join(lines)


def _journals(times: Sequence[Times]) -> str:
    lines = [
        f"| studies | journal, MB | start, s | `status`, s | claim, ms | {', '.join(PAGES)}, ms | instances/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in times:
        pages = ", ".join(f"{one.pages_ms[name]:.0f}" if name in one.pages_ms else "-" for name in PAGES)
        lines.append(
            f"| {one.studies} | {one.journal_mb:.1f} | {one.start_s:.2f} | {one.status_s:.2f} | {one.claim_ms:.1f} | "
            f"{pages} | {one.instances_per_s:.0f} |"
        )
    return "\n".join(lines)
