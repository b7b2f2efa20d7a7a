"""From DICOM projections and reconstructions to arrays: every way in which cameras say where a view was taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import Acquisition, CardiacState, PatientSex
from pipelines.images import Projections
from tests.factories import a_tomo, as_file, quick_dataset, setting, some_projections, without

Change = Callable[[Dataset], None]


def read(file: bytes, folder: Path) -> Acquisition:
    path = folder / "acquisition.dcm"
    path.write_bytes(file)
    return read_acquisition(path)


def projections_of(file: bytes, folder: Path) -> Projections:
    projections = read(file, folder).projections
    assert projections is not None
    return projections


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("F", PatientSex.FEMALE), ("M", PatientSex.MALE), ("f ", PatientSex.FEMALE),
        ("O", PatientSex.UNKNOWN), ("", PatientSex.UNKNOWN), ("?", PatientSex.UNKNOWN),
    ],
)  # fmt: skip
def test_the_patients_sex_is_the_one_that_the_study_states(stated: str, expected: PatientSex, tmp_path: Path) -> None:
    assert read(a_tomo(change=setting(PatientSex=stated)), tmp_path).sex is expected


def activity(stated: str) -> Change:
    """Return a change of the injected activity."""

    def change(ds: Dataset) -> None:
        _set(ds.RadiopharmaceuticalInformationSequence[0], {"RadionuclideTotalDose": stated})

    return change


@pytest.mark.parametrize(("stated", "expected"), [("370.5", 370.5), ("0.000000", None), ("", None), ("-1", None)])
def test_the_injected_activity_is_in_mbq_and_zero_means_that_it_is_not_known(
    stated: str, expected: float | None, tmp_path: Path
) -> None:
    assert read(a_tomo(change=activity(stated)), tmp_path).injected_mbq == expected


def test_an_activity_that_nobody_is_given_is_read_in_bq_and_that_is_said(tmp_path: Path) -> None:
    acquisition = read(a_tomo(change=activity("370500000")), tmp_path)
    assert acquisition.injected_mbq == 370.5
    assert "Radionuclide Total Dose is 3.705e+08: taken as Bq, as PET images state it" in acquisition.assumptions


def test_camera_and_collimator_are_those_that_the_study_names(tmp_path: Path) -> None:
    acquisition = read(a_tomo(), tmp_path)
    assert (acquisition.camera_model, acquisition.collimator) == ("Virtual camera", "LEHR")
    silent = read(a_tomo(change=both(setting(ManufacturerModelName=None), detector(CollimatorGridName=None))), tmp_path)
    assert (silent.camera_model, silent.collimator) == ("", "")


def test_an_energy_window_that_is_not_stated_is_marked_as_assumed(tmp_path: Path) -> None:
    assert projections_of(a_tomo(), tmp_path).windows[0].stated
    bare = projections_of(a_tomo(change=setting(EnergyWindowInformationSequence=None)), tmp_path).windows[0]
    assert (bare.lower_kev, bare.upper_kev, bare.stated) == (126.45, 154.55, False)


def rotation(**elements: object) -> Change:
    """Return a change of the first rotation item; None deletes an element."""

    def change(ds: Dataset) -> None:
        _set(ds.RotationInformationSequence[0], elements)

    return change


def detector(number: int = 0, **elements: object) -> Change:
    """Return a change of one detector item; None deletes an element."""

    def change(ds: Dataset) -> None:
        _set(ds.DetectorInformationSequence[number], elements)

    return change


def _set(item: Dataset, elements: dict[str, object]) -> None:
    for keyword, value in elements.items():
        if value is None:
            del item[keyword]
        else:
            setattr(item, keyword, value)


def both(*changes: Change) -> Change:
    def change(ds: Dataset) -> None:
        for one in changes:
            one(ds)

    return change


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


def test_frames_in_any_order_come_out_the_same_by_their_vectors(tmp_path: Path) -> None:
    vectors = [
        "EnergyWindowVector", "DetectorVector", "RotationVector", "RRIntervalVector", "TimeSlotVector",
        "AngularViewVector",
    ]  # fmt: skip

    def shuffle(ds: Dataset) -> None:
        order = np.random.default_rng(3).permutation(int(ds.NumberOfFrames))
        for keyword in vectors:
            setattr(ds, keyword, [int(ds[keyword].value[k]) for k in order])
        ds.PixelData = ds.pixel_array[order].tobytes()

    straight = some_projections(views=6, gates=4, windows=2)
    shuffled = projections_of(a_tomo(straight, detectors=2, change=shuffle), tmp_path)
    assert np.array_equal(shuffled.counts, straight.counts)


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


def test_rescale_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    straight = some_projections()
    scaled = projections_of(a_tomo(straight, change=setting(RescaleSlope="0.5", RescaleIntercept="2")), tmp_path)
    assert np.array_equal(scaled.counts, straight.counts * 0.5 + 2)


def test_a_real_world_value_mapping_wins_over_rescale_slope(tmp_path: Path) -> None:
    mapping = Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 0.1, 0.0
    straight = some_projections()
    file = a_tomo(straight, change=setting(RescaleSlope="7", RealWorldValueMappingSequence=[mapping]))
    assert np.allclose(projections_of(file, tmp_path).counts, straight.counts * 0.1)


def test_counts_below_zero_become_zero_and_are_reported(tmp_path: Path) -> None:
    def negative(ds: Dataset) -> None:
        ds.PixelRepresentation = 1
        pixels = ds.pixel_array.astype("<i2")
        pixels[0, 0, :3] = -5
        ds.PixelData = pixels.tobytes()

    acquisition = read(a_tomo(change=negative), tmp_path)
    assert acquisition.projections is not None
    assert acquisition.projections.counts.min() == 0
    assert "3 pixels below zero were set to zero" in acquisition.assumptions


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


@pytest.mark.parametrize("windows", [[(110, 124), (126, 154)], [(126, 154), (110, 124)]])
def test_the_photopeak_is_the_window_that_holds_140_5_kev(windows: list[tuple[int, int]], tmp_path: Path) -> None:
    def change(ds: Dataset) -> None:
        for item, (lower, upper) in zip(ds.EnergyWindowInformationSequence, windows, strict=True):
            item.EnergyWindowRangeSequence[0].EnergyWindowLowerLimit = lower
            item.EnergyWindowRangeSequence[0].EnergyWindowUpperLimit = upper

    straight = some_projections(windows=2)
    projections = projections_of(a_tomo(straight, change=change), tmp_path)
    assert projections.photopeak == windows.index((126, 154))
    assert np.array_equal(projections.photopeak_counts(), straight.counts[projections.photopeak])


def test_of_several_ranges_the_one_that_holds_the_photopeak_is_the_window(tmp_path: Path) -> None:
    def two_ranges(ds: Dataset) -> None:
        other = Dataset()
        other.EnergyWindowLowerLimit, other.EnergyWindowUpperLimit = 60, 80
        ds.EnergyWindowInformationSequence[0].EnergyWindowRangeSequence.insert(0, other)

    window = projections_of(a_tomo(change=two_ranges), tmp_path).windows[0]
    assert (window.lower_kev, window.upper_kev) == (126.45, 154.55)


def test_the_only_window_is_the_photopeak_even_of_another_nuclide_but_that_is_said(tmp_path: Path) -> None:
    def thallium(ds: Dataset) -> None:
        limits = ds.EnergyWindowInformationSequence[0].EnergyWindowRangeSequence[0]
        limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = 63, 78

    acquisition = read(a_tomo(change=thallium), tmp_path)
    assert any("63-78 keV, does not hold 140.5 keV" in sentence for sentence in acquisition.assumptions)


@pytest.mark.parametrize(
    ("study", "change", "state"),
    [
        (VirtualStudy(state=CardiacState.STRESS), setting(), CardiacState.STRESS),
        (VirtualStudy(state=CardiacState.REST), setting(), CardiacState.REST),
        (VirtualStudy(state=CardiacState.REST, series_description="STRESS"), setting(), CardiacState.REST),
        (VirtualStudy(series_description="MIBI Stress 2"), setting(), CardiacState.STRESS),
        (VirtualStudy(), setting(ImageID="REST_TOMO"), CardiacState.REST),
        (VirtualStudy(series_description="Rest/Stress"), setting(), CardiacState.UNKNOWN),
        (VirtualStudy(), setting(), CardiacState.UNKNOWN),
    ],
)
def test_stress_and_rest_are_told_by_code_and_else_by_words(
    study: VirtualStudy, change: Change, state: CardiacState, tmp_path: Path
) -> None:
    assert read(a_tomo(study=study, change=change), tmp_path).state is state


UNSUITABLE: dict[str, tuple[Change, str]] = {
    "no direction": (rotation(RotationDirection=None), "Rotation Direction: found nothing, expected CW or CC"),
    "no start angle": (rotation(StartAngle=None), "Start Angle: found none"),
    "no step": (rotation(AngularStep=None, ScanArc=None), "Angular Step: found none"),
    "a step that is no number": (rotation(AngularStep="nan", ScanArc=None), "Angular Step: found none"),
    "a fan beam": (detector(CollimatorType="FANB"), "Collimator Type: found FANB, expected PARA"),
    "a pinhole": (detector(CollimatorType="PINH"), "Collimator Type: found PINH, expected PARA"),
    "no rotations": (without("RotationInformationSequence"), "Rotation Information Sequence has 0 items, expected 1"),
    "a frame twice": (setting(AngularViewVector=[1, 2, 3, 4, 5, 5]), "two frames claim"),
    "another kind": (
        setting(ImageType=["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]),
        "Image Type value 3: found STATIC",
    ),
    "no counts": (setting(PixelData=bytes(6 * 5 * 8 * 2)), "hold no counts at all"),
    "too many pixels": (setting(Rows=60000, Columns=60000), "the image claims 21600000000 pixels"),
    "color": (setting(SamplesPerPixel=3), "the image is in color"),
    "cut pixels": (setting(PixelData=bytes(10)), "the pixels can't be decoded"),
}


@pytest.mark.parametrize("name", UNSUITABLE)
@pytest.mark.filterwarnings("ignore")
def test_what_can_not_be_guessed_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    change, words = UNSUITABLE[name]
    with pytest.raises(StudyUnsuitable) as refused:
        read(a_tomo(change=change), tmp_path)
    assert words in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"no dicom", as_file(quick_dataset())])
def test_a_file_that_is_no_acquisition_is_unsuitable(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(StudyUnsuitable):
        read(content, tmp_path)
