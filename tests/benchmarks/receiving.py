"""Accepted instances per second: the node beside DCMTK's storescp, Orthanc and pynetdicom's storescp, one client."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers.dcmtk import StoreSCP, store_command
from tests.peers.node import Node, Settings
from tests.peers.orthanc import AE_TITLE, Orthanc
from tests.peers.process import PeerProcess, accepts_connections, eventually, free_port
from tests.peers.studies import StudyUids, small_tomo, write

INSTANCES = 60
NO_DELAY = {"TCP_NODELAY": "1"}
VIEWS, MATRIX = 64, 64  # 64 x 64 x 64 x 2 bytes = 0.5 MB


@dataclass(frozen=True)
class Receiver:
    """One SCP of the comparison, and what it has done with an instance when it answers."""

    name: str
    process: PeerProcess
    port: int
    called: str
    durable: str


@dataclass(frozen=True)
class Rate:
    """Median instances per second of one SCP under one kind of client."""

    receiver: str
    durable: str
    associations: int
    no_delay: bool
    instances_per_s: float
    runs: tuple[float, ...]


class PynetdicomStoreSCP(PeerProcess):
    """The storescp application that comes with pynetdicom."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        received = directory / "received"
        received.mkdir(parents=True)
        options = ["-od", str(received), "-ba", "127.0.0.1", str(self.port)]
        super().__init__([sys.executable, "-m", "pynetdicom", "storescp", *options], directory / "pynetdicom.log")

    def start(self) -> None:
        """Start the application and wait until it listens."""
        super().start()
        eventually(lambda: accepts_connections(self.port), "pynetdicom's storescp to listen")


def receivers(directory: Path) -> list[Receiver]:
    """Return the SCPs of the comparison, not started; the node keeps what it gets and has no rule for it."""
    storescp = StoreSCP(directory / "dcmtk")
    quick_storescp = StoreSCP(directory / "dcmtk-no-delay", env=NO_DELAY)
    orthanc = Orthanc(directory / "orthanc")
    quick_orthanc = Orthanc(directory / "orthanc-no-delay", env=NO_DELAY)
    app = PynetdicomStoreSCP(directory / "pynetdicom")
    node = Node(directory / "node", Settings(node={"quiet_s": 3600}))
    return [
        Receiver("DCMTK storescp --fork", storescp, storescp.port, "STORESCP", "no"),
        Receiver("DCMTK storescp --fork, no delay", quick_storescp, quick_storescp.port, "STORESCP", "no"),
        Receiver("Orthanc", orthanc, orthanc.dicom_port, AE_TITLE, "file"),
        Receiver("Orthanc, no delay", quick_orthanc, quick_orthanc.dicom_port, AE_TITLE, "file"),
        Receiver("pynetdicom storescp", app, app.port, "STORESCP", "no"),
        Receiver("dicomnode", node, node.port, "DICOMNODE", "file, folder, journal"),
    ]


class InstanceMaker:
    """Makes sets of 0.5 MB TOMO instances that no receiver has seen before."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._template = small_tomo(StudyUids.from_seed("benchmark"), views=VIEWS, matrix=MATRIX)

    def make(self, name: str) -> list[Path]:
        """Return the files of a new study, one series, in the place of the last one."""
        study = StudyUids.from_seed("benchmark", name)
        files = []
        for number in range(INSTANCES):
            self._template.StudyInstanceUID, self._template.SeriesInstanceUID = study.study, study.series
            uid = study.in_study(number).instance
            self._template.SOPInstanceUID = self._template.file_meta.MediaStorageSOPInstanceUID = uid
            files.append(write(self._template, self._directory / f"{number:03d}.dcm"))
        return files


def rate(receiver: Receiver, files: Sequence[Path], associations: int, no_delay: bool) -> float:
    """Send the files by storescu over so many associations at once; return instances per second.

    The clock runs from the start of the clients to the end of the last.
    """
    env = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"} | (NO_DELAY if no_delay else {})
    shares = [list(files[start::associations]) for start in range(associations)]
    began = time.monotonic()
    clients = [
        subprocess.Popen(store_command(receiver.port, share, receiver.called), env=env, stderr=subprocess.DEVNULL)
        for share in shares
    ]
    statuses = [client.wait() for client in clients]
    took = time.monotonic() - began
    if any(statuses):
        raise RuntimeError(f"{receiver.name} did not take all instances: storescu ended with {statuses}")
    return len(files) / took


def measure(directory: Path, repeats: int, say: Callable[[str], None]) -> list[Rate]:
    """Return the median rates; the order of the receivers turns round with each repeat."""
    maker = InstanceMaker(directory / "files")
    all_receivers = receivers(directory)
    runs: dict[tuple[str, int, bool], list[float]] = {}
    try:
        for receiver in all_receivers:
            receiver.process.start()
        for repeat in range(repeats + 1):
            for associations in (1, 4):
                for no_delay in (False, True):
                    files = maker.make(f"{repeat} {associations} {no_delay}")
                    for receiver in all_receivers if repeat % 2 else reversed(all_receivers):
                        found = rate(receiver, files, associations, no_delay)
                        if repeat:  # the first round only warms up
                            runs.setdefault((receiver.name, associations, no_delay), []).append(found)
                            client = "TCP_NODELAY=1" if no_delay else "as packaged"
                            say(f"{receiver.name}, {associations} association(s), client {client}: {found:.0f}/s")
    finally:
        for receiver in all_receivers:
            receiver.process.stop(timeout_s=20)
    durable = {receiver.name: receiver.durable for receiver in all_receivers}
    return [
        Rate(name, durable[name], associations, no_delay, statistics.median(found), tuple(found))
        for (name, associations, no_delay), found in runs.items()
    ]
