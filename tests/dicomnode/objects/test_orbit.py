"""Where the camera stood at each view: every way in which cameras say it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from tests.dicomnode.objects.acquisitions import both, detector, projections_of, read, rotation
from tests.factories import a_tomo, setting, some_projections, without


def angles(file: bytes, folder: Path) -> list[float]:
    return [round(angle, 6) for angle in projections_of(file, folder).geometry.angles_deg]


def test_a_clockwise_rotation_goes_down_and_wraps_at_zero(tmp_path: Path) -> None:
    assert angles(a_tomo(views=4, start_deg=10.0, step_deg=-6.0), tmp_path) == [10, 4, 358, 352]


@pytest.mark.parametrize("word", ["CC", "CCW", "cc"])
def test_a_counterclockwise_rotation_goes_up_whichever_way_it_is_written(word: str, tmp_path: Path) -> None:
    file = a_tomo(views=3, start_deg=350.0, step_deg=-6.0, change=rotation(RotationDirection=word))
    assert angles(file, tmp_path) == [350, 356, 2]


def test_a_negative_angular_step_counts_by_its_size_and_is_reported(tmp_path: Path) -> None:
    acquisition = read(a_tomo(views=3, change=rotation(AngularStep="-6")), tmp_path)
    assert acquisition.projections is not None
    assert acquisition.projections.geometry.angles_deg == pytest.approx((225, 219, 213))
    assert any("Angular Step -6 is negative" in sentence for sentence in acquisition.assumptions)


def test_a_negative_start_angle_is_the_same_as_one_a_turn_later(tmp_path: Path) -> None:
    assert angles(a_tomo(views=2, change=rotation(StartAngle="-134.56")), tmp_path) == [225.44, 219.44]


def test_without_a_step_the_arc_is_divided_by_the_views(tmp_path: Path) -> None:
    file = a_tomo(views=6, change=rotation(AngularStep=None, ScanArc="180"))
    assert angles(file, tmp_path)[:3] == [225, 195, 165]


def test_two_heads_stand_where_each_detector_item_says(tmp_path: Path) -> None:
    file = a_tomo(some_projections(views=6, step_deg=-30.0), detectors=2)
    assert angles(file, tmp_path) == [225, 195, 165, 135, 105, 75]


def test_two_heads_with_one_start_angle_are_told_apart_by_their_orientation(tmp_path: Path) -> None:
    file = a_tomo(
        some_projections(views=6, step_deg=-30.0),
        detectors=2,
        change=both(detector(0, StartAngle=None), detector(1, StartAngle=None)),
    )
    assert angles(file, tmp_path) == [225, 195, 165, 135, 105, 75]


def test_two_heads_that_nothing_tells_apart_are_not_put_on_top_of_each_other(tmp_path: Path) -> None:
    unknown = both(
        *(detector(k, StartAngle=None, ImageOrientationPatient=None, ImagePositionPatient=None) for k in (0, 1))
    )
    with pytest.raises(StudyUnsuitable, match="Start Angle: found 0 for 2 detectors, expected one per item"):
        read(a_tomo(views=6, detectors=2, change=unknown), tmp_path)


def test_two_rotations_of_one_head_are_merged_each_from_its_own_start(tmp_path: Path) -> None:
    def second_rotation(ds: Dataset) -> None:
        first = ds.RotationInformationSequence[0]
        later = Dataset()
        later.update(first)
        later.StartAngle, first.NumberOfFramesInRotation, later.NumberOfFramesInRotation = "90", 3, 3
        ds.RotationInformationSequence = [first, later]
        ds.NumberOfRotations, ds.RotationVector = 2, [1, 1, 1, 2, 2, 2]
        ds.AngularViewVector = [1, 2, 3, 1, 2, 3]

    assert angles(a_tomo(views=6, change=second_rotation), tmp_path) == [225, 219, 213, 90, 84, 78]


def test_a_start_angle_in_the_detector_item_serves_where_the_rotation_has_none(tmp_path: Path) -> None:
    file = a_tomo(views=2, change=both(rotation(StartAngle=None), detector(StartAngle="45")))
    assert angles(file, tmp_path) == [45, 39]


def test_the_rotations_start_angle_wins_for_a_single_head(tmp_path: Path) -> None:
    assert angles(a_tomo(views=2, change=detector(StartAngle="45")), tmp_path) == [225, 219]


def test_a_radius_per_view_goes_to_its_view(tmp_path: Path) -> None:
    radii = (250.0, 252.5, 255.0, 251.0)
    assert projections_of(a_tomo(views=4, radius_mm=radii), tmp_path).geometry.radius_mm == radii
    assert projections_of(a_tomo(views=4, radius_mm=radii, detectors=2), tmp_path).geometry.radius_mm == radii


def test_radii_of_two_heads_in_the_rotation_item_are_shared_out(tmp_path: Path) -> None:
    change = both(
        detector(0, RadialPosition=None), detector(1, RadialPosition=None), rotation(RadialPosition=[1, 2, 3, 4])
    )
    assert projections_of(a_tomo(views=4, detectors=2, change=change), tmp_path).geometry.radius_mm == (1, 2, 3, 4)


@pytest.mark.parametrize("radii", [None, "0", ["250", "251"]])
def test_a_radius_that_is_not_known_stays_unknown_and_is_reported(radii: object, tmp_path: Path) -> None:
    acquisition = read(a_tomo(views=6, change=rotation(RadialPosition=radii)), tmp_path)
    assert acquisition.projections is not None
    assert acquisition.projections.geometry.radius_mm is None
    assert any("radius of rotation is unknown" in sentence for sentence in acquisition.assumptions)


def test_pixel_spacing_is_row_then_column(tmp_path: Path) -> None:
    file = a_tomo(change=setting(PixelSpacing=["4", "6"]))
    assert projections_of(file, tmp_path).geometry.pixel_size_mm == (4, 6)


@pytest.mark.parametrize("spacing", [["nan", "4"], ["-4", "4"], ["1e300", "4"], ["4"], None])
def test_a_pixel_spacing_that_is_none_makes_the_study_unsuitable(spacing: object, tmp_path: Path) -> None:
    change = without("PixelSpacing") if spacing is None else setting(PixelSpacing=spacing)
    with pytest.raises(StudyUnsuitable, match=r"Pixel Spacing: found .*, expected"):
        read(a_tomo(change=change), tmp_path)


@pytest.mark.parametrize(("flip_rows", "flip_columns"), [(True, False), (False, True), (True, True)])
def test_images_that_lie_the_other_way_are_turned_over(flip_rows: bool, flip_columns: bool, tmp_path: Path) -> None:
    def mirror(ds: Dataset) -> None:
        item = ds.DetectorInformationSequence[0]
        row, column = np.array(item.ImageOrientationPatient[:3]), np.array(item.ImageOrientationPatient[3:])
        row, column = (-row if flip_columns else row), (-column if flip_rows else column)
        item.ImageOrientationPatient = [f"{value:.6f}" for value in (*row, *column)]
        ds.PixelData = ds.pixel_array[:, :: -1 if flip_rows else 1, :: -1 if flip_columns else 1].tobytes()

    straight = some_projections()
    assert np.array_equal(projections_of(a_tomo(straight, change=mirror), tmp_path).counts, straight.counts)


def test_an_orientation_that_contradicts_the_angle_is_ignored_and_reported(tmp_path: Path) -> None:
    straight = some_projections()
    acquisition = read(a_tomo(straight, change=detector(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])), tmp_path)
    assert acquisition.projections is not None
    assert np.array_equal(acquisition.projections.counts, straight.counts)
    assert any("doesn't fit Start Angle" in sentence for sentence in acquisition.assumptions)


def test_the_axis_is_found_from_the_corner_of_a_cube(tmp_path: Path) -> None:
    geometry = projections_of(a_tomo(isocenter_mm=(3.0, -7.0, 42.0)), tmp_path).geometry
    assert geometry.isocenter_mm == pytest.approx((3, -7, 42))


def test_the_axis_is_found_from_the_first_pixel_of_the_first_view(tmp_path: Path) -> None:
    def literal(ds: Dataset) -> None:
        view = some_projections().geometry
        angle = np.radians(view.angles_deg[0])
        face = np.array([3.0, -7.0, 42.0]) + 250 * np.array([np.sin(angle), np.cos(angle), 0])
        along_row = np.array([-np.cos(angle), np.sin(angle), 0])
        corner = face - along_row * 3.5 * 6.4 + np.array([0, 0, 2 * 6.4])
        ds.DetectorInformationSequence[0].ImagePositionPatient = [f"{value:.6f}" for value in corner]

    geometry = projections_of(a_tomo(change=literal), tmp_path).geometry
    assert geometry.isocenter_mm == pytest.approx((3, -7, 42), abs=1e-4)


@pytest.mark.parametrize("position", [[0, 0, 0], None])
def test_without_a_position_the_axis_goes_through_the_origin_and_that_is_said(position: object, tmp_path: Path) -> None:
    acquisition = read(a_tomo(change=detector(ImagePositionPatient=position)), tmp_path)
    assert acquisition.projections is not None
    assert acquisition.projections.geometry.isocenter_mm == pytest.approx((0, 0, 0))
    assert any("axis of rotation was put at the origin" in sentence for sentence in acquisition.assumptions)


def test_a_center_of_rotation_offset_counts_only_while_it_is_not_corrected(tmp_path: Path) -> None:
    offset = detector(CenterOfRotationOffset="1.5")
    corrected = projections_of(a_tomo(change=both(offset, setting(CorrectedImage=["COR"]))), tmp_path)
    raw = projections_of(a_tomo(change=both(offset, setting(CorrectedImage=["UNIF"]))), tmp_path)
    assert corrected.geometry.center_of_rotation_offset_mm == 0
    assert raw.geometry.center_of_rotation_offset_mm == 1.5
