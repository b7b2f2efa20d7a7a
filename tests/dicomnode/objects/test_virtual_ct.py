"""The CT of a virtual study: sound by the standard, exact, and in the camera's coordinates."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicomnode.objects.ct import read_ct
from dicomnode.objects.header import read_header
from dicomnode.objects.virtual_ct import write_ct
from dicomnode.objects.virtual_study import VirtualStudy
from dicomnode.study import InstanceContent
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit
from tests.dicomnode.objects.ct_series import a_ct, as_files
from tests.dicomnode.objects.validator import errors_in
from tests.factories import NOON, a_tomo

WHOLE = VirtualStudy(prone=True, age_years=61, height_m=1.7, weight_kg=70.25, injected_mbq=800.0)
FILES = write_ct(a_ct(), WHOLE, NOON)


def test_each_slice_is_a_ct_image_without_errors(tmp_path: Path) -> None:
    assert len(FILES) == 6
    for file in FILES:
        assert read_header(file).content is InstanceContent.CT
        assert errors_in(file, tmp_path) == []


def test_it_reads_back_exactly_in_value_and_position(tmp_path: Path) -> None:
    ct = a_ct()
    back = read_ct(as_files(tmp_path, ct))
    assert np.array_equal(back.values, ct.values)
    assert back.unit is Unit.HOUNSFIELD
    assert np.allclose(back.grid.matrix, ct.grid.matrix, rtol=0, atol=1e-9)


def test_an_oblique_grid_reads_back_in_its_place(tmp_path: Path) -> None:
    angle = np.radians(20.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn @ np.diag([2.0, 2.5, -5.0]), (1.0, 2.0, 3.0)
    grid = VoxelGrid((6, 7, 9), tuple(tuple(float(v) for v in row) for row in affine))  # type: ignore[arg-type]
    ct = a_ct(grid)
    back = read_ct(as_files(tmp_path, ct))
    for index in ((0, 0, 0), (5, 6, 8), (2, 1, 3)):
        there = np.rint(back.grid.index_of(tuple(grid.position_mm(*index)))).astype(int)
        assert back.grid.position_mm(*there) == pytest.approx(grid.position_mm(*index), abs=1e-6)
        assert back.values[tuple(there)] == ct.values[index]


def test_slices_run_from_head_to_feet_and_share_a_series() -> None:
    slices = [dcmread(BytesIO(file)) for file in FILES]
    heights = [float(ds.ImagePositionPatient[2]) for ds in slices]
    assert heights == sorted(heights, reverse=True)
    assert [ds.InstanceNumber for ds in slices] == [1, 2, 3, 4, 5, 6]
    assert len({ds.SeriesInstanceUID for ds in slices}) == 1
    assert len({ds.SOPInstanceUID for ds in slices}) == 6


def test_ct_and_projections_of_a_study_share_study_and_frame_of_reference() -> None:
    ct, tomo = dcmread(BytesIO(write_ct(a_ct(), VirtualStudy(), NOON)[0])), dcmread(BytesIO(a_tomo()))
    assert ct.FrameOfReferenceUID == tomo.FrameOfReferenceUID
    assert ct.StudyInstanceUID == tomo.StudyInstanceUID
    assert ct.SeriesInstanceUID != tomo.SeriesInstanceUID


def test_each_slice_says_that_no_real_person_stands_behind_it_and_how_the_patient_lay() -> None:
    for file in FILES:
        ds = dcmread(BytesIO(file))
        assert ds[0x0008001C].value == "YES"
        assert "Virtual" in str(ds.PatientName)
        assert (ds.PatientPosition, ds.PatientAge, ds.PatientWeight) == ("FFP", "061Y", 70.2)


def test_the_same_ct_gives_the_same_bytes_and_another_one_other_instances() -> None:
    assert write_ct(a_ct(), WHOLE, NOON) == FILES
    ct = a_ct()
    ct.values[0, 1, 1] = 7.0 if ct.values[0, 1, 1] != 7.0 else 8.0
    uids = {read_header(file).sop_instance_uid for file in (*FILES, *write_ct(ct, WHOLE, NOON))}
    assert len(uids) == 12


@pytest.mark.parametrize("value", [0.5, -1025.0, 3072.0])
def test_values_that_no_scanner_stores_are_refused(value: float) -> None:
    ct = a_ct()
    ct.values[0, 0, 0] = value
    with pytest.raises(ValueError, match="whole numbers from -1024 to 3071"):
        write_ct(ct, VirtualStudy(), NOON)


def test_what_is_not_in_hounsfield_units_is_refused() -> None:
    with pytest.raises(ValueError, match="not in /cm"):
        write_ct(replace(a_ct(), unit=Unit.PER_CM), VirtualStudy(), NOON)
