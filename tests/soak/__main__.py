"""`make soak`: studies come in all the time, are processed, sent and purged -> docs/soak.md, .json and .png.

A scanner sends, a monitoring server reads /metrics, a person keeps the page open; memory, file handles, threads and
the room on the disk have to stay where they are: what grows beyond its limit is a fault. With `--engine dask` on two
workers of a cluster -> docs/soak-dask.md. Each look is written at once, so that a run that is ended early keeps them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from dicomnode.road import PURGE_TICK_S
from tests.benchmarks.__main__ import machine
from tests.dicomnode.network.helpers import certificates
from tests.loopback import is_isolated
from tests.peers.cluster import Cluster
from tests.peers.node import ENDED, Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import HOST, eventually, free_port
from tests.peers.scanner import send
from tests.peers.studies import StudyUids, small_tomo, write
from tests.soak.judge import JOURNAL_KB, MAY_GROW, faults_of, undelivered
from tests.soak.picture import draw
from tests.soak.watch import Sample, Trend, every, look, trends

DOCS = Path(__file__).resolve().parents[2] / "docs"
ENGINES, WORKERS = ("local", "dask"), 2
SAMPLE_S, READ_S = 5.0, 15.0
KEPT_S = 600.0  # what has ended is purged while the run goes on
GONE_S = KEPT_S + PURGE_TICK_S  # the node looks for it once in a while


class Soak:
    """Scanner, node and archive of one run, below one folder; each look goes to `record` as well."""

    def __init__(self, folder: Path, engine: str, minutes: float, every_s: float, record: Path) -> None:
        self.folder, self.every_s, self.record = folder, every_s, record
        self.ends = 60.0 * minutes
        self.pacs = Orthanc(folder / "pacs")
        self.page = free_port()
        self.cluster = _cluster(folder) if engine == "dask" else None
        kept_days = KEPT_S / 86_400
        self.node = Node(
            folder / "node",
            Settings(
                destinations=[destination(self.pacs.dicom_port)],
                engine=self.cluster.table if self.cluster else {},
                retention={"received_days": kept_days, "derived_days": kept_days},
                web={"port": self.page},
            ),
        )
        self.samples: list[Sample] = []
        self.sent: list[str] = []
        self.faults: list[str] = []
        self._read_at = 0.0
        self._children: list[int] = []

    def run(self) -> None:
        """Run it, and count what came of the studies."""
        try:
            self._start()
            self._began = time.monotonic()
            every(self.every_s, self._is_over, self._one_study)
            eventually(lambda: self._ended() >= len(self.sent), "every study to end", timeout_s=300, every_s=2)
            self._count()
        except (TimeoutError, AssertionError, OSError) as error:  # what was seen until then is told all the same
            self.faults.append(f"the run ended early: {type(error).__name__}: {str(error)[:300]}")
        finally:
            self.node.stop(timeout_s=60)
            if self.cluster is not None:
                self.cluster.stop()
            self.pacs.stop(timeout_s=30)

    def _start(self) -> None:
        self.pacs.start()
        if self.cluster is not None:
            self.cluster.start()
            self.cluster.wait_until_ready()
        self.node.start()

    def _is_over(self) -> bool:
        return time.monotonic() - self._began > self.ends

    def _one_study(self) -> None:
        number = len(self.sent)
        uids = StudyUids.from_seed("soak", number)
        status = send(self.node.port, write(small_tomo(uids, seed=number), self.folder / "study.dcm"))
        if status == 0:
            self.sent.append(uids.study)
        else:
            self.faults.append(f"study {number} was answered by {status}")
            assert self.node.alive, "the node is gone"
        now = time.monotonic()
        if now > self._read_at + READ_S:
            self._read_at = now
            for path in ("/metrics", "/", f"/studies/{uids.study}"):
                self._get(path)
        if not self.samples or now - self._began > self.samples[-1].at_s + SAMPLE_S:
            self._look()

    def _look(self) -> None:
        self.samples.append(look(self.node, self.cluster, self._began, len(self.sent)))
        with self.record.open("a") as file:
            file.write(json.dumps(asdict(self.samples[-1])) + "\n")
        children = self.node.children()
        if self._children and children != self._children:
            self.faults.append(f"the child was replaced after {self.samples[-1].at_s:.0f} s")
        self._children = children

    def _get(self, path: str) -> None:
        with urllib.request.urlopen(f"http://{HOST}:{self.page}{path}", timeout=30) as answer:
            answer.read()

    def _ended(self) -> int:
        return sum(row["state"] in ENDED for row in self.node.studies().values())

    def _count(self) -> None:
        states = {uid: row["state"] for uid, row in self.node.studies().items()}
        self.faults += undelivered(self.sent, states, self.pacs.studies())
        errors = [line for line in self.node.output().splitlines() if '"level": "error"' in line]
        self.faults += [f"the log says: {line[:300]}" for line in errors[:10]]


def _cluster(folder: Path) -> Cluster:
    return Cluster(folder / "cluster", certificates(folder / "circle"), WORKERS)


def report(soak: Soak, found: Sequence[Trend], when: datetime, picture: str) -> str:
    """Return the page as Markdown."""
    minutes = soak.samples[-1].at_s / 60
    place = f"by {WORKERS} workers of a Dask cluster" if soak.cluster else "by the node's child"
    lines = [
        "# Soak", "",
        f"Made by `make soak{' ENGINE=dask' if soak.cluster else ''}` on {when:%Y-%m-%d}; {machine()}.", "",
        f"{len(soak.sent)} studies in {minutes:.0f} minutes, one each {soak.every_s:g} s: received, reconstructed "
        f"{place}, sent to Orthanc, purged ten to twenty minutes after their end; the page and /metrics were read each "
        f"{READ_S:g} s. Looked at each {SAMPLE_S:g} s ({len(soak.samples)} times); the first quarter, in which caches "
        f"fill, is not in the table. What grows by more than its limit is a fault; so is a journal of more than "
        f"{JOURNAL_KB:g} KB for a study, and files beyond what the retention should leave.", "",
        "| | first | last | highest | per hour | may grow by |", "|---|---|---|---|---|---|",
        *(
            f"| {WORDS[one.name]} | {one.first:.1f} | {one.last:.1f} | {one.highest:.1f} | {one.per_hour:+.2f} | "
            f"{MAY_GROW.get(one.name, 'see above')} |"
            for one in found
            if soak.cluster or not one.name.startswith("cluster")
        ), "",
        f"![memory, handles, threads and disk over time]({picture})", "",
        f"Faults: {'; '.join(soak.faults) or 'none'}.", "",
    ]  # fmt: skip
    return "\n".join(lines)


WORDS = {
    "node_mb": "memory of the node, MB",
    "child_mb": "memory of its child, MB",
    "cluster_mb": "memory of scheduler, workers and their children, MB",
    "node_files": "open file handles of the node",
    "child_files": "open file handles of its child",
    "cluster_files": "open file handles of scheduler, workers and their children",
    "node_threads": "threads of the node",
    "child_threads": "threads of its child",
    "cluster_threads": "threads of scheduler, workers and their children",
    "files_mb": "files in the data folder, MB",
    "journal_mb": "journal, MB",
}


def main() -> int:
    """Run, write the page and the picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two studies")
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    parser.add_argument("--out", type=Path, default=DOCS)
    wanted = parser.parse_args()
    if not is_isolated():
        sys.exit("Orthanc listens on every address: run this by `make soak`")
    name = "soak" if wanted.engine == ENGINES[0] else f"soak-{wanted.engine}"
    wanted.out.mkdir(parents=True, exist_ok=True)
    record = wanted.out / f"{name}.looks.jsonl"
    record.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(Path(folder), wanted.engine, wanted.minutes, wanted.every, record)
        soak.run()
    if not soak.samples:
        sys.exit("; ".join(soak.faults))
    found, now = trends(soak.samples), datetime.now(UTC)
    soak.faults += faults_of(soak.samples, found, GONE_S)
    draw(soak.samples, GONE_S, wanted.out / f"{name}.png")
    figures = {
        "when": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "engine": wanted.engine,
        "studies": len(soak.sent),
        "faults": soak.faults,
        "trends": [asdict(one) for one in found],
        "samples": [asdict(one) for one in soak.samples],
    }
    (wanted.out / f"{name}.json").write_text(json.dumps(figures) + "\n")
    record.unlink()  # all of it is in the figures
    (wanted.out / f"{name}.md").write_text(report(soak, found, now, f"{name}.png"))
    print((wanted.out / f"{name}.md").read_text())
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
