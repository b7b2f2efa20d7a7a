"""What a study costs: studies per hour, processor time and memory of each pipeline; the node as its own process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import generate_uid

from dicomnode.cli.main import run
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import eventually, highest_memory_mb, processor_s

STUDIES = 6  # after one for warming up
SEED = 41
PIPELINES: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "reconstruction": ({}, ()),
    "denoising": ({"dose_fraction": 0.25}, ("--dose", "0.25")),
    "attenuation_correction": ({"map": "ct"}, ("--ct",)),
}


@dataclass(frozen=True)
class Cost:
    """Of one study, in the mean over all that wait in a row."""

    pipeline: str
    studies_per_hour: float
    processor_s: float  # of node and child together
    node_mb: float  # the highest it was
    child_mb: float
    derived: int


def measure(directory: Path, say: Callable[[str], None]) -> list[Cost]:
    """Return the costs of all pipelines; virtual patients of 64 x 64, as `simulate` makes them."""
    pacs = Orthanc(directory / "pacs")
    pacs.start()
    found = []
    try:
        for pipeline in PIPELINES:
            found.append(_measure(pipeline, directory / pipeline, pacs))
            say(f"{found[-1]}")
    finally:
        pacs.stop(timeout_s=20)
    return found


def _measure(pipeline: str, folder: Path, pacs: Orthanc) -> Cost:
    options, how = PIPELINES[pipeline]
    rule = {
        "name": "all", "when": {"modality": "NM"}, "pipeline": pipeline, "options": options, "destinations": ["pacs"],
    }  # fmt: skip
    node = Node(folder / "node", Settings(destinations=[destination(pacs.dicom_port)], rules=[rule]))
    command = ["simulate", "--patients", "1", "--seed", str(SEED), "--state", "stress", *how]
    assert run([*command, "--out", str(folder / "scanner")]) == 0
    try:
        node.start()
        _send_all(node, folder, 1)
        (child,) = node.children()
        began, used_s = time.monotonic(), processor_s(node.pid) + processor_s(child)
        _send_all(node, folder, STUDIES)
        took_s = time.monotonic() - began
        assert node.children() == [child], "the child was replaced in between"
        used_s = processor_s(node.pid) + processor_s(child) - used_s
        derived = len(node.derived(next(iter(node.studies()))))
        memory = highest_memory_mb(node.pid), highest_memory_mb(child)
    finally:
        node.stop(timeout_s=60)
    return Cost(pipeline, 3600 * STUDIES / took_s, used_s / STUDIES, *memory, derived)


def _send_all(node: Node, folder: Path, number: int) -> None:
    """Send the virtual patient as so many new studies, one after the other, and wait for the last to be delivered."""
    for _ in range(number):
        assert dcmtk.store(node.port, _as_new_study(folder)).accepted
    eventually(lambda: _all_delivered(node), "all studies to be delivered", timeout_s=1200, every_s=2)


def _all_delivered(node: Node) -> bool:
    states = {row["state"] for row in node.studies().values()}
    assert states <= {"RECEIVING", "ROUTED", "PROCESSING", "DELIVERING", "DELIVERED"}, states
    return states == {"DELIVERED"}


def _as_new_study(folder: Path) -> list[Path]:
    """Return the virtual patient's files with new UIDs of studies, series and instances."""
    new: dict[str, str] = {}

    def other(uid: str) -> str:
        return new.setdefault(uid, generate_uid())

    files = []
    for number, path in enumerate(sorted((folder / "scanner").rglob("*.dcm"))):
        ds = dcmread(path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = other(ds.StudyInstanceUID), other(ds.SeriesInstanceUID)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = other(ds.SOPInstanceUID)
        ds.FrameOfReferenceUID = other(ds.FrameOfReferenceUID)
        target = folder / "sent" / f"{number:03d}.dcm"
        target.parent.mkdir(exist_ok=True)
        ds.save_as(target)
        files.append(target)
    return files
