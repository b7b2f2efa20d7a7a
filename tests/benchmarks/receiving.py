"""Accepted instances per second: the node beside DCMTK's storescp, Orthanc and pynetdicom's storescp, one client."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from tests.peers.dcmtk import StoreSCP, store_command
from tests.peers.node import Node, Settings
from tests.peers.orthanc import AE_TITLE, Orthanc
from tests.peers.process import PeerProcess, accepts_connections, eventually, free_port
from tests.peers.studies import StudyUids, small_tomo, static_image, write

UNFLUSHED = "dicomnode, nothing flushed"
EATMYDATA = "eatmydata"  # a program under which each flush of another does nothing
NO_DELAY = {"TCP_NODELAY": "1"}
VIEWS, MATRIX = 64, 64  # 64 x 64 x 64 x 2 bytes = 0.5 MB
CT_MATRIX = 512  # 512 x 512 x 2 bytes = 0.5 MB
CLIENTS = ((1, False), (1, True), (4, False), (4, True))  # associations, and whether TCP_NODELAY is set


@dataclass(frozen=True)
class Load:
    """What is sent in one go."""

    name: str
    instances: int
    make: Callable[[StudyUids], Dataset]
    clients: Sequence[tuple[int, bool]] = CLIENTS


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

    load: str
    receiver: str
    durable: str
    associations: int
    no_delay: bool
    instances_per_s: float
    mb_per_s: float
    processor_ms: float  # of the receiver, per instance
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
    """Return the SCPs of the comparison, not started; the node keeps what it gets and has no rule for it.

    A second node flushes nothing, where that program is there: to tell the disk's time from the interpreter's.
    """
    storescp = StoreSCP(directory / "dcmtk")
    quick_storescp = StoreSCP(directory / "dcmtk-no-delay", env=NO_DELAY)
    orthanc = Orthanc(directory / "orthanc")
    quick_orthanc = Orthanc(directory / "orthanc-no-delay", env=NO_DELAY)
    app = PynetdicomStoreSCP(directory / "pynetdicom")
    keeping = Settings(node={"quiet_s": 3600})
    node = Node(directory / "node", keeping)
    found = [
        Receiver("DCMTK storescp --fork", storescp, storescp.port, "STORESCP", "no"),
        Receiver("DCMTK storescp --fork, no delay", quick_storescp, quick_storescp.port, "STORESCP", "no"),
        Receiver("Orthanc", orthanc, orthanc.dicom_port, AE_TITLE, "file"),
        Receiver("Orthanc, no delay", quick_orthanc, quick_orthanc.dicom_port, AE_TITLE, "file"),
        Receiver("pynetdicom storescp", app, app.port, "STORESCP", "no"),
        Receiver("dicomnode", node, node.port, "DICOMNODE", "file, folder, journal"),
    ]
    if shutil.which(EATMYDATA):
        careless = Node(directory / "node-unflushed", keeping, (EATMYDATA,))
        found.append(Receiver(UNFLUSHED, careless, careless.port, "DICOMNODE", "no: no way to run it"))
    return found


def nuclear(uids: StudyUids) -> Dataset:
    """Return an NM TOMO of 0.5 MB."""
    return small_tomo(uids, views=VIEWS, matrix=MATRIX)


def ct_slice(uids: StudyUids) -> Dataset:
    """Return a CT slice of 0.5 MB: noise, so that nothing can be packed."""
    made = static_image(uids)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CTImageStorage
    made.Modality, made.ImageType, made.SeriesDescription = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "CT"
    del made.NumberOfFrames
    made.Rows = made.Columns = CT_MATRIX
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    values = np.random.default_rng(0).integers(0, 4096, size=(CT_MATRIX, CT_MATRIX), dtype="<u2")
    made.PixelData = values.tobytes()
    made.RescaleIntercept, made.RescaleSlope = -1024, 1
    return made


LOADS = (
    Load("NM of 64 x 64 x 64", 60, nuclear),
    Load("CT slices of 512 x 512", 500, ct_slice, ((1, True), (4, True))),
)


class InstanceMaker:
    """Makes sets of instances that no receiver has seen before."""

    def __init__(self, directory: Path, load: Load) -> None:
        self._directory, self._load = directory, load
        self._template = load.make(StudyUids.from_seed("benchmark"))

    def make(self, name: str) -> list[Path]:
        """Return the files of a new study, one series, in the place of the last one."""
        study = StudyUids.from_seed("benchmark", self._load.name, name)
        files = []
        for number in range(self._load.instances):
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
    """Return the median rates of all loads; the order of the receivers turns round with each repeat."""
    all_receivers = receivers(directory)
    try:
        if not any(receiver.name == UNFLUSHED for receiver in all_receivers):
            say(f"the node without flushes is left out: {EATMYDATA} is not installed")
        for receiver in all_receivers:
            receiver.process.start()
        return [one for load in LOADS for one in _rates(load, all_receivers, directory / "files", repeats, say)]
    finally:
        for receiver in all_receivers:
            receiver.process.stop(timeout_s=20)


def _rates(
    load: Load, all_receivers: Sequence[Receiver], folder: Path, repeats: int, say: Callable[[str], None]
) -> list[Rate]:
    maker = InstanceMaker(folder, load)
    runs: dict[tuple[Receiver, int, bool], list[tuple[float, float]]] = {}  # instances per s, processor ms of each
    size_mb = 0.0
    for repeat in range(repeats + 1):
        for associations, no_delay in load.clients:
            files = maker.make(f"{repeat} {associations} {no_delay}")
            size_mb = files[0].stat().st_size / 1e6
            for receiver in all_receivers if repeat % 2 else reversed(all_receivers):
                before_s = _processor_s(receiver)
                per_s = rate(receiver, files, associations, no_delay)
                used_ms = 1000 * (_processor_s(receiver) - before_s) / len(files)
                if repeat:  # the first round only warms up
                    runs.setdefault((receiver, associations, no_delay), []).append((per_s, used_ms))
                    client = "TCP_NODELAY=1" if no_delay else "as packaged"
                    say(f"{load.name}: {receiver.name}, {associations} association(s), client {client}: {per_s:.0f}/s")
    return [_rate(load.name, *client, found, size_mb) for client, found in runs.items()]


def _rate(
    load: str,
    receiver: Receiver,
    associations: int,
    no_delay: bool,
    runs: Sequence[tuple[float, float]],
    size_mb: float,
) -> Rate:
    per_s, used_ms = zip(*runs, strict=True)
    found = median(per_s)
    return Rate(
        load, receiver.name, receiver.durable, associations, no_delay, found, found * size_mb, median(used_ms), per_s
    )


def _processor_s(receiver: Receiver) -> float:
    """Return the processor time that a receiver and its ended children have used, in s (man 5 proc_pid_stat).

    DCMTK's storescp has a child for each Association.
    """
    fields = Path(f"/proc/{receiver.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
