"""The long campaign: `make chaos`. Prints each kill, writes the result to docs/chaos.md, fails if anything was lost."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.campaign import ATTEMPTS, VICTIMS, WORKERS, Campaign, Plan, Result
from tests.loopback import is_isolated

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = """# Chaos: nothing lost, nothing twice

`make chaos{option}` sends {plan.studies} studies ({sent} instances, each fifth study holds two acquisitions) from a
scanner to the node, which reconstructs them {where} and sends the derived instances to Orthanc. Meanwhile
{victims} are ended by SIGKILL at random moments and started again within two seconds: {plan.kills} times
(seed {plan.seed}; on average one study each {plan.pause_s:g} s, one kill each {plan.between_kills_s:g} s). At the end
every instance that the scanner saw answered by 0x0000 is looked for in the spool (SHA-256 of its dataset as sent), and
the archive is counted. The attempts after which a study is set aside are raised to {attempts_allowed} for this run,
because chance hits some study more than three times.

| | |
|---|---|
| run | {when}, {machine} |
| kills | {kills} |
| instances sent / acknowledged / in the spool byte for byte | {sent} / {acknowledged} / {in_spool} |
| derived instances made / in the archive / series in the archive | {derived} / {in_archive} / {series_in_archive} |
| attempts at studies that ended in a last version | {attempts} |
| time | {wall_s:.0f} s |
| faults | {faults} |
"""

WHERE = {
    "local": ("in its child process", ""),
    "dask": (f"on {WORKERS} workers of a Dask cluster, under mutual TLS,", " ENGINE=dask"),
}


def report(result: Result, when: datetime) -> str:
    """Return the report of a campaign as Markdown."""
    values = {**result.__dict__, "faults": "<br>".join(result.faults) or "none", "attempts_allowed": ATTEMPTS}
    victims = VICTIMS[result.plan.engine]
    values["kills"] = ", ".join(f"{name} {result.kills[name]}" for name in victims)
    values["victims"] = f"{', '.join(victims[:-1])} and {victims[-1]}"
    values["where"], values["option"] = WHERE[result.plan.engine]
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return TEXT.format(**values, when=f"{when:%Y-%m-%d}", machine=machine)


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20260102)
    parser.add_argument("--pause", type=float, default=3.0, help="mean seconds between two studies")
    parser.add_argument("--between-kills", type=float, default=5.0, help="mean seconds between two kills")
    parser.add_argument("--engine", choices=sorted(VICTIMS), default="local")
    parser.add_argument("--report", type=Path, help="default: docs/chaos.md, with dask docs/chaos-dask.md")
    wanted = parser.parse_args()
    if not is_isolated():
        sys.exit("Orthanc listens on every address: run this by `make chaos` (python -m tests.loopback ...)")
    plan = Plan(wanted.studies, wanted.kills, wanted.seed, wanted.pause, wanted.between_kills, engine=wanted.engine)
    path = wanted.report or DOCS / ("chaos.md" if wanted.engine == "local" else f"chaos-{wanted.engine}.md")
    print(f"{plan}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        result = Campaign(plan, Path(folder), lambda line: print(line, flush=True)).run()
    path.write_text(report(result, datetime.now(UTC)))
    print(path.read_text())
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
