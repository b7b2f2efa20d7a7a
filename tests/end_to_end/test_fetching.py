"""What a rule needs and the study lacks is fetched from the archive: the CT of a SPECT/CT, the rest of a stress."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import CardiacState
from tests.conftest import Start, StartNode
from tests.dicomnode.objects.spect_ct import chest
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.peers.process import free_port
from tests.peers.studies import StudyUids, small_tomo, write

SLICES = 5


def ct_series(uids: StudyUids, folder: Path, description: str = "CT AC", slices: int = SLICES) -> dict[str, Path]:
    """Return the files of a CT series in a study, by their SOP Instance UIDs."""
    files = {}
    for k in range(slices):
        one = uids.in_study(description, k)
        made = small_tomo(one)
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = CTImageStorage
        made.SeriesInstanceUID = uids.in_study(description).series
        made.Modality, made.ImageType, made.SeriesDescription = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], description
        made.InstanceNumber, made.NumberOfFrames = k + 1, 1
        made.PixelData = bytes(2 * made.Rows * made.Columns)
        files[one.instance] = write(_without_nuclear(made), folder / f"{description}{k}.dcm")
    return files


def _without_nuclear(made: Dataset) -> Dataset:
    for keyword in [element.keyword for element in made if element.tag.group == 0x0054]:
        del made[keyword]
    del made.FrameIncrementPointer
    return made


def a_rule(fetch: Mapping[str, Any], *needs: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "hybrid", "when": {"modality": "NM", "series_description": "STRESS*"}, "pipeline": "reconstruction",
        "needs": ["projections", *needs], "fetch": [{"source": "pacs", "retry_s": [0.5], **fetch}],
        "options": {"iterations": 1, "subsets": 1}, "destinations": ["pacs"], **more,
    }  # fmt: skip


@pytest.fixture
def pacs(start: Start, tmp_path: Path) -> Orthanc:
    archive = Orthanc(tmp_path / "pacs", node_port=free_port())
    start(archive)
    return archive


def a_node(start_node: StartNode, pacs: Orthanc, rule: Mapping[str, Any]) -> Node:
    return start_node(Settings([destination(pacs.dicom_port)], [rule], node={"port": pacs.node_port}))


def send_spect(node: Node, uids: StudyUids, folder: Path) -> None:
    assert dcmtk.store(node.port, [write(small_tomo(uids), folder / "spect.dcm")]).accepted


@pytest.mark.parametrize("method", ["move", "get"])
def test_a_missing_ct_is_fetched_whole_before_the_study_is_processed(
    start_node: StartNode, pacs: Orthanc, tmp_path: Path, method: str
) -> None:
    uids = StudyUids.from_seed("hybrid", tmp_path)
    wanted = ct_series(uids, tmp_path)
    pacs.add(*wanted.values(), *ct_series(uids, tmp_path, "SCOUT", 1).values())
    pacs.add(*ct_series(StudyUids.from_seed("another", tmp_path), tmp_path, "CT AC 2").values())
    fetch = {"need": "ct", "method": method, "series_description": "*AC*"}
    node = a_node(start_node, pacs, a_rule(fetch, "ct"))
    send_spect(node, uids, tmp_path)
    assert node.wait_for(uids.study, "DELIVERED")["instances"] == SLICES + 1
    story = node.show(uids.study)
    assert {row["sop_instance_uid"] for row in story["received"]} == {uids.instance, *wanted}
    assert {row["version"] for row in story["received"]} == {story["version"]} == {1}
    processed = next(move["at"] for move in story["moves"] if move["event"] == "CLAIMED")
    assert max(row["received_at"] for row in story["received"]) < processed
    assert list(node.studies()) == [uids.study], "nothing else of the archive came"


def test_a_spect_study_whose_ct_lies_in_the_archive_is_corrected_by_it(
    start_node: StartNode, orthanc: Orthanc, tmp_path: Path
) -> None:
    study = VirtualStudy(patient_id="FETCHED-CT", state=CardiacState.STRESS, series_description="STRESS")
    tomo, slices = chest(tmp_path, study)
    orthanc.add(*slices)
    rule = a_rule(
        {"need": "ct", "method": "get", "series_description": "*AC*"}, "ct", pipeline="attenuation_correction",
        options={"iterations": 2, "map": "ct"},
    )  # fmt: skip
    node = start_node(Settings([destination(orthanc.dicom_port)], [rule]))
    assert dcmtk.store(node.port, [tomo]).accepted
    row = node.wait_for(study.study_instance_uid, "DELIVERED", timeout_s=200)
    assert row["instances"] == 1 + len(slices)
    back = {
        str(ds.SeriesDescription).removeprefix("STRESS ").removesuffix("(CHECK)").strip(): ds
        for _, ds in orthanc.retrieve_datasets(study.study_instance_uid, tmp_path / "back")
        if ds.Modality != "CT"
    }
    assert set(back) == {
        "nAC recon", "CTAC recon", "attenuation map 140.5 keV of CT", "nAC short axis", "CTAC short axis",
        "measurements", "report page",
    }  # fmt: skip
    corrected = back["CTAC recon"]
    assert "ATTN" in corrected.CorrectedImage
    named = {str(item.ReferencedSOPInstanceUID) for item in corrected.SourceImageSequence}
    assert named >= {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in (tomo, *slices)}
    assert "CT-based Attenuation Correction" in str(back["measurements"])


@pytest.mark.parametrize(
    ("fetch", "slices", "reason"),
    [({}, 0, "nothing was found there; 2 attempts"), ({"max_instances": 2}, SLICES, "more than max_instances = 2")],
    ids=["not there", "too many"],
)
def test_a_study_whose_ct_can_not_be_fetched_is_held_with_the_reason(
    start_node: StartNode, pacs: Orthanc, tmp_path: Path, fetch: Mapping[str, Any], slices: int, reason: str
) -> None:
    uids = StudyUids.from_seed("alone", tmp_path)
    pacs.add(*ct_series(uids, tmp_path, slices=slices).values())
    node = a_node(start_node, pacs, a_rule({"need": "ct", **fetch}, "ct", wait_s=6))
    send_spect(node, uids, tmp_path)
    row = node.wait_for(uids.study, "HELD")
    assert "CT did not come" in row["reason"]
    assert reason in row["reason"]


def test_the_rest_study_of_a_stress_study_is_fetched_and_no_other_patients(
    start_node: StartNode, pacs: Orthanc, tmp_path: Path
) -> None:
    stress, rest, others = (StudyUids.from_seed(name, tmp_path) for name in ("stress", "rest", "others"))
    for uids, seed, day in ((rest, 0, "20260101"), (others, 1, "20260102")):
        made = small_tomo(uids, seed)
        made.SeriesDescription, made.StudyDate = "REST TOMO", day
        pacs.add(write(made, tmp_path / f"{seed}.dcm"))
    fetch = {"need": "rest", "days": 7, "series_description": "*rest*"}
    node = a_node(start_node, pacs, a_rule(fetch, "stress", "rest"))
    send_spect(node, stress, tmp_path)
    node.wait_for(stress.study, "ROUTED", "PROCESSING", "DELIVERING", "DELIVERED")
    assert set(node.studies()) == {stress.study, rest.study}
    row = node.wait_for(rest.study, "IGNORED")
    assert f"fetched for study {stress.study}" in row["reason"]
