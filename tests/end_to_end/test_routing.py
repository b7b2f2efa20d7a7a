"""Which studies are taken, by whom they may be sent, and what happens to the ones that no rule wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tests.conftest import StartNode
from tests.peers import dcmtk, scanner
from tests.peers.geometry import place
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import free_port
from tests.peers.studies import (
    HEART_LPS_MM,
    PIXEL_MM,
    StudyUids,
    fingerprint,
    real_file,
    small_tomo,
    spool_fingerprints,
    static_image,
    write,
)

TWO_SCANNERS = ({"name": "one", "ae_title": "SPECT1"}, {"name": "two", "ae_title": "SPECT2"})


def test_a_study_that_no_rule_wants_is_kept_and_ignored_with_the_reason(plain_node: Node, tmp_path: Path) -> None:
    uids = StudyUids.from_seed("planar", tmp_path)
    file = write(static_image(uids), tmp_path / "static.dcm")
    assert dcmtk.store(plain_node.port, [file]).accepted
    row = plain_node.wait_for(uids.study, "IGNORED")
    assert row["instances"] == 1
    assert "no rule" in row["reason"]
    assert spool_fingerprints(plain_node.data_dir).count(fingerprint(file)) == 1


@pytest.mark.parametrize(
    "name", ["siemens_static_two_detectors.dcm", "ge_530c_recon_supine.dcm", "mediso_recon_jaszczak.dcm"]
)
def test_real_objects_that_are_not_for_us_are_accepted_and_ignored(plain_node: Node, name: str) -> None:
    file = real_file(name)
    assert dcmtk.store(plain_node.port, [file]).accepted
    plain_node.wait_for(str(dcmread(file, stop_before_pixels=True).StudyInstanceUID), "IGNORED")


def test_two_acquisitions_over_one_association_are_processed_once_and_together(
    start_node: StartNode, tmp_path: Path
) -> None:
    nobody = destination(free_port())
    node = start_node(Settings(destinations=[nobody], node={"quiet_s": 600}))
    stress = StudyUids.from_seed("stress and rest", tmp_path)
    files = [
        write(small_tomo(uids, seed=7), tmp_path / f"{uids.instance}.dcm") for uids in (stress, stress.in_study("rest"))
    ]
    association = scanner.associate(node.port, files[0])
    assert association.send_c_store(files[0]).Status == 0
    node.wait_until(lambda: "still sending" in node.studies()[stress.study]["reason"], "the node to wait for more")
    assert association.send_c_store(files[1]).Status == 0
    association.release()
    node.wait_for(stress.study, "DELIVERING")
    moves = node.show(stress.study)["moves"]
    assert [move["event"] for move in moves] == ["FIRST_INSTANCE", "WHOLE", "CLAIMED", "DERIVED"]
    assert [move["at"] for move in moves] == sorted(move["at"] for move in moves)
    assert len(node.derived(stress.study)) == 4


def test_a_rule_can_tell_two_scanners_apart(start_node: StartNode, orthanc: Orthanc, tmp_path: Path) -> None:
    only_two = {
        "name": "second camera", "when": {"calling_ae_title": "spect2", "image_type": "TOMO"},
        "pipeline": "reconstruction", "destinations": ["pacs"],
    }  # fmt: skip
    wanted, unwanted = (StudyUids.from_seed(name, tmp_path) for name in ("wanted", "unwanted"))
    node = start_node(Settings(destinations=[destination(orthanc.dicom_port)], rules=[only_two], peers=TWO_SCANNERS))
    assert dcmtk.store(node.port, [write(small_tomo(unwanted), tmp_path / "1.dcm")], calling="SPECT1").accepted
    assert dcmtk.store(node.port, [write(small_tomo(wanted), tmp_path / "2.dcm")], calling="SPECT2").accepted
    assert node.wait_for(wanted.study, "DELIVERED")["calling_ae_title"] == "SPECT2"
    assert "calling_ae_title" in node.wait_for(unwanted.study, "IGNORED")["reason"]
    assert orthanc.instances(wanted.study) == node.derived(wanted.study)
    assert orthanc.instances(unwanted.study) == []


def test_both_acquisitions_of_a_study_are_reconstructed(plain_node: Node, orthanc: Orthanc, tmp_path: Path) -> None:
    one = StudyUids.from_seed("stress and rest", tmp_path)
    other = one.in_study("rest")
    files = [write(small_tomo(uids, seed), tmp_path / f"{seed}.dcm") for seed, uids in enumerate((one, other))]
    assert dcmtk.store(plain_node.port, files).accepted
    plain_node.wait_for(one.study, "DELIVERED")
    back = orthanc.retrieve_datasets(one.study, tmp_path / "back")
    sources = {
        item.ReferencedSOPInstanceUID for _, ds in back if ds.Modality == "NM" for item in ds.SourceImageSequence
    }
    assert sources == {one.instance, other.instance}


def test_an_unknown_peer_gets_no_association(plain_node: Node, tmp_path: Path) -> None:
    node, uids = plain_node, StudyUids.from_seed(tmp_path)
    assert not dcmtk.echo(node.port, calling="STRANGER")
    assert not dcmtk.echo(node.port, called="SOMEBODY")
    assert dcmtk.echo(node.port)
    sent = dcmtk.store(node.port, [write(small_tomo(uids), tmp_path / "a.dcm")], calling="STRANGER")
    assert sent.returncode != 0
    assert uids.study not in node.studies()


@pytest.mark.parametrize("clockwise", [True, False], ids=["CW", "CC"])
def test_an_asymmetric_object_is_neither_mirrored_nor_turned(
    plain_node: Node, orthanc: Orthanc, tmp_path: Path, clockwise: bool
) -> None:
    uids = StudyUids.from_seed("asymmetric", clockwise, tmp_path)
    assert dcmtk.store(plain_node.port, [write(small_tomo(uids, clockwise=clockwise), tmp_path / "a.dcm")]).accepted
    plain_node.wait_for(uids.study, "DELIVERED")
    back = orthanc.retrieve_datasets(uids.study, tmp_path / "back")
    (recon,) = [ds for _, ds in back if ds.Modality == "NM" and "RECON TOMO" in ds.ImageType]
    np.testing.assert_allclose(place(recon).center_of_hottest(), HEART_LPS_MM, atol=PIXEL_MM)
