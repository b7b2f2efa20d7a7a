"""Virtual acquisitions as DICOM: sound by the standard, and read back as they were."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicomnode.objects.camera import Camera, write_reconstruction, write_tomo, write_transmission
from dicomnode.objects.header import read_header
from dicomnode.objects.reader import read_acquisition, read_volume
from dicomnode.objects.virtual_study import VirtualStudy
from dicomnode.study import InstanceContent
from pipelines.contract import CardiacState
from pipelines.geometry import AcquisitionGeometry, VoxelGrid
from pipelines.images import Projections, Unit, Volume
from tests.dicomnode.objects.validator import errors_in
from tests.factories import NOON, PHOTOPEAK, a_tomo, some_projections

KINDS = {
    "one head": (some_projections(), 1),
    "two heads": (some_projections(views=8, radius_mm=tuple(range(240, 248))), 2),
    "counterclockwise": (some_projections(start_deg=315.0, step_deg=3.0), 1),
    "off center": (some_projections(isocenter_mm=(4.0, -8.5, 120.25), pixel_size_mm=(4.0, 6.0)), 1),
    "two windows": (some_projections(windows=2), 1),
    "gated": (some_projections(gates=8), 1),
    "gated, two windows, two heads": (some_projections(gates=8, windows=2), 2),
    "radius unknown": (some_projections(radius_mm=None), 1),
    "a single view": (some_projections(views=1), 1),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_the_virtual_camera_writes_reads_back_the_same(name: str, tmp_path: Path) -> None:
    projections, heads = KINDS[name]
    path = tmp_path / "tomo.dcm"
    path.write_bytes(a_tomo(projections, detectors=heads))
    back = read_acquisition(path).projections
    assert back is not None
    assert np.array_equal(back.counts, projections.counts)
    assert back.windows == projections.windows
    assert back.photopeak == projections.photopeak
    assert back.view_time_s == projections.view_time_s
    read, written = back.geometry, projections.geometry
    assert read.angles_deg == pytest.approx(written.angles_deg, abs=1e-9)
    assert read.radius_mm == written.radius_mm
    assert read.pixel_size_mm == written.pixel_size_mm
    assert read.isocenter_mm == pytest.approx(written.isocenter_mm, abs=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_what_the_virtual_camera_writes_has_no_errors(name: str, tmp_path: Path) -> None:
    projections, heads = KINDS[name]
    study = VirtualStudy(state=CardiacState.STRESS)
    assert errors_in(a_tomo(projections, study, detectors=heads), tmp_path) == []


def test_gates_make_a_gated_tomo() -> None:
    for gates, kind in ((1, "TOMO"), (8, "GATED TOMO")):
        header = read_header(a_tomo(gates=gates))
        assert header.attributes["ImageType"] == ("ORIGINAL", "PRIMARY", kind, "EMISSION")
        assert header.content is InstanceContent.PROJECTIONS
        assert header.flaw is None


def test_a_virtual_acquisition_says_of_itself_that_no_real_person_stands_behind_it() -> None:
    ds = dcmread(BytesIO(a_tomo()))
    assert ds[0x0008001C].value == "YES"
    assert "Virtual" in str(ds.PatientName)


def test_the_same_acquisition_gives_the_same_bytes_and_another_dose_another_instance() -> None:
    one, again, other = a_tomo(seed=1), a_tomo(seed=1), a_tomo(seed=2)
    assert one == again
    headers = [read_header(file) for file in (one, other)]
    assert headers[0].study_instance_uid == headers[1].study_instance_uid
    assert headers[0].sop_instance_uid != headers[1].sop_instance_uid


def test_stress_and_rest_of_a_virtual_study_share_study_and_frame_of_reference_but_no_series() -> None:
    files = [a_tomo(study=VirtualStudy(series_description=text)) for text in ("stress", "rest")]
    stress, rest = (dcmread(BytesIO(file)) for file in files)
    assert stress.StudyInstanceUID == rest.StudyInstanceUID
    assert stress.FrameOfReferenceUID == rest.FrameOfReferenceUID
    assert stress.SeriesInstanceUID != rest.SeriesInstanceUID


def test_every_uid_is_one_of_our_own_names() -> None:
    header = read_header(a_tomo())
    for uid in (header.study_instance_uid, header.series_instance_uid, header.sop_instance_uid):
        assert uid.startswith("2.25.")
        assert len(uid) <= 64


@pytest.mark.parametrize("value", [0.5, -1.0, 70000.0])
def test_counts_that_no_camera_stores_are_refused(value: float) -> None:
    projections = some_projections()
    projections.counts[0, 0, 0, 0, 0] = value
    with pytest.raises(ValueError, match="whole numbers from 0 to 65535"):
        a_tomo(projections)


def test_uneven_steps_and_heads_that_share_unevenly_are_refused() -> None:
    geometry = AcquisitionGeometry((0.0, 3.0, 9.0), (4.0, 4.0), 2, 2)
    uneven = Projections(np.ones((1, 1, 3, 2, 2), np.float32), geometry, (PHOTOPEAK,))
    with pytest.raises(ValueError, match="equal steps"):
        write_tomo(uneven, VirtualStudy(), NOON)
    with pytest.raises(ValueError, match="can't be shared out"):
        write_tomo(uneven, VirtualStudy(), NOON, Camera(detectors=2))


VOLUME_GRID = VoxelGrid.axial((5, 6, 7), (4.0, 5.0, 6.0), (10.0, -20.0, 30.0))


def a_stack(unit: Unit, highest: float) -> Volume:
    values = np.random.default_rng(5).random(VOLUME_GRID.shape).astype(np.float32) * highest
    return Volume(values, VOLUME_GRID, unit)


@pytest.mark.parametrize("prone", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
def test_what_a_station_makes_of_projections_has_no_errors(heads: int, prone: bool, tmp_path: Path) -> None:
    projections, camera = some_projections(windows=2), Camera(heads)
    study = VirtualStudy(state=CardiacState.REST, prone=prone, injected_mbq=814.0)
    counts, mu = a_stack(Unit.PROPORTIONAL_COUNTS, 90.0), a_stack(Unit.PER_CM, 0.2)
    assert errors_in(write_reconstruction(counts, projections, study, NOON, camera), tmp_path) == []
    assert errors_in(write_transmission(mu, projections, study, NOON, camera), tmp_path) == []


@pytest.mark.parametrize(
    ("write", "unit", "highest", "step", "content", "shown"),
    [
        (write_reconstruction, Unit.PROPORTIONAL_COUNTS, 90.0, 90 / 32767, InstanceContent.RECONSTRUCTION, "EMISSION"),
        (write_transmission, Unit.PER_CM, 0.2, 1e-4, InstanceContent.MU_MAP, "TRANSMISSION"),
    ],
)
def test_a_stations_volume_reads_back_in_its_place(
    write: Callable[..., bytes], unit: Unit, highest: float, step: float, content: InstanceContent, shown: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    volume = a_stack(unit, highest)
    file = write(volume, some_projections(), VirtualStudy(state=CardiacState.REST), NOON)
    header = read_header(file)
    assert header.content is content
    assert header.attributes["ImageType"] == ("ORIGINAL", "PRIMARY", "RECON TOMO", shown)
    path = tmp_path / "volume.dcm"
    path.write_bytes(file)
    back = read_volume([path])
    assert back.unit is unit
    assert back.grid.position_mm(0, 0, 0) == pytest.approx(volume.grid.position_mm(4, 0, 0))  # head first
    assert back.grid.position_mm(4, 5, 6) == pytest.approx(volume.grid.position_mm(0, 5, 6))
    assert np.abs(back.values[::-1] - volume.values).max() <= step / 2 * 1.001


def test_a_transmission_map_must_be_in_inverse_centimeters() -> None:
    with pytest.raises(ValueError, match="in 1/cm"):
        write_transmission(a_stack(Unit.HOUNSFIELD, 40.0), some_projections(), VirtualStudy(), NOON)


def test_what_belongs_to_one_study_began_at_one_time() -> None:
    study = VirtualStudy(started=NOON)
    early, late = (
        dcmread(BytesIO(write_tomo(some_projections(), study, NOON + timedelta(hours=hours)))) for hours in (1, 4)
    )
    assert early.StudyTime == late.StudyTime == "120000"
    assert (early.SeriesTime, late.SeriesTime) == ("130000", "160000")
