"""Attenuation is corrected with what a study holds: its CT, or nothing but a camera's own reconstruction."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.objects.reader import read_volume
from tests.conftest import StartNode, need_programs
from tests.dicomnode.objects.spect_ct import STUDY, chest
from tests.dicomnode.objects.validator import errors_in
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.studies import StudyUids, give_uids, real_file, write
from tests.pipelines.mu_map_models import a_mu_map_model

PATIENCE_S = 400  # four reconstructions and a registration take half a minute of a core


@pytest.fixture
def node(start_node: StartNode, orthanc: Orthanc, tmp_path: Path) -> Node:
    rule: dict[str, Any] = {
        "name": "correct", "when": {"modality": "NM", "image_type": "*TOMO"}, "pipeline": "attenuation_correction",
        "options": {"models": str(a_mu_map_model(tmp_path / "models")), "iterations": 4}, "destinations": ["pacs"],
    }  # fmt: skip
    pacs = destination(orthanc.dicom_port)
    return start_node(Settings(destinations=[pacs], rules=[rule], engine={"timeout_s": PATIENCE_S}))


def received(orthanc: Orthanc, uid: str, folder: Path, description: str) -> dict[str, tuple[Path, Dataset]]:
    """Return what the archive holds of a study, by what our label adds to the description of the source."""
    found = orthanc.retrieve_datasets(uid, folder)
    return {
        str(ds.SeriesDescription).removeprefix(description).removesuffix("(CHECK)").strip(): (path, ds)
        for path, ds in found
    }


def printed(report: Path) -> str:
    need_programs("dsrdump")
    return subprocess.run(["dsrdump", "+Pl", report], capture_output=True, text=True, check=True).stdout


def test_a_spect_ct_study_is_corrected_by_its_own_ct_and_says_how_well_that_fits(
    node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    tomo, ct = chest(tmp_path, replace(STUDY, patient_id="SPECT-CT"), shift_mm=(6.0, 0.0, 8.0))
    source = dcmread(tomo, stop_before_pixels=True)
    uid = str(source.StudyInstanceUID)
    sent = dcmtk.store(node.port, [tomo, *ct])
    assert sent.accepted, sent.output
    row = node.wait_for(uid, "DELIVERED", timeout_s=PATIENCE_S)
    assert (row["instances"], row["pipeline"]) == (1 + len(ct), "attenuation_correction")
    back = received(orthanc, uid, tmp_path / "back", str(source.SeriesDescription))
    assert set(back) == {
        "nAC recon", "CTAC recon", "attenuation map 140.5 keV of CT", "nAC short axis", "CTAC short axis",
        "measurements", "report page",
    }  # fmt: skip
    for path, _ in back.values():
        assert errors_in(path.read_bytes(), tmp_path) == []
    slices = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in ct}
    named = {str(item.ReferencedSOPInstanceUID) for item in back["CTAC recon"][1].SourceImageSequence}
    assert named >= {str(source.SOPInstanceUID), *slices}
    assert [str(item.ReferencedSOPInstanceUID) for item in back["nAC recon"][1].SourceImageSequence] == [
        str(source.SOPInstanceUID)
    ]
    assert "ATTN" in back["CTAC recon"][1].CorrectedImage
    assert "ATTN" not in back["nAC recon"][1].CorrectedImage
    mu_map = read_volume([back["attenuation map 140.5 keV of CT"][0]])
    assert np.median(mu_map.values[mu_map.values > 0.1]) == pytest.approx(0.155, abs=0.01)  # soft tissue
    report = printed(back["measurements"][0])
    for words in (
        "CT-based Attenuation Correction",
        "No Attenuation Correction",
        "CTAC",
        "the attenuation map was moved by",
    ):
        assert words in report


def test_a_cameras_reconstruction_alone_is_corrected_afterwards_by_the_networks_map(
    node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    uids = StudyUids.from_seed("recon only", tmp_path)
    source = give_uids(dcmread(real_file("ge_530c_recon_supine.dcm")), uids)
    assert dcmtk.store(node.port, [write(source, tmp_path / "recon.dcm")]).accepted
    node.wait_for(uids.study, "DELIVERED", timeout_s=PATIENCE_S)
    back = received(orthanc, uids.study, tmp_path / "back", str(source.SeriesDescription))
    assert set(back) == {
        "nAC recon", "DLAC recon", "attenuation map 140.5 keV by networks", "nAC short axis", "DLAC short axis",
        "measurements", "report page",
    }  # fmt: skip
    for path, _ in back.values():
        # this camera does not rotate, and its own image leaves out what the standard wants to know of a rotation
        assert [one for one in errors_in(path.read_bytes(), tmp_path) if "RotationInformation" not in one] == []
    corrected = back["DLAC recon"][1]
    assert str(corrected.SeriesDescription).endswith("(CHECK)")  # no thresholds vouch for these networks
    assert "PRAC" in corrected.DerivationDescription
    assert "Corrected Image is not stated" in corrected.ImageComments
    before, after = (read_volume([back[f"{name} recon"][0]]) for name in ("nAC", "DLAC"))
    assert np.allclose(before.grid.matrix, after.grid.matrix)
    assert after.values.sum() > 1.5 * before.values.sum()  # what the tissue took away is given back
