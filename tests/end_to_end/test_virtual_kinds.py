"""Every kind of file that `simulate` makes is taken by the node as a camera's would be, and goes where rules say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from dicomnode.cli.main import run
from tests.conftest import StartNode, need_programs
from tests.peers import dcmtk
from tests.peers.node import Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.studies import fingerprint, spool_fingerprints

TOMO = {
    "name": "projections", "when": {"modality": "NM", "image_type": "*TOMO"},
    "pipeline": "reconstruction", "options": {"iterations": 1}, "destinations": ["pacs"],
}  # fmt: skip
ALL_KINDS = ("--ct", "--map", "--vendor-recon")


def simulate(out: Path, *options: str, seed: int) -> list[Path]:
    """Return the files of one virtual patient under stress."""
    command = ["simulate", "--patients", "1", "--seed", str(seed), "--state", "stress", "--out", str(out)]
    assert run([*command, *options]) == 0
    return sorted(out.rglob("*.dcm"))


@pytest.fixture(scope="module")
def all_kinds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every kind of file that can be made of one virtual patient."""
    return simulate(tmp_path_factory.mktemp("virtual"), *ALL_KINDS, seed=31)


def study_uid(file: Path) -> str:
    return str(dcmread(file, stop_before_pixels=True).StudyInstanceUID)


def test_a_study_of_all_kinds_is_stored_whole_and_its_projections_are_reconstructed(
    start_node: StartNode, orthanc: Orthanc, all_kinds: list[Path], tmp_path: Path
) -> None:
    files = all_kinds
    kinds = {tuple(dcmread(file, stop_before_pixels=True).ImageType) for file in files}
    assert {kind[2:] for kind in kinds} >= {
        ("TOMO", "EMISSION"), ("RECON TOMO", "EMISSION"), ("RECON TOMO", "TRANSMISSION"), ("AXIAL",),
    }  # fmt: skip
    uid = study_uid(files[0])
    node = start_node(Settings(destinations=[destination(orthanc.dicom_port)]))
    sent = dcmtk.store(node.port, files)
    assert sent.accepted, sent.output
    assert len(sent.statuses) == len(files)
    row = node.wait_for(uid, "DELIVERED")
    assert (row["instances"], row["pipeline"]) == (len(files), "reconstruction")
    assert sorted(spool_fingerprints(node.data_dir)) == sorted(fingerprint(file) for file in files)
    assert orthanc.instances(uid) == node.derived(uid) != []
    tomo = next(file for file in files if file.name.endswith("-tomo.dcm"))
    source = dcmread(tomo, stop_before_pixels=True).SOPInstanceUID
    derived = [ds for _, ds in orthanc.retrieve_datasets(uid, tmp_path / "back") if ds.Modality == "NM"]
    assert {item.ReferencedSOPInstanceUID for ds in derived for item in ds.SourceImageSequence} == {source}


def test_a_gated_study_of_either_maker_is_reconstructed(
    start_node: StartNode, orthanc: Orthanc, tmp_path: Path
) -> None:
    node = start_node(Settings(destinations=[destination(orthanc.dicom_port)], rules=[TOMO]))
    for camera in ("discovery", "symbia"):
        (file,) = simulate(tmp_path / camera, "--gated", "--camera", camera, seed=32)
        assert dcmread(file, stop_before_pixels=True).ImageType[2] == "GATED TOMO"
        assert dcmtk.store(node.port, [file]).accepted
        assert node.wait_for(study_uid(file), "DELIVERED")["pipeline"] == "reconstruction"


def test_what_no_rule_wants_is_kept_and_ignored(start_node: StartNode, all_kinds: list[Path]) -> None:
    """A reconstruction, a map and a CT without projections: the default rule wants none of them."""
    files = [file for file in all_kinds if not file.name.endswith("-tomo.dcm")]
    node = start_node(Settings(destinations=[destination(1)]))
    sent = dcmtk.store(node.port, files)
    assert sent.accepted, sent.output
    row = node.wait_for(study_uid(files[0]), "IGNORED")
    assert row["instances"] == len(files)
    assert "no rule" in row["reason"]
    assert len(spool_fingerprints(node.data_dir)) == len(files)


def test_every_kind_satisfies_its_object_definition(all_kinds: list[Path], tmp_path: Path) -> None:
    need_programs("dciodvfy")
    files = list(all_kinds)
    files += simulate(tmp_path / "gated", "--gated", "--camera", "symbia", seed=31)
    files += simulate(tmp_path / "prone", "--prone", "--motion", "--dose", "0.25", "--camera", "prospect", seed=31)
    known = "</(0008,001c)>"  # Synthetic Data, younger than the validator's dictionary
    errors = {file.name: [line for line in dcmtk.iod_errors(file) if known not in line] for file in files}
    assert errors == {file.name: [] for file in files}
