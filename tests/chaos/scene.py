"""All that takes part in a campaign, below one folder: scanner, node, PACS, and what lies between and under them."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.plan import Plan
from tests.dicomnode.network.helpers import certificates
from tests.peers.clock import clock_of_its_own
from tests.peers.cluster import Cluster
from tests.peers.disk import Disk, disk_in_file
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.postgres import Postgres, as_other_user, program
from tests.peers.process import PeerProcess
from tests.peers.relay import Relay
from tests.peers.scanner import Scanner
from tests.peers.studies import StudyUids, fingerprint, give_uids, small_tomo, write

WORKERS = 2
# chance can hit one study more often than the three attempts after which it is set aside for a person
ATTEMPTS = 20
# of a pipeline in the node's child or on a worker: less than some of the frozen ones are frozen for
TIMEOUT_S = 60
EMPTY_MB, STUDY_MB = 500, 10  # of the disk: most of a study are its report pages
MARK_MB = 100  # the room without which the node takes nothing
HEARTS = 40  # acquisitions with pixels of their own; more of them are the same under other UIDs
EACH_HEART = 3  # times at least, so that pixels can be compared


class Scene:
    """Scanner -> relay -> node -> relay -> PACS; what is not there by the plan, or can't be made here, is None."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self.files, self.hearts = make_studies(plan, directory / "scanner")
        self.pacs = Orthanc(directory / "pacs")
        self.to_pacs = Relay(self.pacs.dicom_port)
        self.cluster = _cluster(directory / "cluster") if plan.engine == "dask" else None
        self.clock = clock_of_its_own(directory / "clock")
        with ExitStack() as running:
            self.disk: Disk | None = running.enter_context(
                disk_in_file(directory / "disk", EMPTY_MB + STUDY_MB * plan.studies)
            )
            # over TCP, so that the network can be cut; with all flushes, as it is installed
            self.database = Postgres(settings=(), over_tcp=True) if plan.journal == "postgres" else None
            self.to_database = Relay(self.database.port) if self.database is not None else None
            if self.database is not None:
                running.callback(self.database.remove)
                self.database.start()
            self.node = self._make_node(directory / "node")
            self._running = running.pop_all()
        self.to_node = Relay(self.node.port)
        self.scanner = Scanner(
            self.to_node.port, directory / "scanner", directory / "scanner.log", plan.pause_s, plan.seed
        )

    def start(self) -> None:
        """Start all; the scanner last."""
        self._running.callback(self._stop)
        self.pacs.start()
        for relay in self._relays():
            relay.start()
        if self.cluster is not None:
            self.cluster.supervise()
        for part in (self.node, self.scanner):
            part.start()

    @property
    def processes(self) -> dict[str, PeerProcess]:
        """Those that we start again when they have ended, by name; the members of a cluster see to that themselves."""
        return {"node": self.node, "PACS": self.pacs, "scanner": self.scanner}

    def stop(self) -> None:
        """End all, and throw the disk away."""
        self._running.close()

    def _make_node(self, directory: Path) -> Node:
        data_dir = (self.disk.place if self.disk else directory) / "data"
        node: dict[str, str | float] = {"data_dir": str(data_dir), "min_free_gb": MARK_MB * 1.048576e-3}
        if self.database is not None and self.to_database is not None:
            node["journal"] = self.database.address(self.to_database.port)
        engine = {**(self.cluster.table if self.cluster else {}), "attempts": ATTEMPTS, "timeout_s": TIMEOUT_S}
        settings = Settings(destinations=[destination(self.to_pacs.port)], engine=engine, node=node)
        made = Node(directory, settings, self.clock.prefix if self.clock else ())
        made.data_dir = data_dir
        return made

    def _stop(self) -> None:
        for process in (self.scanner, self.node, self.pacs):
            process.stop(timeout_s=30)
        if self.cluster is not None:
            self.cluster.stop()
        for relay in self._relays():
            relay.stop()

    def _relays(self) -> list[Relay]:
        to_cluster = self.cluster.relay if self.cluster is not None else None
        return [one for one in (self.to_node, self.to_pacs, self.to_database, to_cluster) if one is not None]


def missing(plan: Plan) -> list[str]:
    """Return the programs that the plan needs and that are not there."""
    needed = ["Orthanc", "echoscu", *(["openssl"] if plan.engine == "dask" else [])]
    lacking = [name for name in needed if shutil.which(name) is None]
    if plan.journal == "postgres" and (program("initdb") is None or as_other_user() is None):
        lacking.append("PostgreSQL, and a user that may run it")
    return lacking


def make_studies(plan: Plan, folder: Path) -> tuple[dict[str, StudyUids], dict[str, int]]:
    """Write the scanner's files; return the UIDs by file name, and the number of the heart by SOP Instance UID."""
    made: dict[str, StudyUids] = {}
    heart_of: dict[str, int] = {}
    number_of_hearts = min(HEARTS, max(plan.studies // EACH_HEART, 2))
    hearts = [small_tomo(StudyUids.from_seed("heart", seed), seed) for seed in range(number_of_hearts)]
    for number in range(plan.studies):
        first = StudyUids.from_seed("chaos", plan.seed, number)
        acquisitions = [first]
        if plan.second_acquisition_every and number % plan.second_acquisition_every == 0:
            acquisitions.append(first.in_study("rest"))
        for index, uids in enumerate(acquisitions):
            heart_of[uids.instance] = heart = (number + index) % number_of_hearts
            made[write(give_uids(hearts[heart], uids), folder / f"{number:04d}-{index}.dcm").name] = uids
    assert len({fingerprint(folder / name) for name in made}) == len(made), "every file is different"
    return made, heart_of


def _cluster(directory: Path) -> Cluster:
    return Cluster(directory, certificates(directory / "circle"), WORKERS, relayed=True)
