"""Sent again, sent late, sent with other content: what the archive and the spool hold afterwards."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import StartNode
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.studies import StudyUids, fingerprint, small_tomo, spool_fingerprints, write


def test_the_same_study_again_changes_nothing(plain_node: Node, orthanc: Orthanc, tmp_path: Path) -> None:
    uids = StudyUids.from_seed("again", tmp_path)
    file, node = write(small_tomo(uids), tmp_path / "a.dcm"), plain_node
    assert dcmtk.store(node.port, [file]).accepted
    node.wait_for(uids.study, "DELIVERED")
    before = orthanc.instances(uids.study), node.show(uids.study)
    assert dcmtk.store(node.port, [file, file]).accepted
    assert node.wait_for(uids.study, "DELIVERED")["instances"] == 1
    assert (orthanc.instances(uids.study), node.show(uids.study)) == before
    assert spool_fingerprints(node.data_dir).count(fingerprint(file)) == 1


def test_the_same_uid_with_other_content_is_kept_apart_and_the_study_is_held(
    plain_node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    uids, node = StudyUids.from_seed("conflict", tmp_path), plain_node
    first = write(small_tomo(uids, seed=1), tmp_path / "first.dcm")
    other = write(small_tomo(uids, seed=2), tmp_path / "other.dcm")
    assert dcmtk.store(node.port, [first]).accepted
    node.wait_for(uids.study, "DELIVERED")
    in_archive = orthanc.instances(uids.study)
    assert dcmtk.store(node.port, [other]).accepted
    row = node.wait_for(uids.study, "HELD")
    assert uids.instance in row["reason"]
    assert {fingerprint(first), fingerprint(other)} <= set(spool_fingerprints(node.data_dir)), "both contents are kept"
    assert orthanc.instances(uids.study) == in_archive


def test_a_late_acquisition_makes_a_new_version_and_each_derived_instance_is_there_once(
    plain_node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    first, node = StudyUids.from_seed("late", tmp_path), plain_node
    late = first.in_study("came later")
    assert dcmtk.store(node.port, [write(small_tomo(first, seed=1), tmp_path / "first.dcm")]).accepted
    node.wait_for(first.study, "DELIVERED")
    alone = orthanc.instances(first.study)
    assert dcmtk.store(node.port, [write(small_tomo(late, seed=2), tmp_path / "late.dcm")]).accepted
    story = node.wait_for(first.study, "DELIVERED") and node.show(first.study)
    assert "LATE" in str(story).upper()
    both = orthanc.instances(first.study)
    assert set(alone) < set(both), "what was sent before stays as it is"
    assert len(both) == 2 * len(alone)
    assert both == node.derived(first.study)
    assert len(orthanc.series(first.study)) == len(both)


def test_a_requeued_study_gives_the_same_instances(start_node: StartNode, orthanc: Orthanc, tmp_path: Path) -> None:
    uids = StudyUids.from_seed("requeued", tmp_path)
    wrong_title = destination(orthanc.dicom_port, ae_title="NOBODY", give_up_h=0.0005)
    node = start_node(Settings(destinations=[wrong_title]))
    assert dcmtk.store(node.port, [write(small_tomo(uids), tmp_path / "a.dcm")]).accepted
    node.wait_for(uids.study, "FAILED")
    made = node.derived(uids.study)
    node.stop()
    node.config.write_text(node.config.read_text().replace("NOBODY", "ORTHANC"))
    node.start()
    assert node.command_run("requeue", uids.study).returncode == 0
    node.wait_for(uids.study, "DELIVERED")
    assert node.derived(uids.study) == made == orthanc.instances(uids.study)
