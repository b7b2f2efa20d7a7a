"""`simulate`: virtual patients as files that the node takes, the same for the same seed, with the truth beside them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicomnode.cli.main import run
from dicomnode.objects.ct import read_ct
from dicomnode.objects.header import read_header
from dicomnode.objects.reader import read_acquisition, read_volume
from dicomnode.study import InstanceContent
from pipelines.images import Volume
from pipelines.simulation.virtual_patient import VirtualPatient, make_patient
from tests.dicomnode.objects.validator import errors_in
from tests.peers.node import DICOMNODE

STEM = "VIRTUAL-0007-0000-stress-discovery-registered"
ALL_KINDS = ("--ct", "--map", "--vendor-recon")
STRESS = ("--state", "stress", "--registered")


def simulate(out: Path, *options: str, seed: int = 7) -> int:
    return run(["simulate", "--patients", "1", "--seed", str(seed), "--out", str(out), *options])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that can be made of one patient under stress, CT and map in register.

    Made by another process with other threads: what the tests make of the same seed must be the same bytes.
    """
    out = tmp_path_factory.mktemp("virtual")
    command = [str(DICOMNODE), "simulate", "--patients", "1", "--seed", "7", "--out", str(out)]
    threads = {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3"}
    subprocess.run([*command, *ALL_KINDS, *STRESS], check=True, env={**os.environ, **threads})
    return out


@pytest.fixture(scope="module")
def patient() -> VirtualPatient:
    """The same patient, as the simulator knows him."""
    return make_patient(700_000)


def test_every_kind_is_sound_and_is_to_the_node_what_it_should_be(study: Path, tmp_path: Path) -> None:
    kinds = {
        f"{STEM}-tomo.dcm": InstanceContent.PROJECTIONS,
        f"{STEM}-recon.dcm": InstanceContent.RECONSTRUCTION,
        f"{STEM}-map.dcm": InstanceContent.MU_MAP,
        f"{STEM}-ct/001.dcm": InstanceContent.CT,
    }
    for name, content in kinds.items():
        header = read_header(study / name)
        assert (header.content, header.flaw) == (content, None)
        assert errors_in((study / name).read_bytes(), tmp_path) == []


def test_all_series_are_one_study_in_one_frame_of_reference_of_nobody(study: Path) -> None:
    instances = [dcmread(path, stop_before_pixels=True) for path in study.rglob("*.dcm")]
    assert len(instances) == 59
    assert {ds[0x0008001C].value for ds in instances} == {"YES"}
    assert {str(ds.PatientName) for ds in instances} == {"Virtual^Patient 0007 0000"}
    assert len({ds.StudyInstanceUID for ds in instances}) == 1
    assert len({ds.FrameOfReferenceUID for ds in instances}) == 1
    assert len({ds.SeriesInstanceUID for ds in instances}) == 4
    assert len({ds.SeriesNumber for ds in instances}) == 4


def test_the_emissions_heart_lies_where_ct_and_map_show_soft_tissue(study: Path, patient: VirtualPatient) -> None:
    box = patient.gates_box
    inside = np.argwhere(patient.ventricle > 50.0) + [axis.start for axis in box]
    places = np.array([patient.activity.grid.position_mm(*index) for index in inside])
    units = at(read_ct(sorted((study / f"{STEM}-ct").iterdir())), places)
    assert 0 < np.median(units) < 100
    assert np.mean((units > -120) & (units < 200)) > 0.97
    assert np.mean(at(read_volume([study / f"{STEM}-map.dcm"]), places) > 0.13) > 0.97
    shifted = at(read_ct(sorted((study / f"{STEM}-ct").iterdir())), places + np.array([30.0, 0.0, 0.0]))
    assert np.mean((shifted > -120) & (shifted < 200)) < 0.9  # the test would see a patient who lies elsewhere


def test_the_cameras_own_reconstruction_shows_the_heart_in_its_place(study: Path, patient: VirtualPatient) -> None:
    box = patient.gates_box
    inside = np.argwhere(patient.ventricle > 50.0) + [axis.start for axis in box]
    places = np.array([patient.activity.grid.position_mm(*index) for index in inside])
    volume = read_volume([study / f"{STEM}-recon.dcm"])
    wall = at(volume, places).mean()
    for shift in ((40.0, 0.0, 0.0), (-40.0, 0.0, 0.0), (0.0, 40.0, 0.0), (0.0, 0.0, 40.0)):
        assert wall > 1.5 * at(volume, places + np.array(shift)).mean()


def at(volume: Volume, places_mm: np.ndarray) -> np.ndarray:
    """Return a volume's values at these places, the nearest voxel's."""
    index = np.rint([volume.grid.index_of((x, y, z)) for x, y, z in places_mm]).astype(int)
    return np.asarray(volume.values[tuple(index.T)])


def test_the_truth_tells_patient_acquisition_registration_and_files(study: Path, patient: VirtualPatient) -> None:
    truth = json.loads((study / "truth" / f"{STEM}.json").read_text())
    assert truth["patient"]["seed"] == 700_000
    assert truth["patient"]["perfusion"]["tpd_percent"] == patient.truth.perfusion.tpd_percent
    assert truth["acquisition"]["camera"] == "discovery"
    assert truth["registration"] == {"translation_mm": [0, 0, 0], "rotation_deg": [0, 0, 0], "breath_mm": 0}
    assert all((study / name).is_file() for names in truth["files"].values() for name in names)
    tomo = dcmread(study / f"{STEM}-tomo.dcm")
    assert tomo.pixel_array.sum() == pytest.approx(truth["acquisition"]["total_counts"], rel=0.01)


def test_a_study_that_is_complete_is_left_alone_and_a_broken_one_comes_out_the_same_by_another_process(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, written_at = contents(study), (study / f"{STEM}-tomo.dcm").stat().st_mtime_ns
    assert simulate(study, "--map", *STRESS) == 0
    assert "1 of 1 studies lay there complete" in capsys.readouterr().err
    for lost in (f"{STEM}-ct/030.dcm", f"{STEM}-map.dcm", f"{STEM}-recon.dcm"):
        (study / lost).unlink()
    assert simulate(study, *ALL_KINDS, *STRESS) == 0
    assert contents(study) == before
    assert (study / f"{STEM}-tomo.dcm").stat().st_mtime_ns == written_at


def test_the_same_seed_gives_the_same_bytes_in_any_process_whatever_else_is_made(study: Path, tmp_path: Path) -> None:
    assert simulate(tmp_path, "--vendor-recon", *STRESS) == 0
    made = {name: file for name, file in contents(tmp_path).items() if name.endswith(".dcm")}
    assert set(made) == {f"{STEM}-tomo.dcm", f"{STEM}-recon.dcm"}
    assert made == {name: contents(study)[name] for name in made}


def test_stress_and_rest_are_made_and_dose_gates_and_heads_are_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path, "--dose", "0.25", "--gated", "--camera", "symbia", seed=8) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in paths] == [
        f"VIRTUAL-0008-0000-{state}-symbia-gated-dose-0.25-tomo.dcm" for state in ("stress", "rest")
    ]
    stress, rest = (dcmread(path) for path in paths)
    assert stress.StudyInstanceUID == rest.StudyInstanceUID
    assert stress.FrameOfReferenceUID != rest.FrameOfReferenceUID  # the patient got up in between
    for path, state in zip(paths, ("stress", "rest"), strict=True):
        read = read_acquisition(path)
        assert read.state.value == state
        assert read.projections is not None
        assert read.projections.counts.shape == (2, 8, 64, 64, 64)
        truth = json.loads((tmp_path / "truth" / path.name.replace("-tomo.dcm", ".json")).read_text())
        share = read.projections.photopeak_counts().sum() / truth["acquisition"]["total_counts"]
        assert share == pytest.approx(0.25, rel=0.01)
    assert stress.NumberOfDetectors == 2


def test_a_camera_whose_projections_only_its_vendor_can_use_sends_a_reconstruction_alone(tmp_path: Path) -> None:
    assert simulate(tmp_path, "--camera", "iq-spect", "--state", "rest") == 0
    (path,) = tmp_path.glob("*.dcm")
    assert read_header(path).content is InstanceContent.RECONSTRUCTION


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--camera", "box-brownie"), "there is no camera 'box-brownie'"),
        (("--camera", "iq-spect", "--gated"), "sends a reconstruction alone"),
        (("--dose", "0"), "--dose"),
        (("--state", "asleep"), "--state"),
        (("--cohort", "denoising", "--prone"), "its own states and positions"),
        (("--cohort", "everybody"), "--cohort"),
    ],
)
def test_what_cannot_be_simulated_ends_with_64(
    options: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path, *options) == 64
    assert words in " ".join(capsys.readouterr().err.split())
    assert contents(tmp_path) == {}
