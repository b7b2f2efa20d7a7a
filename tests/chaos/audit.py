"""The audit after a campaign: every byte that was acknowledged, and every derived instance, once and no more."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from dicomnode.config_file import load
from dicomnode.store.folder import DataFolder
from dicomnode.store.opened import existing
from tests.chaos.pixels import mixed_up, signatures
from tests.chaos.plan import Result
from tests.chaos.scene import Scene
from tests.dicomnode.network.helpers import dataset_bytes
from tests.peers.node import Node
from tests.peers.orthanc import Orthanc
from tests.peers.studies import fingerprint, spool_fingerprints


def audit(scene: Scene, result: Result) -> None:
    """Look for all that should be there, and for what should not, and write both into the result."""
    _audit_received(scene, result)
    made = _audit_studies(scene, result)
    result.derived = made.total()
    result.left_over = (_outbox(scene.node.data_dir) - made).total()
    if result.left_over:  # what an attempt left that another one overtook is deleted by the next start
        scene.node.stop()
        scene.node.start()
    in_outbox, in_archive = _outbox(scene.node.data_dir), _archive(scene.pacs)
    result.in_outbox, result.in_archive = in_outbox.total(), in_archive.total()
    _compare(made, in_outbox, "derived instances of the journal in the outbox", result)
    _compare(made, in_archive, "derived instances of the journal in the archive", result)
    wrong = mixed_up(signatures(scene.pacs.files()), scene.hearts)
    result.mixed_up = len(wrong)
    result.faults += wrong[:20]


def _audit_received(scene: Scene, result: Result) -> None:
    acknowledged = {entry.sha256 for entry in scene.scanner.acknowledged()}
    on_disk = Counter(spool_fingerprints(scene.node.data_dir))
    result.sent, result.acknowledged, result.in_spool = len(scene.files), len(acknowledged), on_disk.total()
    _compare(Counter(acknowledged), on_disk, "acknowledged instances in the spool", result)


def _audit_studies(scene: Scene, result: Result) -> Counter[str]:
    """Look whether each study was delivered, and made as much as others like it; return all that was derived.

    The journal is read as the commands read it, but once: a command for each study would take a second each.
    """
    acquisitions = Counter(uids.study for uids in scene.files.values())
    rows, made = scene.node.studies(), _derived(scene.node, acquisitions)
    result.faults += [f"study {uid} was never sent by the scanner" for uid in rows.keys() - acquisitions.keys()]
    per_acquisition = Counter(len(made[uid]) / number for uid, number in acquisitions.items())
    usual = per_acquisition.most_common(1)[0][0]
    for uid, number in sorted(acquisitions.items()):
        state, reason = (rows[uid]["state"], rows[uid]["reason"]) if uid in rows else ("unknown", "")
        if state != "DELIVERED":
            result.faults.append(f"study {uid} is {state}: {reason}")
        if len(made[uid]) != usual * number or not usual:
            words = f"{len(made[uid])} derived instances of {number} acquisitions, usual are {usual:g} of each"
            result.faults.append(f"study {uid}: {words}")
    result.attempts = sum(int(row["attempts"]) for row in rows.values())
    return Counter(sha256 for found in made.values() for sha256 in found)


def _compare(expected: Counter[str], found: Counter[str], what: str, result: Result) -> None:
    """Count what is missing and what is too much, byte for byte."""
    lost, doubled = (expected - found).total(), (found - expected).total()
    result.lost, result.doubled = result.lost + lost, result.doubled + doubled
    if lost or doubled:
        result.faults.append(f"{what}: {lost} are missing, {doubled} are too many")


def _derived(node: Node, studies: Counter[str]) -> dict[str, list[str]]:
    """Return the hash of each derived instance that the journal knows, by study."""
    with existing(DataFolder.of(load(node.config).node)) as stores:
        assert stores is not None, "there is no journal"
        return {uid: [str(row["sha256"]) for row in stores.outbox.derived(uid)] for uid in studies}


def _outbox(data_dir: Path) -> Counter[str]:
    return Counter(fingerprint(path) for path in data_dir.joinpath("derived").rglob("*.dcm"))


def _archive(pacs: Orthanc) -> Counter[str]:
    return Counter(hashlib.sha256(dataset_bytes(content)).hexdigest() for content in pacs.files())
