"""Studies in a row: one virtual patient as many new studies, sent one after the other through a node to an archive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from dicomnode.cli.main import run
from tests.peers import dcmtk
from tests.peers.node import Node
from tests.peers.orthanc import Orthanc
from tests.peers.process import eventually

SEED = 41

StudyFiles = Sequence[Path]


def virtual_studies(number: int, folder: Path, how: Sequence[str] = ()) -> list[StudyFiles]:
    """Return the files of so many studies: the same virtual patient, made by `simulate` with options, with new UIDs."""
    original = folder / "patient"
    command = ["simulate", "--patients", "1", "--seed", str(SEED), "--state", "stress", *how]
    assert run([*command, "--out", str(original)]) == 0
    files = sorted(original.rglob("*.dcm"))
    return [_as_new_study(files, folder / f"{one:03d}") for one in range(number)]


def _as_new_study(original: StudyFiles, folder: Path) -> StudyFiles:
    new: dict[str, str] = {}

    def other(uid: str) -> str:
        return new.setdefault(uid, generate_uid())

    folder.mkdir(parents=True)
    files = []
    for number, path in enumerate(original):
        ds = dcmread(path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = other(ds.StudyInstanceUID), other(ds.SeriesInstanceUID)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = other(ds.SOPInstanceUID)
        ds.FrameOfReferenceUID = other(ds.FrameOfReferenceUID)
        files.append(folder / f"{number:03d}.dcm")
        ds.save_as(files[-1])
    return files


def warm_up(node: Node, pacs: Orthanc, studies: Sequence[StudyFiles]) -> int:
    """Send the studies, wait until they are delivered, and return how many derived instances each has in the archive.

    What is timed later is known to have arrived by this number: to ask the node would take processor time from it.
    """
    before = pacs.count()
    _send(node, studies)
    node.wait_until(lambda: _all_delivered(node, len(studies)), "the first studies to be delivered", timeout_s=300)
    return (pacs.count() - before) // len(studies)


def seconds_for(node: Node, pacs: Orthanc, studies: Sequence[StudyFiles], derived: int) -> float:
    """Send the studies one after the other; return the seconds from the first C-STORE to the last delivery."""
    wanted = pacs.count() + derived * len(studies)
    began = time.monotonic()
    _send(node, studies)
    eventually(lambda: pacs.count() >= wanted, f"{wanted} instances in the archive", timeout_s=1200)
    return time.monotonic() - began


def _send(node: Node, studies: Sequence[StudyFiles]) -> None:
    for files in studies:
        sent = dcmtk.store(node.port, files)
        assert sent.accepted, sent.output


def _all_delivered(node: Node, number: int) -> bool:
    states = [row["state"] for row in node.studies().values()]
    assert set(states) <= {"RECEIVING", "ROUTED", "PROCESSING", "DELIVERING", "DELIVERED"}, states
    return states == ["DELIVERED"] * number
