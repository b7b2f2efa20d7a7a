"""The page of the benchmarks: tables of what was measured, beside the goals; and the raw figures that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from tests.benchmarks import cluster_cost, cost, failover, listening, recon, workers
from tests.benchmarks.cluster_cost import ClusterCost
from tests.benchmarks.cost import Cost
from tests.benchmarks.failover import FailOver
from tests.benchmarks.full_journal import AWAY, PAGES, WITH_FILES, Times
from tests.benchmarks.journals import JournalRate
from tests.benchmarks.listening import Listening
from tests.benchmarks.receiving import LOADS, UNFLUSHED, Rate
from tests.benchmarks.recon import PEER, ReconTime
from tests.benchmarks.road import RoadTime
from tests.benchmarks.workers import Scaling

OURS = "dicomnode"
RIVAL = "Orthanc, no delay"
AHEAD = 1.2  # times the rival, the goal
SCALED = 0.9  # times N what one worker does, the goal of N workers
LEAN_MB, PATIENT = 150, 1.5  # memory of the listener; a busy C-STORE in times of an idle one: at most

Row = TypeVar("Row")


@dataclass(frozen=True)
class Part(Generic[Row]):
    """One part of the benchmarks: what was found, when, and on what."""

    when: datetime
    machine: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Measured:
    """What was measured last of each part, in the order of the page; None if it never was."""

    receiving: Part[Rate] | None = None
    listening: Part[Listening] | None = None
    road: Part[RoadTime] | None = None
    cost: Part[Cost] | None = None
    workers: Part[Scaling] | None = None
    cluster: Part[ClusterCost] | None = None
    journals: Part[Times] | None = None
    databases: Part[JournalRate] | None = None
    failover: Part[FailOver] | None = None
    recon: Part[ReconTime] | None = None

    @staticmethod
    def read(text: str) -> Measured:
        """Return what `as_json` wrote. Raises ValueError if the text is nothing of the kind."""
        return _JSON.validate_json(text)

    def as_json(self) -> str:
        """Return the raw figures."""
        return _JSON.dump_json(self, indent=1).decode() + "\n"


_JSON = TypeAdapter(Measured)


def page(found: Measured) -> str:
    """Return the page as Markdown; what was never measured is not on it."""
    sections = [write(part) for name, write in SECTIONS.items() if (part := getattr(found, name)) is not None]
    return f"""# Benchmarks

Made by `make bench`. All processes of a section share the machine that it names, and its loopback.

{chr(10).join(sections)}"""


def _receiving(part: Part[Rate]) -> str:
    return f"""## Instances per second received

{_when(part)}

{", ".join(f"{load.instances} {load.name} (0.5 MB each)" for load in LOADS)}, sent by DCMTK's `storescu`, as packaged
and with `TCP_NODELAY=1` ("no delay"), over one association and over four at once; the clock runs from the start of the
clients to the end of the last. Medians of {len(part.rows[0].runs)} rounds after one for warming up; the receivers'
order turns round with each. DCMTK and Orthanc write a response in two pieces; as packaged, the second waits for the
client's acknowledgment of the first; started with `TCP_NODELAY=1` it does not, so both are shown. Processor time is the
receiver's own. Goal: {AHEAD:g} times Orthanc without delay.

{chr(10).join(_rates(load.name, part.rows) for load in LOADS)}{_unflushed(part.rows)}
Before the node answers, it has checked the header against rules and pixels, compared the instance with those that it
has, and flushed file, folder and journal. All of that but the hash and the flushes is Python, whose threads take turns
on one core, so four associations are hardly faster than one; and on two cores the senders need the other. DCMTK and
Orthanc are written in C++ and put less or nothing on the disk before they answer. So where the goal is missed, one
association misses it by what the flushes take, four by processor time. A camera sends a few instances in a minute.

![instances per second](receiving.png)
"""


def _unflushed(rates: Sequence[Rate]) -> str:
    """Return what the row of the node that flushes nothing is for; nothing where it was not measured."""
    if not any(one.receiver == UNFLUSHED for one in rates):
        return ""
    return f"""
"{UNFLUSHED}" is the same node under `eatmydata`, where each flush returns at once and does nothing. It is there to tell
the disk's time from the interpreter's, and is **no way to run it**: after a power cut what was acknowledged is gone.
"""


def _listening(part: Part[Listening]) -> str:
    (row,) = part.rows
    idle_ms, busy_ms = median(row.idle_ms), median(row.busy_ms)
    return f"""## Many senders, and a pipeline beside them

{_when(part)}

{listening.ASSOCIATIONS} associations at once, {listening.INSTANCES} NM of 0.5 MB over each; then one association with
{listening.TIMED} CT slices of 0.5 MB, one each {1000 * listening.EACH_S:.0f} ms, on a node that has nothing else to do,
and while it denoises without a pause. Nearly all of the memory after its start is Python and the packages that it
imports, before it has done anything; the C library has two heaps, as in the unit (`MALLOC_ARENA_MAX=2`).

| | measured | goal |
|---|---|---|
| memory of the node after its start, MB | {row.started_mb:.0f} | |
| the most with {listening.ASSOCIATIONS} associations, MB | {row.highest_mb:.0f} | under {LEAN_MB} |
| C-STORE on an idle node, median ms | {idle_ms:.1f} | |
| C-STORE beside a pipeline, median ms | {busy_ms:.1f} | |
| times the idle one | {busy_ms / idle_ms:.2f} | under {PATIENT:g} |
| the pipeline's share of the cores meanwhile | {100 * row.cores_busy:.0f} % | |
"""


def _road(part: Part[RoadTime]) -> str:
    return f"""## From the scanner to the archive

{_when(part)}

Seconds from the C-STORE response to the last derived instance in Orthanc. The study is whole on arrival, so there is no
quiet time in it. The first study after a start finds the child process still loading. Goal: 5 s on two cores.

{_road_times(part.rows)}
"""


def _cost(part: Part[Cost]) -> str:
    return f"""## What a study costs

{_when(part)}

Virtual patients of 64 x 64 pixels, one acquisition each, "gated" in eight gates; {cost.STUDIES} in a row after one for
warming up, from the first C-STORE to the last delivery; processor time and memory of the node and its child.

{_costs(part.rows)}

![seconds from the scanner to the archive, processor seconds and memory of each pipeline](studies.png)
"""


def _workers(part: Part[Scaling]) -> str:
    return f"""## Workers of a cluster

{_when(part)}

{workers.STUDIES} studies in a row through `reconstruction`, as above, by the node's own child and by workers of a Dask
cluster under mutual TLS; each process computes on one thread, so that one worker can fill one core. Processor time is
that of node, scheduler, workers and their children. Goal: N workers do {SCALED:g} N times what one does.

{_scaling(part.rows)}

Node, scheduler, workers, archive and scanner share these cores. The last column is what the cores could do if they did
nothing but this processor time: with more workers than cores the goal can't be reached on one machine, and where the
cores are busy throughout, another worker adds nothing but its own cost.

![studies per hour by workers](workers.png)
"""


def _cluster(part: Part[ClusterCost]) -> str:
    (row,) = part.rows
    jobs = [f"| a job of {one.size_mb} MB | {one.child_s:.2f} s | {one.worker_s:.2f} s |" for one in row.jobs]
    losses = [f"| {what} | {after_s:.1f} s |" for what, after_s in row.losses.items()]
    return f"""## The way to a worker, and losses

{_when(part)}

Node, scheduler and {cluster_cost.WORKERS} workers on one machine, under mutual TLS. A job that the pipeline refuses at
once, there and a short answer back; medians of {cluster_cost.TIMES}. Below, how long after a loss the node's attempt
ends. Memory at the most: scheduler {row.scheduler_mb:.0f} MB, a worker {row.worker_mb:.0f} MB beside its child.

| | in the node's own child | on a worker |
|---|---|---|
{chr(10).join(jobs)}

| loss | seen by the node after |
|---|---|
{chr(10).join(losses)}
"""


def _journals(part: Part[Times]) -> str:
    return f"""## With many studies in the journal

{_when(part)}

Each size has a node of its own on a journal that was filled before; of up to {WITH_FILES} studies, the newest, the
files are there, and a start looks at each. {AWAY} of these wait for a destination that is away ("settle" is the look at
them, every second), all are old enough to be purged but for a promise ("purge", every ten minutes). Goals: claim under
5 ms, page under 200 ms, `status` under 1 s, start under 3 s.

{_times(part.rows)}

![start, status, pages and claims by the number of studies](journals.png)
"""


def _databases(part: Part[JournalRate]) -> str:
    lines = [
        f"| {one.what}, {one.at_once} at once | {one.sqlite_per_s:.0f} | {one.postgres_per_s:.0f} | "
        f"{one.postgres_per_s / one.sqlite_per_s:.2f} |"
        for one in part.rows
    ]
    return f"""## A journal in PostgreSQL beside the file

{_when(part)}

Every commit flushed, the database on a Unix socket of the same machine; medians of runs in turn. What it means for the
choice stands in [standby.md](standby.md).

| per second | SQLite | PostgreSQL | ratio |
|---|---|---|---|
{chr(10).join(lines)}
"""


def _failover(part: Part[FailOver]) -> str:
    lines = [
        f"| {one.loss} | {median(one.seconds):.1f} | {min(one.seconds):.1f} - {max(one.seconds):.1f} |"
        for one in part.rows
    ]
    return f"""## From an active node to its standby

{_when(part)}

Two nodes on one folder and one PostgreSQL; seconds from the loss of the active one until the other answers a C-ECHO,
{failover.ROUNDS} times each. There are no studies in the journal, and `takeover_s` is {failover.TAKEOVER_S:g}, the
default. How it goes: [standby.md](standby.md).

| the active node | median s | range s |
|---|---|---|
{chr(10).join(lines)}
"""


def _recon(part: Part[ReconTime]) -> str:
    return f"""## Reconstruction beside PyTomography

{_when(part)}

{PEER}, in one process with ours on two threads, iterations of both in turn; the ratio counts. Cases, goals and what the
differences come from: [reconstruction.md](reconstruction.md).

{recon.table(list(part.rows))}
"""


SECTIONS: Mapping[str, Callable[[Any], str]] = {
    "receiving": _receiving,
    "listening": _listening,
    "road": _road,
    "cost": _cost,
    "workers": _workers,
    "cluster": _cluster,
    "journals": _journals,
    "databases": _databases,
    "failover": _failover,
    "recon": _recon,
}


def _when(part: Part[Row]) -> str:
    return f"Measured on {part.when:%Y-%m-%d}: {part.machine}."


def _rates(load: str, rates: Sequence[Rate]) -> str:
    mine = [one for one in rates if one.load == load]
    clients = list(dict.fromkeys((one.associations, one.no_delay) for one in mine))
    found = {(one.receiver, one.associations, one.no_delay): one for one in mine}
    heads = [
        f"{number} association{'s' if number > 1 else ''}{', no delay' if quick else ''}" for number, quick in clients
    ]
    lines = [
        f"| {load}: receiver | on the disk before it answers | processor ms each | {' | '.join(heads)} |",
        "|---" * (3 + len(heads)) + "|",
    ]
    for name in dict.fromkeys(one.receiver for one in mine):
        cells = [
            f"{found[name, *client].instances_per_s:.0f} ({found[name, *client].mb_per_s:.0f} MB/s)"
            for client in clients
        ]
        processor_ms = median(found[name, *client].processor_ms for client in clients)
        durable = found[name, *clients[0]].durable
        lines.append(f"| {name} | {durable} | {processor_ms:.1f} | {' | '.join(cells)} |")
    for name in (OURS, UNFLUSHED):
        if (name, *clients[0]) in found:
            ratios = [
                f"{found[name, *one].instances_per_s / found[RIVAL, *one].instances_per_s:.2f}" for one in clients
            ]
            lines.append(f"| **{name} / {RIVAL}** | | | {' | '.join(ratios)} |")
    return "\n".join(lines) + "\n"


def _road_times(times: Sequence[RoadTime]) -> str:
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


def _scaling(rows: Sequence[Scaling]) -> str:
    one = next(row.studies_per_hour for row in rows if row.workers == 1)
    lines = [
        "| engine | workers | studies per hour | times one worker | goal | processor s per study | cores busy "
        "| studies per hour that the cores allow |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        ratio = row.studies_per_hour / one
        goal = f"{SCALED * row.workers:.1f}" if row.workers > 1 else ""
        engine, number = ("dask", row.workers) if row.workers else ("local", "(child)")
        allowed = 3600 * row.cores / row.processor_s
        lines.append(
            f"| {engine} | {number} | {row.studies_per_hour:.0f} | {ratio:.2f} | {goal} | {row.processor_s:.1f} | "
            f"{100 * row.busy:.0f} % of {row.cores} | {allowed:.0f} |"
        )
    return "\n".join(lines)


def _times(times: Sequence[Times]) -> str:
    lines = [
        f"| studies | journal, MB | start, s | `status`, s | claim, ms | settle, purge, ms | {', '.join(PAGES)}, ms |"
        " instances/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in times:
        pages = ", ".join(f"{one.pages_ms[name]:.0f}" if name in one.pages_ms else "-" for name in PAGES)
        ticks = ", ".join(f"{one.ticks_ms[name]:.0f}" if name in one.ticks_ms else "-" for name in ("settle", "purge"))
        lines.append(
            f"| {one.studies} | {one.journal_mb:.1f} | {one.start_s:.2f} | {one.status_s:.2f} | {one.claim_ms:.1f} | "
            f"{ticks} | {pages} | {one.instances_per_s:.0f} |"
        )
    return "\n".join(lines)
