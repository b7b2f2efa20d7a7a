"""A camera as its own process: `python -m tests.peers.scanner PORT FOLDER LOG [--pause S] [--seed N]`.

It sends a folder of files byte for byte, keeps a log of what was acknowledged, and goes on where it stopped. A file is
sent until it was answered by 0x0000. A scanner that was killed sends its last acknowledged file again, as real ones do
that are not sure of the answer.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pynetdicom import AE, _config
from pynetdicom.association import Association

from tests.peers.process import HOST, PeerProcess
from tests.peers.studies import fingerprint
from tests.peers.turns import steady

_config.STORE_SEND_CHUNKED_DATASET = True  # the file's own bytes, not decoded and encoded again


@dataclass(frozen=True)
class Acknowledged:
    """One instance that the node answered with success: the file, the SHA-256 of its dataset, when the answer came."""

    name: str
    sha256: str
    at: float


def read_log(log: Path) -> list[Acknowledged]:
    """Return the acknowledgments of a scanner's log; a last line cut by a kill is no acknowledgment."""
    if not log.exists():
        return []
    lines = log.read_text().split("\n")[:-1]
    return [Acknowledged(name, sha256, float(at)) for name, sha256, at in (line.split("\t") for line in lines)]


def associate(port: int, path: Path, called: str = "DICOMNODE", calling: str = "SPECT1") -> Association:
    """Open an association that can carry the file as it is encoded."""
    meta = dcmread(path, stop_before_pixels=True).file_meta
    ae = AE(calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    ae.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    return steady(ae.associate(HOST, port, ae_title=called))


def send(port: int, path: Path, called: str = "DICOMNODE", calling: str = "SPECT1") -> int | None:
    """Send one file over an association of its own; return the DIMSE status, None if none came."""
    assoc = associate(port, path, called, calling)
    if not assoc.is_established:
        return None
    try:
        answer = assoc.send_c_store(path)
        return int(answer.Status) if "Status" in answer else None
    except (RuntimeError, ValueError):  # the association was lost before the request left
        return None
    finally:
        if assoc.is_established:
            assoc.release()


def send_all(port: int, folder: Path, log: Path, pause_s: float, rng: random.Random) -> None:
    """Send every file of the folder that the log doesn't acknowledge yet, in the order of the names."""
    done = read_log(log)
    known = {entry.name for entry in done[:-1]}
    for path in sorted(folder.glob("*.dcm")):
        if path.name in known:
            continue
        while send(port, path) != 0:
            time.sleep(0.3)
        with log.open("a") as file:
            file.write(f"{path.name}\t{fingerprint(path)}\t{time.time()}\n")
        time.sleep(rng.uniform(0, 2 * pause_s))


class Scanner(PeerProcess):
    """The scanner as a process of its own, so that it can be killed like one."""

    def __init__(self, port: int, folder: Path, log: Path, pause_s: float = 0, seed: int = 0) -> None:
        self.folder, self.acknowledgments = folder, log
        command = [sys.executable, "-m", __name__, str(port), str(folder), str(log)]
        super().__init__([*command, "--pause", str(pause_s), "--seed", str(seed)], log.with_suffix(".output"))

    def acknowledged(self) -> list[Acknowledged]:
        """Return what the node has acknowledged so far."""
        return read_log(self.acknowledgments)

    def finished(self) -> bool:
        """Tell whether every file of the folder was acknowledged."""
        return {entry.name for entry in self.acknowledged()} >= {path.name for path in self.folder.glob("*.dcm")}


def main() -> None:
    """Read the command line and send."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    send_all(wanted.port, wanted.folder, wanted.log, wanted.pause, random.Random(wanted.seed))


if __name__ == "__main__":
    main()
