"""A real camera file goes the whole road: storescu -> node -> Orthanc, read back and looked at independently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.conftest import Start, StartNode, need_programs
from tests.peers import dcmtk
from tests.peers.geometry import back_project, correlation, place
from tests.peers.node import Node, Settings
from tests.peers.orthanc import Orthanc
from tests.peers.studies import StudyUids, fingerprint, ge_stress, spool_fingerprints, write

GE_ISOCENTER_MM = (0.4, -7.6, 23.0)  # its Image Position is the corner of a cube around the axis, moved by this


@pytest.fixture(scope="module")
def sent_by_ge(
    plain_node: Node, orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Dataset, list[tuple[Path, Dataset]]]:
    """Send the GE stress study through a node; return it and what Orthanc gives back over DICOM."""
    folder = tmp_path_factory.mktemp("ge")
    uids = StudyUids.from_seed("real study", folder)
    study = ge_stress(uids)
    assert dcmtk.store(plain_node.port, [write(study, folder / "ge.dcm")]).accepted
    plain_node.wait_for(uids.study, "DELIVERED")
    return study, orthanc.retrieve_datasets(uids.study, folder / "back")


def of_type(datasets: list[tuple[Path, Dataset]], *words: str) -> Dataset:
    """Return the only transaxial NM instance whose Image Type holds all the words."""
    transaxial = [ds for _, ds in datasets if ds.Modality == "NM" and "SliceProgressionDirection" not in ds]
    found = [ds for ds in transaxial if set(words) <= set(ds.ImageType)]
    assert len(found) == 1, f"{len(found)} instances are {words}: {[list(ds.ImageType) for _, ds in datasets]}"
    return found[0]


def test_the_derived_series_reach_the_archive_and_satisfy_their_object_definitions(
    sent_by_ge: tuple[Dataset, list[tuple[Path, Dataset]]],
) -> None:
    need_programs("dciodvfy")
    source, back = sent_by_ge
    assert {ds.StudyInstanceUID for _, ds in back} == {source.StudyInstanceUID}
    assert len({ds.SeriesInstanceUID for _, ds in back}) == len(back), "each derived instance is its own series"
    assert {path.name: dcmtk.iod_errors(path) for path, _ in back} == {path.name: [] for path, _ in back}
    assert any(ds.SOPClassUID.name == "Secondary Capture Image Storage" for _, ds in back), "the report page is missing"
    recon = of_type(back, "RECON TOMO", "EMISSION")
    assert recon.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert source.SOPInstanceUID in {item.ReferencedSOPInstanceUID for item in recon.SourceImageSequence}
    assert recon.SOPInstanceUID.startswith("2.25.")


def test_the_heart_lies_where_an_independent_back_projection_puts_it(
    sent_by_ge: tuple[Dataset, list[tuple[Path, Dataset]]],
) -> None:
    source, back = sent_by_ge
    volume = place(of_type(back, "RECON TOMO", "EMISSION"))
    reference = back_project(source, volume.positions_mm, GE_ISOCENTER_MM)
    as_placed = correlation(volume.values, reference)
    assert as_placed > 0.6
    for axis, name in enumerate(("head and feet", "front and back", "left and right")):
        mirrored = correlation(np.flip(volume.values, axis), reference)
        assert mirrored < as_placed - 0.2, f"{name} could as well be exchanged: {mirrored:.2f} against {as_placed:.2f}"
        for step in (-1, 1):
            moved = correlation(np.roll(volume.values, step, axis), reference)
            assert moved < as_placed, f"one voxel off along {name} fits better: {moved:.3f} against {as_placed:.3f}"
    around_the_heart = volume.slab(half_mm=80)  # the bowel, farther down, is as hot
    left, back_of, _ = around_the_heart.center_of_hottest(share=0.003) - volume.middle_mm()
    assert left > 20, "the heart is on the patient's left"
    assert back_of < 0, "the heart is in front"


def test_the_spool_keeps_the_bytes_that_storescu_sent(start: Start, start_node: StartNode, tmp_path: Path) -> None:
    file = write(ge_stress(StudyUids.from_seed("bytes", tmp_path)), tmp_path / "ge.dcm")
    witness = dcmtk.StoreSCP(tmp_path / "witness", ["--bit-preserving"])
    start(witness)
    node = start_node(Settings())
    assert dcmtk.store(witness.port, [file], called="STORESCP").accepted
    assert dcmtk.store(node.port, [file]).accepted
    assert spool_fingerprints(node.data_dir) == [fingerprint(path) for path in witness.received.iterdir()]
