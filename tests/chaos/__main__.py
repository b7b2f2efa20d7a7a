"""The long campaign: `make chaos`. Prints each trouble, writes the result to docs/, fails if anything was lost."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill

from tests.chaos.campaign import Campaign
from tests.chaos.plan import ENGINES, JOURNALS, Plan, Result
from tests.chaos.scene import ATTEMPTS, WORKERS, missing
from tests.chaos.troubles import Trouble
from tests.loopback import is_isolated

DOCS = Path(__file__).resolve().parents[2] / "docs"
TITLE = "# Chaos: nothing lost, nothing twice"
INTRODUCTION = """
`make chaos{options}` sends {plan.studies} studies ({sent} instances, each fifth study holds two acquisitions) from a
scanner to the node, which keeps its journal in {where_journal}, reconstructs {where_engine} and sends the derived
instances to Orthanc. Meanwhile {victims} are ended by SIGKILL and started again within two seconds, {plan.kills} times,
and {plan.troubles} troubles of other kinds come and go. Each begins at a random moment, on average {plan.between_s:g} s
after the one before it, whatever else is wrong then (seed {plan.seed}). The scanner pauses {plan.pause_s:g} s on
average between two instances, and sends each until it is answered by 0x0000.

At the end every instance that was answered so is looked for in the spool, and every derived instance of the journal in
the outbox and in the archive, each by the SHA-256 of its dataset; what lies there beyond that is counted, too: that is
"doubled". It is not counted how often an instance was sent: one whose answer was lost with a kill or a cut is sent
again under the same UID and with the same bytes, and the archive keeps the first. Whether studies were mixed up is told
by the pixels: acquisitions of the same heart must have given the same, those of different hearts different ones
({hearts} hearts, each under several UIDs). The
attempts after which a study is set aside are raised to {attempts_allowed} for this run, because chance hits some study
more than three times.
"""
TABLES = """
| | |
|---|---|
| run | {when}, {machine} |
| instances sent / acknowledged / in the spool | {sent} / {acknowledged} / {in_spool} |
| derived instances made / in the outbox / in the archive | {derived} / {in_outbox} / {in_archive} |
| files of overtaken attempts, deleted by the next start | {left_over} |
| studies that had ended when sending and troubles were over | {ended_amid} |
| lost | {lost} |
| doubled | {doubled} |
| acquisitions with pixels of another heart | {mixed_up} |
| attempts at studies that ended in a last version | {attempts} |
| ended without having been killed | {ended} |
| time | {wall_s:.0f} s; sending and troubles were over after {sending_s:.0f} s |
| faults | {faults} |

| trouble | what happens | lasts | times |
|---|---|---|---|
{troubles}
{left_out}"""

WHERE_ENGINE = {
    "local": "in its child process",
    "dask": f"on {WORKERS} workers of a Dask cluster under mutual TLS",
}
WHERE_JOURNAL = {"sqlite": "a SQLite file", "postgres": "PostgreSQL"}


def report(result: Result, kills: Sequence[Trouble], others: Sequence[Trouble], hearts: int, when: datetime) -> str:
    """Return the report of a campaign as Markdown."""
    plan = result.plan
    names = [trouble.name for trouble in kills]
    rows = [_row(one, f"{one.name} killed", result.kills) for one in kills]
    rows += [_row(one, one.name, result.troubles) for one in others]
    values = {
        **result.__dict__,
        "options": "".join(f" {name}={value}" for name, value in _options(plan).items()),
        "where_engine": WHERE_ENGINE[plan.engine],
        "where_journal": WHERE_JOURNAL[plan.journal],
        "victims": f"{', '.join(names[:-1])} and {names[-1]}",
        "attempts_allowed": ATTEMPTS,
        "hearts": hearts,
        "ended": ", ".join(f"{name} {number}" for name, number in result.ended.items()) or "none",
        "faults": "<br>".join(result.faults) or "none",
        "troubles": "\n".join(rows),
        "left_out": "".join(f"\nLeft out here: {words}.\n" for words in result.left_out),
    }
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    paragraphs = INTRODUCTION.format(**values).strip().split("\n\n")
    tables = TABLES.format(**values, when=f"{when:%Y-%m-%d}", machine=machine)
    return "\n\n".join([TITLE, *(fill(paragraph, 120) for paragraph in paragraphs)]) + "\n" + tables


def _row(trouble: Trouble, name: str, counts: Counter[str]) -> str:
    shortest_s, longest_s = trouble.lasts_s
    lasts = f"{shortest_s:g} to {longest_s:g} s" if longest_s else "until an end gives up"
    return f"| {name} | {trouble.words} | {lasts} | {counts[trouble.name]} |"


def _options(plan: Plan) -> dict[str, str]:
    """Return what differs from a plain `make chaos`."""
    given = {"STUDIES": str(plan.studies), "ENGINE": plan.engine, "JOURNAL": plan.journal}
    return {name: value for name, value in given.items() if value not in ("100", ENGINES[0], JOURNALS[0])}


def _plan(wanted: argparse.Namespace) -> Plan:
    """Return the plan; what the command line leaves open follows from the number of studies.

    A hundred last about ten minutes, two thousand about two hours: the more studies, the longer the pauses between
    troubles, so that these come until most of the studies have been worked on.
    """
    studies = wanted.studies
    between_s = min(max(studies / 250, 4.0), 8.0) if wanted.between is None else wanted.between
    return Plan(
        studies,
        kills=40 + studies // 5 if wanted.kills is None else wanted.kills,
        troubles=20 + studies // 10 if wanted.troubles is None else wanted.troubles,
        seed=wanted.seed,
        pause_s=min(max(300 / studies, 0.5), 3.0) if wanted.pause is None else wanted.pause,
        between_s=between_s,
        engine=wanted.engine,
        journal=wanted.journal,
        kinds=tuple(wanted.kinds),
    )


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--troubles", type=int, help="of other kinds")
    parser.add_argument("--seed", type=int, default=20260102)
    parser.add_argument("--pause", type=float, help="mean seconds between two instances")
    parser.add_argument("--between", type=float, help="mean seconds between two troubles")
    parser.add_argument("--kinds", nargs="+", default=(), help="of other troubles, by how their names begin")
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    parser.add_argument("--journal", choices=JOURNALS, default=JOURNALS[0])
    parser.add_argument("--report", type=Path, help="default: docs/chaos.md, chaos-dask.md, chaos-postgres.md, ...")
    parser.add_argument("--folder", type=Path, help="where all lies, and stays; default: a folder that is thrown away")
    wanted = parser.parse_args()
    if not is_isolated():
        sys.exit("Orthanc listens on every address: run this by `make chaos` (python -m tests.loopback ...)")
    plan = _plan(wanted)
    if lacking := missing(plan):
        sys.exit(f"not installed: {', '.join(lacking)} (`make peers` installs them)")
    special = [word for word in (plan.engine, plan.journal) if word not in (ENGINES[0], JOURNALS[0])]
    path = wanted.report or DOCS / f"{'-'.join(['chaos', *special])}.md"
    print(f"{plan}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as passing:
        campaign = Campaign(plan, wanted.folder or Path(passing), lambda line: print(line, flush=True))
        result = campaign.run()
    hearts = len(set(campaign.scene.hearts.values()))
    path.write_text(report(result, campaign.kills, campaign.others, hearts, datetime.now(UTC)))
    print(path.read_text())
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
