"""`make soak`: studies come in all the time, are processed, sent and purged -> docs/soak.md, .json and .png.

A scanner sends, a monitoring server reads /metrics, a person keeps the page open; memory, file handles, threads and
the room on the disk have to stay where they are.
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

from tests.benchmarks.__main__ import machine
from tests.loopback import is_isolated
from tests.peers.node import ENDED, Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import HOST, eventually, free_port
from tests.peers.scanner import send
from tests.peers.studies import StudyUids, small_tomo, write
from tests.soak.picture import draw
from tests.soak.watch import Sample, Trend, every, look, trends

DOCS = Path(__file__).resolve().parents[2] / "docs"
SAMPLE_S, READ_S = 5.0, 15.0
KEPT_DAYS = 10 / 24 / 60  # ten minutes: what has ended is purged while the run goes on


class Soak:
    """Scanner, node and archive of one run, below one folder."""

    def __init__(self, folder: Path, minutes: float, every_s: float) -> None:
        self.folder, self.every_s = folder, every_s
        self.ends = 60.0 * minutes
        self.pacs = Orthanc(folder / "pacs")
        self.page = free_port()
        self.node = Node(
            folder / "node",
            Settings(
                destinations=[destination(self.pacs.dicom_port)],
                retention={"received_days": KEPT_DAYS, "derived_days": KEPT_DAYS},
                web={"port": self.page},
            ),
        )
        self.samples: list[Sample] = []
        self.sent: list[str] = []
        self.faults: list[str] = []
        self._read_at = 0.0

    def run(self) -> None:
        """Run it, and count what came of the studies."""
        try:
            self.pacs.start()
            self.node.start()
            self._began = time.monotonic()
            every(self.every_s, self._is_over, self._one_study)
            eventually(lambda: self._ended() >= len(self.sent), "every study to end", timeout_s=300, every_s=2)
            self._count()
        finally:
            self.node.stop(timeout_s=60)
            self.pacs.stop(timeout_s=30)

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
        now = time.monotonic()
        if now > self._read_at + READ_S:
            self._read_at = now
            for path in ("/metrics", "/", f"/studies/{uids.study}"):
                self._get(path)
        if not self.samples or now - self._began > self.samples[-1].at_s + SAMPLE_S:
            self.samples.append(look(self.node, self._began, number))

    def _get(self, path: str) -> None:
        with urllib.request.urlopen(f"http://{HOST}:{self.page}{path}", timeout=30) as answer:
            answer.read()

    def _ended(self) -> int:
        return sum(row["state"] in ENDED for row in self.node.studies().values())

    def _count(self) -> None:
        rows = self.node.studies()
        undelivered = [uid for uid in self.sent if rows.get(uid, {}).get("state") != "DELIVERED"]
        self.faults += [f"study {uid} is {rows.get(uid, {}).get('state', 'unknown')}" for uid in undelivered]
        errors = [line for line in self.node.output().splitlines() if '"level": "error"' in line]
        self.faults += [f"the log says: {line[:300]}" for line in errors[:10]]


def report(soak: Soak, found: Sequence[Trend], when: datetime) -> str:
    """Return the page as Markdown."""
    minutes = soak.samples[-1].at_s / 60
    lines = [
        "# Soak", "",
        f"Made by `make soak` on {when:%Y-%m-%d}; {machine()}.", "",
        f"{len(soak.sent)} studies in {minutes:.0f} minutes, one each {soak.every_s:g} s: received, reconstructed, "
        f"sent to Orthanc, purged ten minutes after their end; the page and /metrics were read each {READ_S:g} s. "
        f"Looked at each {SAMPLE_S:g} s ({len(soak.samples)} times); the first quarter, in which caches fill, is not "
        "in the table.", "",
        "| | first | last | highest | per hour |", "|---|---|---|---|---|",
        *(
            f"| {WORDS[one.name]} | {one.first:.1f} | {one.last:.1f} | {one.highest:.1f} | {one.per_hour:+.2f} |"
            for one in found
        ), "",
        "![memory, handles, threads and disk over time](soak.png)", "",
        f"Faults: {'; '.join(soak.faults) or 'none'}.", "",
    ]  # fmt: skip
    return "\n".join(lines)


WORDS = {
    "node_mb": "memory of the node, MB",
    "child_mb": "memory of its child, MB",
    "node_files": "open file handles of the node",
    "child_files": "open file handles of its child",
    "node_threads": "threads of the node",
    "data_mb": "data folder, MB",
    "journal_mb": "journal, MB",
}


def main() -> int:
    """Run, write the page and the picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two studies")
    parser.add_argument("--out", type=Path, default=DOCS)
    wanted = parser.parse_args()
    if not is_isolated():
        sys.exit("Orthanc listens on every address: run this by `make soak`")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(Path(folder), wanted.minutes, wanted.every)
        soak.run()
    found, now = trends(soak.samples), datetime.now(UTC)
    draw(soak.samples, wanted.out / "soak.png")
    figures = {
        "when": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "studies": len(soak.sent),
        "faults": soak.faults,
        "trends": [asdict(one) for one in found],
        "samples": [asdict(one) for one in soak.samples],
    }
    (wanted.out / "soak.json").write_text(json.dumps(figures) + "\n")
    (wanted.out / "soak.md").write_text(report(soak, found, now))
    print((wanted.out / "soak.md").read_text())
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
