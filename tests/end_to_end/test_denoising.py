"""A low-dose study goes from the scanner through the networks to the archive; one that a check sets aside waits."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import CardiacState
from pipelines.networks.model_card import read_card
from tests.conftest import need_programs
from tests.dicomnode.objects.validator import errors_in
from tests.factories import a_tomo, changed
from tests.peers import dcmtk
from tests.peers.node import Node, Settings, destination
from tests.peers.orthanc import Orthanc
from tests.pipelines.denoising_cases import a_model, an_acquisition

DESCRIPTION, FOR_STATION = "Stress half", "Stress half, station"


def low_dose_rule(models: Path) -> dict[str, Any]:
    return {
        "name": "low dose", "when": {"modality": "NM", "image_type": "*TOMO", "series_description": "*HALF*"},
        "pipeline": "denoising", "options": {"dose_fraction": 0.5, "models": str(models)}, "destinations": ["pacs"],
    }  # fmt: skip


def a_study(name: str, folder: Path, **acquired: Any) -> tuple[Path, str]:
    """Write a scanner's study of half the dose; return its file and its Study Instance UID."""
    study = VirtualStudy(
        patient_id="LOW-1", study=f"{name} {folder}", series_description=DESCRIPTION, state=CardiacState.STRESS,
        patient_sex="F",
    )  # fmt: skip
    acquisition = an_acquisition(**acquired)
    path = folder / f"{name}.dcm"
    path.write_bytes(a_tomo(acquisition.projections, study))
    return path, study.study_instance_uid


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dcmtk.StoreSCP]:
    """A camera's own station, which wants the camera's private elements."""
    need_programs("storescp")
    server = dcmtk.StoreSCP(tmp_path_factory.mktemp("station"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def node(
    orthanc: Orthanc, station: dcmtk.StoreSCP, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """One node for all tests: each sends a study of its own."""
    need_programs("storescu")
    to_station = destination(station.port, "STORESCP", "station", keep_private=True)
    usual = low_dose_rule(models)
    for_station = {
        **usual, "name": "station", "when": {"series_description": FOR_STATION}, "destinations": ["pacs", "station"],
    }  # fmt: skip
    settings = Settings(destinations=[destination(orthanc.dicom_port), to_station], rules=[for_station, usual])
    node = Node(tmp_path_factory.mktemp("node"), settings)
    node.start()
    yield node
    node.stop(timeout_s=30)


def received(orthanc: Orthanc, uid: str, folder: Path) -> dict[str, tuple[Path, Dataset]]:
    """Return what the archive holds of a study, by what our label adds to the description of the source."""
    found = orthanc.retrieve_datasets(uid, folder)
    return {str(ds.SeriesDescription).removeprefix(DESCRIPTION).strip(): (path, ds) for path, ds in found}


@pytest.mark.parametrize("gates", [1, 8])
def test_a_good_study_arrives_whole_and_sound(
    gates: int, node: Node, orthanc: Orthanc, models: Path, tmp_path: Path
) -> None:
    need_programs("dsrdump")
    file, uid = a_study("good", tmp_path, gates=gates)
    assert dcmtk.store(node.port, [file]).accepted
    node.wait_for(uid, "DELIVERED")
    back = received(orthanc, uid, tmp_path / "back")
    # so few counts in a gate are remarked on
    mark = " (CHECK)" if gates > 1 else ""
    labels = ("denoised", "denoised nAC recon", "denoised nAC short axis", "measurements", "report page")
    assert set(back) == {label + mark for label in labels}
    for path, _ in back.values():
        assert errors_in(path.read_bytes(), tmp_path) == []
    _, denoised = back["denoised" + mark]
    source = dcmread(file)
    assert list(denoised.ImageType) == ["DERIVED", "PRIMARY", "GATED TOMO" if gates > 1 else "TOMO", "EMISSION"]
    step = float(denoised.RealWorldValueMappingSequence[0].RealWorldValueSlope)
    assert step * denoised.pixel_array.sum() == pytest.approx(2.0 * source.pixel_array.sum(), rel=0.02)
    assert "projections that hold 50 % of the full dose (stated by the rule)" in denoised.DerivationDescription
    assert str(denoised.SourceImageSequence[0].ReferencedSOPInstanceUID) == source.SOPInstanceUID
    report, _ = back["measurements" + mark]
    printed = subprocess.run(["dsrdump", "+Pl", report], capture_output=True, text=True, check=True).stdout
    weights = read_card(models / "denoiser.json").sha256
    for words in ("denoiser 1.0.0", weights, "50 % of the full dose", '="Dose fraction: 0.5"', '="Guard: misfit: '):
        assert words in printed


def test_an_upside_down_study_is_held_until_an_operator_releases_it(
    node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    file, uid = a_study("upside down", tmp_path, upside_down=True)
    assert dcmtk.store(node.port, [file]).accepted
    row = node.wait_for(uid, "HELD")
    assert "upside down: check whether the first row is the head" in row["reason"]
    assert orthanc.instances(uid) == []
    done = node.command_run("release", uid)
    assert done.returncode == 0, done.stderr
    node.wait_for(uid, "DELIVERED")
    assert orthanc.instances(uid) == node.derived(uid)
    assert len(node.derived(uid)) == 5
    assert all("(CHECK)" in label for label in received(orthanc, uid, tmp_path / "back"))


def test_what_the_node_derived_is_not_denoised_again_when_an_archive_sends_it_on(
    node: Node, orthanc: Orthanc, tmp_path: Path
) -> None:
    file, uid = a_study("round trip", tmp_path)
    assert dcmtk.store(node.port, [file]).accepted
    node.wait_for(uid, "DELIVERED")
    made = node.derived(uid)
    back = received(orthanc, uid, tmp_path / "back")
    assert dcmtk.store(node.port, [back["denoised"][0]]).accepted
    node.wait_for(uid, "DELIVERED")
    assert node.derived(uid) == made == orthanc.instances(uid)


def test_a_station_that_asks_gets_the_camera_s_private_elements_and_the_archive_does_not(
    node: Node, orthanc: Orthanc, station: dcmtk.StoreSCP, tmp_path: Path
) -> None:
    def by_ge(ds: Dataset) -> None:
        ds.SeriesDescription = FOR_STATION
        ds.private_block(0x0011, "GEMS_GENIE_1", create=True).add_new(0x19, "FD", 287.5)

    file, uid = a_study("station", tmp_path)
    file.write_bytes(changed(file.read_bytes(), by_ge))
    assert dcmtk.store(node.port, [file]).accepted
    node.wait_for(uid, "DELIVERED")
    archived = [ds for _, ds in orthanc.retrieve_datasets(uid, tmp_path / "back")]
    sent = [dcmread(path) for path in station.received.iterdir()]
    assert sorted(int(ds.SeriesNumber) for ds in archived) == [901, 911, 931, 941, 942]
    assert sorted(int(ds.SeriesNumber) for ds in sent) == [902, 911, 931, 941, 942]
    kept = {int(ds.SeriesNumber): ds.private_creators(0x0011) for ds in (*archived, *sent)}
    assert {number for number, creators in kept.items() if creators} == {902}
