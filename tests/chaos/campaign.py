"""A campaign against the node: a scanner sends studies while scanner, node, child and PACS are killed at random.

At the end everything that the scanner saw acknowledged is looked for, and everything derived is counted.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.dicomnode.network.helpers import certificates
from tests.peers.cluster import Cluster
from tests.peers.node import ENDED, Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import eventually
from tests.peers.scanner import Scanner
from tests.peers.studies import StudyUids, fingerprint, small_tomo, spool_fingerprints, write

VICTIMS = {
    "local": ("node", "child", "PACS", "scanner"),
    "dask": ("node", "scheduler", "worker", "child", "PACS", "scanner"),
}
WORKERS = 2
# random kills can hit one study more often than the three attempts after which it is set aside for a person
ATTEMPTS = 20


@dataclass(frozen=True)
class Plan:
    """How large the campaign is; the seed decides who is killed when."""

    studies: int
    kills: int
    seed: int
    pause_s: float  # mean time between two studies of the scanner
    between_kills_s: float  # mean time between two kills
    second_acquisition_every: int = 5  # each n-th study holds stress and rest
    engine: str = "local"  # or "dask"

    def rng(self, purpose: str) -> random.Random:
        """Return a random generator of its own for each purpose, so that one does not disturb the other."""
        return random.Random(f"{self.seed} {purpose}")


@dataclass
class Result:
    """What was found at the end; `faults` is empty if nothing was lost, nothing doubled, nothing stuck."""

    plan: Plan
    kills: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    acknowledged: int = 0
    in_spool: int = 0
    derived: int = 0
    in_archive: int = 0
    series_in_archive: int = 0
    attempts: int = 0
    wall_s: float = 0
    faults: list[str] = field(default_factory=list)


class Campaign:
    """Scanner, node and PACS of one campaign, all below one folder."""

    def __init__(self, plan: Plan, directory: Path, say: Callable[[str], None] = print) -> None:
        self.plan, self.directory, self.say = plan, directory, say
        self.result = Result(plan)
        self.files = make_studies(plan, directory / "scanner")
        self.pacs = Orthanc(directory / "pacs")
        self.cluster = _cluster(directory / "cluster") if plan.engine == "dask" else None
        engine = {**(self.cluster.table if self.cluster else {}), "attempts": ATTEMPTS}
        self.node = Node(directory / "node", Settings(destinations=[destination(self.pacs.dicom_port)], engine=engine))
        self.scanner = Scanner(
            self.node.port, directory / "scanner", directory / "scanner.log", plan.pause_s, plan.seed
        )

    def run(self) -> Result:
        """Run the campaign and return what the audit found."""
        began = time.monotonic()
        try:
            self.pacs.start()
            if self.cluster is not None:
                self.cluster.supervise()
            self.node.start()
            self.scanner.start()
            self._kill_at_random()
            eventually(self._all_sent, "the scanner to finish", timeout_s=600, every_s=0.5)
            self._wait_for_the_road_to_empty()
            self._audit()
        finally:
            for process in (self.scanner, self.node, self.pacs):
                process.stop(timeout_s=30)
            if self.cluster is not None:
                self.cluster.stop()
        self.result.wall_s = time.monotonic() - began
        return self.result

    def _kill_at_random(self) -> None:
        rng = self.plan.rng("kills")
        while sum(self.result.kills.values()) < self.plan.kills:
            time.sleep(rng.uniform(0, 2 * self.plan.between_kills_s))
            victim = rng.choice(VICTIMS[self.plan.engine])
            if self._kill(victim, rng):
                self.result.kills[victim] += 1
                done = len(self.scanner.acknowledged())
                self.say(f"kill {sum(self.result.kills.values())}: {victim} ({done} instances acknowledged so far)")

    def _kill(self, victim: str, rng: random.Random) -> bool:
        """Kill one victim and bring it back after a while; False if it isn't there to be killed."""
        if victim == "child":
            children = self.node.children() if self.cluster is None else rng.choice(self.cluster.workers).children()
            for pid in children:
                _kill_if_there(pid)
            return bool(children)
        if victim in ("scheduler", "worker"):
            assert self.cluster is not None
            member = self.cluster.scheduler if victim == "scheduler" else rng.choice(self.cluster.workers)
            return member.kill_if_alive()
        process = {"node": self.node, "PACS": self.pacs, "scanner": self.scanner}[victim]
        if not process.alive:
            return False
        process.kill()
        time.sleep(rng.uniform(0, 2))
        process.start()
        return True

    def _all_sent(self) -> bool:
        if not self.scanner.alive and not self.scanner.finished():
            self.scanner.start()
        return self.scanner.finished()

    def _wait_for_the_road_to_empty(self) -> None:
        wanted = {uids.study for uids in self.files.values()}

        def all_ended() -> bool:
            rows = self.node.studies()
            return wanted <= {uid for uid, row in rows.items() if row["state"] in ENDED}

        try:
            eventually(all_ended, "every study to end", timeout_s=300 + 5 * self.plan.studies, every_s=1)
        except TimeoutError as error:
            self.result.faults.append(str(error)[:200])

    def _audit(self) -> None:
        self._audit_spool()
        self._audit_archive()

    def _audit_spool(self) -> None:
        result = self.result
        acknowledged = self.scanner.acknowledged()
        in_spool = set(spool_fingerprints(self.node.data_dir))
        result.sent, result.in_spool = len(self.files), len(in_spool)
        result.acknowledged = len({entry.name for entry in acknowledged})
        for entry in acknowledged:
            if entry.sha256 not in in_spool:
                result.faults.append(f"{entry.name} was acknowledged and is not in the spool byte for byte")
        on_disk = sum(1 for _ in self.node.data_dir.joinpath("spool").rglob("*.dcm"))
        if on_disk != len(in_spool):
            result.faults.append(f"{on_disk} files in the spool hold {len(in_spool)} different contents")

    def _audit_archive(self) -> None:
        result = self.result
        rows = self.node.studies()
        expected_per_acquisition: set[int] = set()
        for study in sorted({uids.study for uids in self.files.values()}):
            row = rows.get(study)
            if row is None or row["state"] != "DELIVERED":
                result.faults.append(f"study {study} is {row['state'] + ': ' + row['reason'] if row else 'unknown'}")
                continue
            acquisitions = sum(uids.study == study for uids in self.files.values())
            made, archived, series = self.node.derived(study), self.pacs.instances(study), self.pacs.series(study)
            result.attempts += int(row["attempts"])
            result.derived += len(made)
            expected_per_acquisition.add(len(made) // acquisitions)
            if made != archived:
                result.faults.append(
                    f"study {study}: {len(made)} derived, {len(archived)} in the archive, not the same"
                )
            if len(series) != len(archived):
                result.faults.append(f"study {study}: {len(archived)} instances in {len(series)} series")
            if len(made) % acquisitions or not made:
                result.faults.append(f"study {study}: {len(made)} derived of {acquisitions} acquisitions")
        if len(expected_per_acquisition) > 1:
            result.faults.append(f"acquisitions of the same kind gave {sorted(expected_per_acquisition)} instances")
        result.in_archive, result.series_in_archive = self.pacs.count(), len(self.pacs.series())
        if result.in_archive != result.derived:
            result.faults.append(f"the archive holds {result.in_archive} instances, {result.derived} were derived")


def _cluster(directory: Path) -> Cluster:
    return Cluster(directory, certificates(directory / "circle"), WORKERS)


def _kill_if_there(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it ended in between
        return


def make_studies(plan: Plan, folder: Path) -> dict[str, StudyUids]:
    """Write the scanner's files and return the UIDs by file name."""
    made: dict[str, StudyUids] = {}
    for number in range(plan.studies):
        first = StudyUids.from_seed("chaos", plan.seed, number)
        acquisitions = [first]
        if plan.second_acquisition_every and number % plan.second_acquisition_every == 0:
            acquisitions.append(first.in_study("rest"))
        for index, uids in enumerate(acquisitions):
            path = write(small_tomo(uids, seed=2 * number + index), folder / f"{number:04d}-{index}.dcm")
            made[path.name] = uids
    assert len({fingerprint(folder / name) for name in made}) == len(made), "every file is different"
    return made
