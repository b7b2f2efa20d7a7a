"""Every public camera file beside the checkout, sent to one node: `python -m tests.end_to_end.real_files` prints the
table of docs/real-files.md (make real-files)."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.peers import dcmtk, scanner
from tests.peers.node import ENDED, Node, Settings, destination
from tests.peers.process import eventually
from tests.peers.studies import REAL_FILES

RECONSTRUCTION = {
    "name": "reconstruct", "when": {"modality": "NM", "image_type": "TOMO"},
    "pipeline": "reconstruction", "destinations": ["archive"],
}  # fmt: skip
CORRECTION = {
    "name": "correct", "when": {"modality": "NM", "image_type": "RECON TOMO"},
    "pipeline": "attenuation_correction", "destinations": ["archive"],
}  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """What the node answered to a file, and what it then did with its study and why."""

    file: str
    what: str
    status: int | None
    state: str
    reason: str
    derived: int


def decide(folder: Path, files: list[Path]) -> list[Decision]:
    """Send each file to a node that reconstructs projections and corrects reconstructions; return what was decided."""
    archive = dcmtk.StoreSCP(folder)
    to_archive = destination(archive.port, "STORESCP", "archive")
    node = Node(folder / "node", Settings([to_archive], [RECONSTRUCTION, CORRECTION], engine={"timeout_s": 900}))
    archive.start()
    node.start()
    try:
        statuses = {file: scanner.send(node.port, file) for file in files}
        kept = {str(dcmread(file, stop_before_pixels=True).StudyInstanceUID) for file in files if statuses[file] == 0}
        rows = eventually(lambda: _decided(node, kept), "a decision on every study", timeout_s=1800, every_s=2)
        return [_decision(node, file, statuses[file], rows) for file in files]
    finally:
        node.stop()
        archive.kill()


def _decided(node: Node, kept: set[str]) -> dict[str, Any]:
    """Return the studies' rows once none of them is on its way any more, else nothing."""
    rows = node.studies()
    return rows if kept <= rows.keys() and all(row["state"] in ENDED for row in rows.values()) else {}


def _decision(node: Node, file: Path, status: int | None, rows: dict[str, Any]) -> Decision:
    ds = dcmread(file, stop_before_pixels=True)
    if status != 0:
        return Decision(file.stem, _what(ds), status, "-", "refused", 0)
    row = rows[ds.StudyInstanceUID]
    derived = len(node.derived(ds.StudyInstanceUID))
    return Decision(file.stem, _what(ds), status, row["state"], row["reason"], derived)


def _what(ds: Dataset) -> str:
    syntax = ds.file_meta.TransferSyntaxUID
    size = f"{ds.get('NumberOfFrames') or 1} x {ds.Rows} x {ds.Columns}"
    packed = f", {syntax.name.partition(',')[0]}" if syntax.is_compressed else ""
    return f"{ds.SOPClassUID.name}, {' '.join(ds.ImageType[2:3])}, {size}{packed}"


def table(decisions: list[Decision]) -> str:
    """Return the decisions as a table in Markdown."""
    lines = ["| file | what it is | C-STORE | study | derived | why |", "|---|---|---|---|---|---|"]
    for one in decisions:
        status = "no answer" if one.status is None else f"{one.status:04X}"
        lines.append(f"| {one.file} | {one.what} | {status} | {one.state} | {one.derived} | {one.reason} |")
    return "\n".join(lines)


def main() -> int:
    """Decide and print."""
    files = sorted(REAL_FILES.glob("*.dcm"))
    if not files:
        print(f"there are no camera files in {REAL_FILES}")
        return 1
    with tempfile.TemporaryDirectory(prefix="dicomnode-real-") as folder:
        print(table(decide(Path(folder), files)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
