"""What others are told of a running node: metrics, the audit trail, notices; also what a command decided."""

from __future__ import annotations

import getpass
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

from tests.conftest import StartNode
from tests.peers import dcmtk
from tests.peers.mailbox import webhook
from tests.peers.node import Settings
from tests.peers.process import HOST, eventually, free_port
from tests.peers.studies import StudyUids, static_image, write


def events(trail: Path) -> list[tuple[str, str]]:
    """Return what happened and who took part first, for each message."""
    found = []
    for line in trail.read_text().splitlines() if trail.exists() else ():
        root = ElementTree.fromstring(line)  # noqa: S314 - written by the node under test
        found.append((root[0][0].attrib["originalText"], next(root.iter("ActiveParticipant")).attrib["UserID"]))
    return found


def test_a_study_that_is_held_and_rejected_by_a_command_is_counted_told_and_on_the_trail(
    start_node: StartNode, tmp_path: Path
) -> None:
    trail, web_port = tmp_path / "audit.log", free_port()
    uids = StudyUids.from_seed("watching", tmp_path)
    image = static_image(uids)
    first = write(image, tmp_path / "first.dcm")
    image.SeriesDescription = "the same UID with other content"
    second = write(image, tmp_path / "second.dcm")
    with webhook() as (hook_port, notices):
        node = start_node(
            Settings(
                web={"port": web_port},
                audit={"file": str(trail)},
                notify={"webhook": f"http://{HOST}:{hook_port}/", "disk_low_gb": 0},
            )
        )
        assert not dcmtk.echo(node.port, calling="STRANGER")
        assert dcmtk.store(node.port, [first]).accepted
        node.wait_for(uids.study, "IGNORED")
        assert dcmtk.store(node.port, [second]).accepted
        node.wait_for(uids.study, "HELD")
        notice = eventually(lambda: notices, "a notice", timeout_s=60)[0]
        assert (notice["subject"], notice["studies"]) == ("1 study HELD", [uids.study])
        assert node.command_run("reject", uids.study).returncode == 0
        with urllib.request.urlopen(f"http://{HOST}:{web_port}/metrics", timeout=30) as answer:
            metrics = answer.read().decode()
        assert 'dicomnode_instances_received_total{calling_ae="SPECT1"} 2.0' in metrics
        assert 'dicomnode_studies{state="REJECTED"} 1.0' in metrics
        assert node.stop() == 0
    assert events(trail) == [
        ("Application Activity", "DICOMNODE"),
        ("Security Alert", "DICOMNODE"),
        ("DICOM Instances Transferred", "SPECT1"),
        ("DICOM Instances Accessed", getpass.getuser()),
        ("Application Activity", "DICOMNODE"),
    ]
