"""From DICOM projections to arrays, and what an acquisition says of patient, camera, windows and state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.virtual_study import VirtualStudy
from pipelines.contract import CardiacState, PatientSex
from tests.dicomnode.objects.acquisitions import both, detector, projections_of, read, rotation, set_elements
from tests.factories import Change, a_tomo, as_file, quick_dataset, setting, some_projections, without


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
        set_elements(ds.RadiopharmaceuticalInformationSequence[0], {"RadionuclideTotalDose": stated})

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
    "a multifocal one without a type": (
        detector(CollimatorType="", CollimatorGridName="SMARTZOOM"),
        "Collimator/Grid Name: found SMARTZOOM, whose holes are not parallel",
    ),
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
