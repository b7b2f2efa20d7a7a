"""Archives that are away, come back, or are of another make."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Start, StartNode
from tests.peers import dcmtk
from tests.peers.node import Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.studies import StudyUids, small_tomo, write


def test_what_a_dead_archive_missed_is_delivered_when_it_is_back(
    start: Start, start_node: StartNode, tmp_path: Path
) -> None:
    uids = StudyUids.from_seed("dead archive", tmp_path)
    pacs = Orthanc(tmp_path / "pacs")
    node = start_node(Settings(destinations=[destination(pacs.dicom_port)]))
    assert dcmtk.store(node.port, [write(small_tomo(uids), tmp_path / "a.dcm")]).accepted
    node.wait_for(uids.study, "DELIVERING")
    node.wait_until(lambda: _attempts(node.show(uids.study)) > 0, "a first attempt at the archive")
    start(pacs)
    node.wait_for(uids.study, "DELIVERED")
    assert pacs.instances(uids.study) == node.derived(uids.study) != []
    assert node.command_run("echo", "pacs").returncode == 0


def _attempts(story: dict[str, list[dict[str, int]]]) -> int:
    return max((row["attempts"] for row in story["deliveries"]), default=0)


def test_two_archives_each_get_everything(
    start: Start, start_node: StartNode, orthanc: Orthanc, tmp_path: Path
) -> None:
    uids = StudyUids.from_seed("two archives", tmp_path)
    other = dcmtk.QueryRetrieveSCP(tmp_path)
    start(other)
    both = [destination(orthanc.dicom_port), destination(other.port, dcmtk.QueryRetrieveSCP.ae_title, name="second")]
    node = start_node(Settings(destinations=both))
    assert dcmtk.store(node.port, [write(small_tomo(uids), tmp_path / "a.dcm")]).accepted
    node.wait_for(uids.study, "DELIVERED")
    back = tmp_path / "back"
    back.mkdir()
    from_second = dcmtk.retrieve(other.port, other.ae_title, "READER", uids.study, back)
    assert len(from_second) == len(orthanc.instances(uids.study)) == len(node.derived(uids.study)) > 0


def test_an_archive_that_cannot_be_reached_is_reported_by_echo(start_node: StartNode) -> None:
    node = start_node(Settings(destinations=[destination(1)]))
    assert node.command_run("echo", "pacs").returncode == 69
