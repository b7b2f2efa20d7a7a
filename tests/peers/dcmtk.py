"""DCMTK's tools as peers: storescu as the camera, storescp and dcmqrscp as archives, echoscu, getscu; and dciodvfy."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers.process import HOST, PeerProcess, accepts_connections, eventually, free_port

# the two conditions that dciodvfy looks for inside the item although the standard means the root
FALSE_POSITIVES = ("TimeSlotInformationSequence", "DistanceSourceToDetector")


@dataclass(frozen=True)
class Sent:
    """How a run of storescu ended: its exit status, the DIMSE statuses in order, and all it printed."""

    returncode: int
    statuses: tuple[str, ...]
    output: str

    @property
    def accepted(self) -> bool:
        """Whether at least one instance was sent and all were answered by success."""
        return self.returncode == 0 and bool(self.statuses) and set(self.statuses) == {"Success"}


def store_command(
    port: int, files: Sequence[Path], called: str = "DICOMNODE", calling: str = "SPECT1", options: Sequence[str] = ()
) -> list[str]:
    """Return the storescu command that sends the files over one association."""
    return ["storescu", *options, "-aec", called, "-aet", calling, HOST, str(port), *map(str, files)]


def store(
    port: int, files: Sequence[Path], called: str = "DICOMNODE", calling: str = "SPECT1", options: Sequence[str] = ()
) -> Sent:
    """Send the files by storescu over one association."""
    command = store_command(port, files, called, calling, ["-v", *options])
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    output = done.stdout + done.stderr
    statuses = re.findall(r"Received Store Response \((?:Status: )?([^)]*)\)", output)
    return Sent(done.returncode, tuple(statuses), output)


def echo(port: int, called: str = "DICOMNODE", calling: str = "SPECT1") -> bool:
    """Tell whether a C-ECHO by echoscu succeeds."""
    command = ["echoscu", "-to", "5", "-aec", called, "-aet", calling, HOST, str(port)]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def retrieve(port: int, called: str, calling: str, study_instance_uid: str, into: Path) -> list[Path]:
    """Read a study back by C-GET (getscu) and return the received files."""
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_instance_uid}"]
    command = ["getscu", "-S", "-aec", called, "-aet", calling, "-od", str(into), *keys, HOST, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"getscu failed: {done.stdout}{done.stderr}"
    return sorted(path for path in into.iterdir() if path.is_file())


def move(port: int, called: str, reader: str, reader_port: int, study_instance_uid: str, into: Path) -> list[Path]:
    """Read a study back by C-MOVE to `reader`, who listens at its port (movescu), and return the received files."""
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_instance_uid}"]
    where = ["-aec", called, "-aet", reader, "-aem", reader, "--port", str(reader_port), "-od", str(into)]
    command = ["movescu", "-S", *where, *keys, HOST, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"movescu failed: {done.stdout}{done.stderr}"
    return sorted(path for path in into.iterdir() if path.is_file())


def find_instances(port: int, called: str, calling: str, study_instance_uid: str, series: Sequence[str]) -> list[str]:
    """Return the SOP Instance UIDs that C-FIND (findscu, Study Root) tells of these series."""
    found: list[str] = []
    for uid in series:
        keys = ["QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={study_instance_uid}", f"SeriesInstanceUID={uid}"]
        asked = [option for key in (*keys, "SOPInstanceUID") for option in ("-k", key)]
        command = ["findscu", "-v", "-S", "-aec", called, "-aet", calling, *asked, HOST, str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"findscu failed: {done.stdout}{done.stderr}"
        answers = (done.stdout + done.stderr).partition("Find Response")[2]
        found += re.findall(r"\(0008,0018\) UI \[([0-9.]+)", answers)
    return sorted(found)


def iod_errors(path: Path) -> list[str]:
    """Return what dciodvfy calls an error in the file, without its two known false positives."""
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, timeout=60, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith("Error") and not any(name in line for name in FALSE_POSITIVES)]


class StoreSCP(PeerProcess):
    """DCMTK's storescp: writes what it receives into `received`, not synced to the disk."""

    def __init__(
        self, directory: Path, options: Sequence[str] = ("--fork",), env: dict[str, str] | None = None
    ) -> None:
        self.port = free_port()
        self.received = directory / "received"
        self.received.mkdir(parents=True, exist_ok=True)
        command = ["storescp", *options, "-aet", "STORESCP", "-od", str(self.received), str(self.port)]
        super().__init__(command, directory / "storescp.log", env)

    def start(self) -> None:
        """Start storescp and wait until it listens."""
        super().start()
        eventually(lambda: accepts_connections(self.port), "storescp to listen")


class QueryRetrieveSCP(PeerProcess):
    """DCMTK's dcmqrscp: a small archive with C-FIND, C-MOVE and C-GET."""

    ae_title = "DCMQR"
    reader = "READER"

    def __init__(self, directory: Path) -> None:
        self.port, self.reader_port = free_port(), free_port()
        archive = directory / "archive"
        archive.mkdir(parents=True, exist_ok=True)
        settings = directory / "dcmqrscp.cfg"
        settings.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n\n"
            f"HostTable BEGIN\nreader = ({self.reader}, {HOST}, {self.reader_port})\nHostTable END\n\n"
            "VendorTable BEGIN\nVendorTable END\n\n"
            f"AETable BEGIN\n{self.ae_title} {archive} RW (200, 1024mb) ANY\nAETable END\n"
        )
        super().__init__(["dcmqrscp", "-c", settings], directory / "dcmqrscp.log", dict(os.environ))

    def start(self) -> None:
        """Start dcmqrscp and wait until it answers a C-ECHO."""
        super().start()
        eventually(lambda: echo(self.port, called=self.ae_title, calling="READER"), "dcmqrscp to answer")
