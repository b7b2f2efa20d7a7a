"""A CT series -> a volume: ordered by position, in Hounsfield units, and refused where it does not fill its volume."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.ct import read_ct
from tests.dicomnode.objects.ct_series import a_ct, as_files
from tests.factories import Change, a_tomo, changed, setting, without


def each(change: Change) -> Callable[[int, bytes], bytes]:
    return lambda number, file: changed(file, change)


def only(spoiled: int, change: Change) -> Callable[[int, bytes], bytes]:
    return lambda number, file: changed(file, change) if number == spoiled else file


def moved(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Change:
    def change(ds: Dataset) -> None:
        here = np.array([float(value) for value in ds.ImagePositionPatient])
        ds.ImagePositionPatient = [str(round(value, 6)) for value in np.add(here, (x, y, z))]

    return change


def test_slices_are_ordered_by_position_whatever_their_names_and_numbers(tmp_path: Path) -> None:
    paths = as_files(tmp_path, change=each(setting(InstanceNumber=1, SliceLocation=0)))
    random.Random(2).shuffle(paths)
    back = read_ct(paths)
    assert np.array_equal(back.values, a_ct().values)
    assert back.grid.position_mm(5, 0, 0)[2] > back.grid.position_mm(0, 0, 0)[2]


def test_slope_and_intercept_turn_stored_values_into_hounsfield_units(tmp_path: Path) -> None:
    back = read_ct(as_files(tmp_path, change=each(setting(RescaleSlope="0.5", RescaleIntercept="-100"))))
    assert np.array_equal(back.values, (a_ct().values + 1024) * 0.5 - 100)


def test_padding_outside_the_reconstructed_circle_becomes_air(tmp_path: Path) -> None:
    back = read_ct(as_files(tmp_path, change=each(setting(RescaleIntercept="-2024"))))
    assert back.values.min() == -1024


def test_a_value_mapping_for_display_does_not_replace_the_rescale_slope(tmp_path: Path) -> None:
    def change(ds: Dataset) -> None:
        item = Dataset()
        item.RealWorldValueSlope, item.RealWorldValueIntercept = 7.0, 0.0
        ds.RealWorldValueMappingSequence = [item]

    assert np.array_equal(read_ct(as_files(tmp_path, change=each(change))).values, a_ct().values)


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_good_enough(tmp_path: Path) -> None:
    def rounded(ds: Dataset) -> None:
        ds.ImagePositionPatient = [f"{float(value):.1f}" for value in ds.ImagePositionPatient]

    back = read_ct(as_files(tmp_path, change=each(rounded)))
    assert back.grid.voxel_mm[0] == pytest.approx(5.0, abs=0.03)


UNSUITABLE = {
    "a doubled slice": (only(2, moved(z=5.0)), "two CT slices lie at the same place"),
    "a slice of another scan between": (only(2, moved(z=2.0)), "slices are missing or belong to another scan"),
    "a slice off the stack": (only(3, moved(x=8.0)), "003.dcm lies 8 mm off the straight stack"),
    "a tilted gantry": (
        lambda number, file: changed(changed(file, moved(y=0.8 * number)), setting(GantryDetectorTilt=9)),
        r"gantry tilted by 9.1 degrees \(Gantry/Detector Tilt says 9\)",
    ),
    "two series": (only(1, setting(SeriesInstanceUID="1.2.3")), "differ in SeriesInstanceUID"),
    "two sizes of pixel": (only(1, setting(PixelSpacing=["3", "3"])), "differ in PixelSpacing"),
    "two orientations": (
        only(1, setting(ImageOrientationPatient=["1", "0", "0", "0", "0", "-1"])), "differ in ImageOrientationPatient",
    ),
    "no position": (only(1, without("ImagePositionPatient")), r"Image Position \(Patient\) is missing"),
    "no orientation": (each(without("ImageOrientationPatient")), r"Image Orientation \(Patient\) of the CT"),
    "axes that are not perpendicular": (
        each(setting(ImageOrientationPatient=["1", "0", "0", "0.7", "0.7", "0"])), "two perpendicular directions",
    ),
    "no scale": (each(without("RescaleIntercept")), "Rescale Slope and Intercept are missing"),
    "a scale of zero": (each(setting(RescaleSlope="0")), "Rescale Slope and Intercept are missing"),
    "another unit": (each(setting(RescaleType="US")), "Rescale Type is US, expected HU"),
    "a scout view": (only(0, setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])), "expected an axial slice"),
    "another kind of image": (lambda number, file: a_tomo() if number == 4 else file, "found NM that is no CT Image"),
    "no DICOM": (lambda number, file: b"nothing" if number == 4 else file, "004.dcm can't be read as DICOM"),
    "no pixel size": (each(without("PixelSpacing")), "Pixel Spacing: found nothing"),
}  # fmt: skip


@pytest.mark.parametrize("flaw", UNSUITABLE)
def test_a_series_that_tells_no_volume_is_refused_in_words(flaw: str, tmp_path: Path) -> None:
    change, words = UNSUITABLE[flaw]
    with pytest.raises(StudyUnsuitable, match=words):
        read_ct(as_files(tmp_path, change=change))


def test_a_missing_slice_is_refused_and_its_place_is_told(tmp_path: Path) -> None:
    paths = as_files(tmp_path)
    with pytest.raises(StudyUnsuitable, match=r"are 10 mm, expected 5 mm as between the others"):
        read_ct(paths[:3] + paths[4:])


def test_a_single_slice_is_no_volume(tmp_path: Path) -> None:
    with pytest.raises(StudyUnsuitable, match="the CT has 1 slices"):
        read_ct(as_files(tmp_path)[:1])
