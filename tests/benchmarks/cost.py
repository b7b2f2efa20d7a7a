"""What a study costs: studies per hour, processor time and memory of each pipeline; the node as its own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.in_a_row import seconds_for, virtual_studies, warm_up
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import highest_memory_mb, processor_s

STUDIES = 6  # after one for warming up


@dataclass(frozen=True)
class Kind:
    """A pipeline, its options, and how `simulate` makes what it gets."""

    pipeline: str
    options: Mapping[str, Any]
    how: tuple[str, ...]


LOW, CT = {"dose_fraction": 0.25}, {"map": "ct"}
KINDS: Mapping[str, Kind] = {
    "reconstruction": Kind("reconstruction", {}, ()),
    "denoising": Kind("denoising", LOW, ("--dose", "0.25")),
    "attenuation_correction": Kind("attenuation_correction", CT, ("--ct",)),
    "denoising, gated": Kind("denoising", LOW, ("--dose", "0.25", "--gated")),
    "attenuation_correction, gated": Kind("attenuation_correction", CT, ("--ct", "--gated")),
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
        for number, name in enumerate(KINDS):
            found.append(_measure(name, directory / f"{number}", pacs))
            say(f"{found[-1]}")
    finally:
        pacs.stop(timeout_s=20)
    return found


def _measure(name: str, folder: Path, pacs: Orthanc) -> Cost:
    kind = KINDS[name]
    rule = {
        "name": "all", "when": {"modality": "NM"}, "pipeline": kind.pipeline, "options": kind.options,
        "destinations": ["pacs"],
    }  # fmt: skip
    node = Node(folder / "node", Settings(destinations=[destination(pacs.dicom_port)], rules=[rule]))
    studies = virtual_studies(1 + STUDIES, folder / "scanner", kind.how)
    try:
        node.start()
        derived = warm_up(node, pacs, studies[:1])
        (child,) = node.children()
        used_s = processor_s(node.pid) + processor_s(child)
        took_s = seconds_for(node, pacs, studies[1:], derived)
        assert node.children() == [child], "the child was replaced in between"
        used_s = processor_s(node.pid) + processor_s(child) - used_s
        memory = highest_memory_mb(node.pid), highest_memory_mb(child)
    finally:
        node.stop(timeout_s=60)
    return Cost(name, 3600 * STUDIES / took_s, used_s / STUDIES, *memory, derived)
