"""`train mu-map`: from a folder of DICOM files with maps to weights with a card; nothing is reconstructed twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicomnode.cli.main import run
from dicomnode.cli.mu_map_folder import read_pairs
from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.camera import Camera, write_reconstruction, write_tomo, write_transmission
from dicomnode.objects.virtual_ct import write_ct
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import CardiacState
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.networks.weights import read_model
from pipelines.reconstruction.emission_images import emission_images
from pipelines.training.mu_map_data import write_pair
from tests.factories import NOON, changed, setting, without
from tests.pipelines.training.maps import a_pair, a_scan, tissues


def a_patient(number: int, frame: str = "1") -> VirtualStudy:
    return VirtualStudy(patient_id=f"VIRTUAL-{number}", frame_of_reference=frame)


def put(place: Path, name: str, content: bytes) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(content)


def put_scan(place: Path, number: int) -> None:
    """Write projections and transmission map of a patient."""
    projections, mu_map = a_scan(number)
    put(place, f"{number}-tomo.dcm", write_tomo(projections, a_patient(number), NOON))
    put(place, f"{number}-map.dcm", write_transmission(mu_map, projections, a_patient(number), NOON))


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A folder of pairs that were made before: two patients to learn from, one to choose, one for the figures."""
    for number, part in enumerate(("train", "train", "validation", "test")):
        pair = replace(a_pair(number, part), patient=f"VIRTUAL-{number}")
        write_pair(tmp_path / "data" / f"{number}.npz", pair)
    return tmp_path / "data"


def train(data: Path, out: Path, *options: str) -> int:
    return run(["train", "mu-map", "--data", str(data), "--out", str(out), "--epochs", "1", *options])


def train_one(data: Path, out: Path, *options: str) -> int:
    return train(data, out, "--members", "1", *options)


def test_projections_meet_the_map_of_their_frame_of_reference_in_the_patients_coordinates(tmp_path: Path) -> None:
    put_scan(tmp_path / "archive" / "validation", 0)
    found = read_pairs(tmp_path / "archive", tmp_path / "pairs")
    (pair,) = found.pairs
    assert found.virtual
    assert (pair.patient, pair.part) == ("VIRTUAL-0", "validation")
    made = a_pair(0)
    assert np.array_equal(pair.levels, made.levels)
    # written from the head down: the same place all the same
    low, high = (p.map_grid.index_of((40.0, -30.0, 32.0)).round().astype(int) for p in (pair, made))
    assert pair.mu_per_cm[tuple(low)] == pytest.approx(made.mu_per_cm[tuple(high)], abs=1e-3)
    assert np.abs(pair.mu_per_cm.astype(np.float64) - made.mu_per_cm[::-1]).max() < 1e-3


def test_what_was_made_once_is_not_made_again(tmp_path: Path) -> None:
    put_scan(tmp_path / "archive", 0)
    read_pairs(tmp_path / "archive", tmp_path / "archive" / "pairs")
    (kept,) = (tmp_path / "archive" / "pairs").iterdir()
    write_pair(kept, replace(a_pair(1), patient="kept"))
    (pair,) = read_pairs(tmp_path / "archive", tmp_path / "archive" / "pairs").pairs
    assert pair.patient == "kept"


def test_a_vendors_reconstruction_meets_a_ct_and_a_real_patients_name_is_not_kept(tmp_path: Path) -> None:
    projections, _ = a_scan(2)
    volume = emission_images(projections).levels[-1]
    study = VirtualStudy(patient_id="Miller 4711")
    put(tmp_path / "data", "recon.dcm", write_reconstruction(volume, projections, study, NOON))
    grid = VoxelGrid.axial((16, 44, 48), (16.0, 8.0, 8.0), (4.0, 8.0, 0.0))
    mu, _ = tissues(grid, 2)
    units = np.rint(1000 * (mu / 0.1538 - 1)).astype(np.float32)
    for number, file in enumerate(write_ct(Volume(units, grid, Unit.HOUNSFIELD), study, NOON)):
        put(tmp_path / "data" / "ct", f"{number}.dcm", file)
    found = read_pairs(tmp_path / "data", tmp_path / "pairs")
    (pair,) = found.pairs
    assert pair.levels.shape[:2] == (1, 1)
    assert float(pair.mu_per_cm.max()) == pytest.approx(0.155, abs=2e-3)
    assert "Miller" not in pair.patient
    assert not found.virtual


def test_what_can_not_be_learned_from_is_passed_over_with_its_reason(tmp_path: Path) -> None:
    projections, mu_map = a_scan(0)
    data = tmp_path / "data"
    put(data, "tomo.dcm", write_tomo(projections, a_patient(0), NOON))
    put(data, "map.dcm", write_transmission(mu_map, projections, a_patient(0, frame="2"), NOON))
    volume = emission_images(projections).levels[-1]
    corrected = Camera(corrected=("ATTN",))
    put(data, "corrected.dcm", write_reconstruction(volume, projections, a_patient(0, "2"), NOON, corrected))
    derived = setting(ImageType=["DERIVED", "PRIMARY", "TOMO", "EMISSION"])
    put(data, "derived.dcm", changed(write_tomo(projections, a_patient(0, "2"), NOON), derived))
    put(data, "notes.txt", b"no DICOM")
    with pytest.raises(StudyUnsuitable, match="found no acquisition with a CT or an attenuation map"):
        read_pairs(data, tmp_path / "pairs")
    write_pair(data / "made.npz", a_pair(1))
    reasons = "\n".join(read_pairs(data, tmp_path / "pairs").passed_over)
    assert "tomo.dcm: no CT or attenuation map in its frame of reference" in reasons
    assert "corrected.dcm: it is corrected for attenuation already" in reasons
    assert "derived.dcm: a derived image holds no counts" in reasons
    assert "notes.txt" in reasons


OURS = setting(Manufacturer="dicomnode", ManufacturerModelName="dicomnode")


def test_what_a_node_derived_is_no_truth_and_no_image_to_learn_from(tmp_path: Path) -> None:
    data = tmp_path / "data"
    projections, mu_map = a_scan(0)
    put(data, "tomo.dcm", write_tomo(projections, a_patient(0), NOON))
    put(data, "dlac-map.dcm", changed(write_transmission(mu_map, projections, a_patient(0), NOON), OURS))
    volume = emission_images(projections).levels[-1]
    put(data, "nac.dcm", changed(write_reconstruction(volume, projections, a_patient(0), NOON), OURS))
    with pytest.raises(StudyUnsuitable, match=r"2 files are what a dicomnode derived; the first of 1 files: tomo\.dcm"):
        read_pairs(data, tmp_path / "pairs")
    for number, part in enumerate(("train", "validation", "test")):
        write_pair(data / f"{number}.npz", a_pair(number, part))
    found = read_pairs(data, tmp_path / "pairs")
    assert (len(found.pairs), found.ours) == (3, 2)
    assert found.words == "3 pairs; 1 other files were passed over; 2 of what a dicomnode derived were left out"


def put_ct(place: Path, study: VirtualStudy, density: float, slices: int = 16) -> None:
    """Write a CT about a scan, its body of so many Hounsfield units."""
    grid = VoxelGrid.axial((slices, 44, 48), (16.0, 8.0, 8.0), (4.0, 8.0, 0.0))
    mu, _ = tissues(grid, 2)
    units = np.where(mu > 0.1, density, -1000.0).astype(np.float32)
    for number, file in enumerate(write_ct(Volume(units, grid, Unit.HOUNSFIELD), study, NOON)):
        put(place, f"{study.series_number}-{number}.dcm", file)


def test_of_several_maps_that_is_learned_from_which_the_node_would_correct_with(tmp_path: Path) -> None:
    projections, mu_map = a_scan(2)
    stress = replace(a_patient(2), state=CardiacState.STRESS)
    put(tmp_path / "data", "tomo.dcm", write_tomo(projections, stress, NOON))
    put(tmp_path / "data", "a-map.dcm", write_transmission(mu_map, projections, stress, NOON))
    of_rest = replace(stress, state=CardiacState.REST, series_description="CT for AC rest", series_number=3)
    for_heart = replace(stress, series_description="CT for AC stress", series_number=4)
    put_ct(tmp_path / "data", of_rest, 300.0, slices=18)
    put_ct(tmp_path / "data", for_heart, 100.0)
    (pair,) = read_pairs(tmp_path / "data", tmp_path / "pairs").pairs
    assert float(pair.mu_per_cm.max()) == pytest.approx(0.1538 + 1.09e-2, abs=2e-3)


def test_the_next_map_is_learned_from_where_the_best_can_not_be_read(tmp_path: Path) -> None:
    put_scan(tmp_path / "data", 2)
    study = replace(a_patient(2), series_number=3)
    put_ct(tmp_path / "data", study, 100.0)
    (tmp_path / "data" / "3-7.dcm").unlink()  # a gap
    (pair,) = read_pairs(tmp_path / "data", tmp_path / "pairs").pairs
    assert float(pair.mu_per_cm.max()) == pytest.approx(float(a_pair(2).mu_per_cm.max()), abs=1e-3)


def test_images_that_name_no_frame_of_reference_are_not_taken_for_registered(tmp_path: Path) -> None:
    projections, mu_map = a_scan(0)
    nameless = without("FrameOfReferenceUID")
    put(tmp_path / "data", "tomo.dcm", changed(write_tomo(projections, a_patient(0), NOON), nameless))
    put(tmp_path / "data", "map.dcm", changed(write_transmission(mu_map, projections, a_patient(0), NOON), nameless))
    with pytest.raises(StudyUnsuitable, match="it names no frame of reference"):
        read_pairs(tmp_path / "data", tmp_path / "pairs")


def test_a_folder_of_pairs_becomes_weights_with_a_card_and_the_same_command_goes_on(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    assert train(pairs, out) == 0
    told = capsys.readouterr()
    assert told.out == f"{out / 'mu-map.json'}\n"
    assert "4 pairs; 0 other files" in told.err
    card = read_model("mu-map", out).card
    assert card.members == 2, "as shipped: one network can't be asked whether it is sure"
    assert card.domain["patients"] == 2
    assert card.evidence == "virtual patients - not clinical evidence"
    assert {"NMAE", "NMAE without a scatter window"} <= set(card.figures)
    weights = (out / "mu-map.safetensors").read_bytes()
    assert len(weights) < 6_000_000
    assert train(pairs, out) == 0
    assert (out / "mu-map.safetensors").read_bytes() == weights
    assert train(pairs, out, "--seed", "1") == 65
    assert "other settings or other data" in capsys.readouterr().err


def test_the_papers_network_is_trained_in_a_size_that_a_cpu_can_do(pairs: Path, tmp_path: Path) -> None:
    assert train(pairs, tmp_path / "model", "--model", "paper-compact") == 0
    card = read_model("paper-mu-map", tmp_path / "model").card
    assert card.settings["size"] == "compact"
    assert card.figures["NMAE"] > 0.0


def test_too_few_patients_and_two_budgets_are_refused(
    tmp_path: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path / "few" / "one.npz", a_pair(0, "train"))
    assert train(tmp_path / "few", tmp_path / "model") == 65
    assert "add patients" in capsys.readouterr().err
    assert train(pairs, tmp_path / "model", "--minutes", "1") == 64


def test_a_training_goes_on_from_a_card_and_the_papers_network_does_not(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tmp_path / "first"
    assert train_one(pairs, first) == 0
    origin = read_model("mu-map", first).card
    assert train(pairs, tmp_path / "again", "--start-from", str(first / "mu-map.json")) == 0
    assert read_model("mu-map", tmp_path / "again").card.settings["started_from"] == origin.sha256
    assert train(pairs, tmp_path / "none", "--start-from", str(tmp_path / "data")) == 64
    assert "no such model card" in capsys.readouterr().err
    assert train(pairs, tmp_path / "none", "--start-from", str(first), "--model", "paper-compact") == 64
    assert "starts from chance" in capsys.readouterr().err


def test_held_out_patients_tell_the_thresholds_of_the_guard(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_scan(pairs / "test", 4)
    assert train_one(pairs, tmp_path / "model") == 0
    assert "runs of 1 held-out patients" in capsys.readouterr().err
    assert "body_outline.warn" in read_model("mu-map", tmp_path / "model").card.thresholds
