"""Derived NM images: what they claim to be, where their voxels lie, what a stored value is worth."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.header import read_header
from dicomnode.objects.reader import read_acquisition, read_volume
from dicomnode.objects.volume_image import value_mapping
from dicomnode.study import DerivedInstance, InstanceContent
from pipelines.contract import (
    Derived,
    DerivedKind,
    MapSource,
    PipelineInput,
    PipelineResult,
    Provenance,
)
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from tests.dicomnode.objects import spect_ct
from tests.dicomnode.objects.acquisitions import detector
from tests.dicomnode.objects.results import CONTEXT, GRID, a_result, a_volume, dataset, derive
from tests.dicomnode.objects.small_hearts import two_hearts
from tests.dicomnode.objects.validator import errors_in
from tests.factories import Change, a_tomo, changed, setting, without


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DerivedInstance]:
    """The derived instances of an ordinary virtual acquisition, made once for the tests that only look at them."""
    return derive(tmp_path_factory.mktemp("made"))


NO_NM_IMAGE = ("structured report", "report page")
KIND_OF = {
    "reconstruction": (InstanceContent.RECONSTRUCTION, ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"], 911),
    "attenuation-corrected reconstruction": (
        InstanceContent.RECONSTRUCTION, ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"], 912,
    ),
    "attenuation map": (InstanceContent.MU_MAP, ["DERIVED", "PRIMARY", "RECON TOMO", "TRANSMISSION"], 921),
    "denoised projections": (InstanceContent.PROJECTIONS, ["DERIVED", "PRIMARY", "TOMO", "EMISSION"], 901),
    "short axis": (InstanceContent.OTHER, ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"], 931),
    "attenuation-corrected short axis": (
        InstanceContent.OTHER, ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"], 932,
    ),
    "report page": (InstanceContent.OTHER, ["DERIVED", "SECONDARY"], 941),
}  # fmt: skip


def test_each_kind_is_filed_as_what_it_is(made: dict[str, DerivedInstance]) -> None:
    for kind, (content, image_type, number) in KIND_OF.items():
        instance = made[kind]
        ds = dataset(instance)
        assert read_header(instance.file_bytes).content is content
        assert list(ds.ImageType) == image_type
        assert ds.SeriesNumber == number


def test_only_attenuation_corrected_images_claim_the_correction(made: dict[str, DerivedInstance]) -> None:
    for kind in ("reconstruction", "short axis"):
        assert list(dataset(made[kind]).CorrectedImage) == ["UNIF", "COR"]
        assert list(dataset(made[f"attenuation-corrected {kind}"]).CorrectedImage) == ["UNIF", "COR", "ATTN"]
    assert "CorrectedImage" not in dataset(made["attenuation map"])  # the terms are of an emission's counts


def test_an_attenuation_map_says_which_quantity_it_holds_and_its_values_are_exact_to_the_step(
    made: dict[str, DerivedInstance], tmp_path: Path
) -> None:
    (mapping,) = dataset(made["attenuation map"]).RealWorldValueMappingSequence
    (quantity,) = mapping.QuantityDefinitionSequence
    assert quantity.ConceptCodeSequence[0].CodeValue == "112031"
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1e-4, 0.0)
    path = tmp_path / "map.dcm"
    path.write_bytes(made["attenuation map"].file_bytes)
    back = read_volume([path])
    assert np.abs(back.values - a_volume(Unit.PER_CM, 0.2).values).max() <= 0.501e-4
    assert back.grid == GRID or np.allclose(back.grid.matrix, GRID.matrix, atol=1e-6)


@pytest.mark.parametrize("place", [0, 1])
def test_a_short_axis_reads_back_where_the_ventricle_lies(
    place: int, made: dict[str, DerivedInstance], tmp_path: Path
) -> None:
    heart = two_hearts()[place]
    kind = ("short axis", "attenuation-corrected short axis")[place]
    path = tmp_path / "short_axis.dcm"
    path.write_bytes(made[kind].file_bytes)
    back = read_volume([path])
    assert np.allclose(back.grid.matrix, heart.short_axis.grid.matrix, atol=1e-4)
    assert np.abs(back.values - heart.short_axis.values).max() <= 0.501 * heart.short_axis.values.max() / 32767
    middle = (np.array(back.grid.shape) - 1) / 2
    apex = back.grid.index_of(heart.ventricle.apex_mm)  # z, y, x
    base = back.grid.index_of(heart.ventricle.base_mm)
    assert np.allclose([apex[1:], base[1:]], middle[1:], atol=1e-3)  # the long axis is the middle of all slices
    assert apex[0] < base[0]


def test_a_short_axis_says_what_it_shows(made: dict[str, DerivedInstance]) -> None:
    ds = dataset(made["short axis"])
    detector = ds.DetectorInformationSequence[0]
    along_row, along_column = np.reshape(detector.ImageOrientationPatient, (2, 3)).astype(float)
    assert np.abs(along_row).max() < 0.99  # oblique
    assert detector.ViewCodeSequence[0].CodeValue == "103340004"
    assert ds.SliceProgressionDirection == "APEX_TO_BASE"
    to_base = np.subtract(two_hearts()[0].ventricle.base_mm, two_hearts()[0].ventricle.apex_mm)
    assert np.cross(along_row, along_column) @ to_base * ds.SpacingBetweenSlices > 0
    assert [item.CodeValue for item in ds.DerivationCodeSequence] == ["113963", "113085"]
    assert ds.FrameOfReferenceUID == dcmread(BytesIO(a_tomo())).FrameOfReferenceUID


def test_nm_images_hold_what_the_validator_does_not_look_at(made: dict[str, DerivedInstance]) -> None:
    forbidden = ("RescaleSlope", "Units", "DecayCorrection", "PresentationIntentType", "ImagePositionPatient")
    for kind, instance in made.items():
        if kind in NO_NM_IMAGE:
            continue
        ds = dataset(instance)
        assert not [keyword for keyword in forbidden if keyword in ds], kind
        assert (ds.BitsAllocated, ds.BitsStored, ds.PixelRepresentation) == (16, 16, 0)
        assert ds.LargestImagePixelValue == ds.pixel_array.max() <= 32767
        assert len(ds.ImageType) == 4
        assert "PatientPosition" not in ds
        if "RECON TOMO" in ds.ImageType:
            assert ds.SpacingBetweenSlices


@pytest.mark.parametrize(
    "grid",
    [
        GRID,
        VoxelGrid((5, 8, 8), ((4, 0, 0, -10), (0, 4, 0, -20), (0, 0, -4, 90), (0, 0, 0, 1))),  # head first
        VoxelGrid((5, 8, 8), ((0, 4, 0, -10), (0, 0, 4, -20), (-3, 0, 0, 90), (0, 0, 0, 1))),  # axes exchanged
        VoxelGrid((5, 8, 8), ((2.4, -3.2, 0, 1), (3.2, 2.4, 0, 2), (0, 0, 5, 3), (0, 0, 0, 1))),  # oblique
    ],
)
def test_a_volume_reads_back_where_it_was(grid: VoxelGrid, tmp_path: Path) -> None:
    source = tmp_path / "source.dcm"
    source.write_bytes(a_tomo())
    volume = a_volume(grid=grid)
    result = PipelineResult((Derived(DerivedKind.RECONSTRUCTION, volume, "OSEM"),), Provenance("p", "1"))
    written = derived_instances([source], PipelineInput(read_acquisition(source)), result, CONTEXT)[0]
    assert errors_in(written.file_bytes, tmp_path) == []
    path = tmp_path / "recon.dcm"
    path.write_bytes(written.file_bytes)
    back = read_volume([path])
    assert np.allclose(back.grid.matrix, grid.matrix, atol=1e-5)
    assert np.abs(back.values - volume.values).max() <= 0.5 * volume.values.max() / 32767 * 1.001
    assert back.unit is Unit.PROPORTIONAL_COUNTS


def test_a_skewed_volume_is_refused(tmp_path: Path) -> None:
    grid = VoxelGrid((5, 8, 8), ((4, 1, 0, 0), (0, 4, 0, 0), (0, 0, 4, 0), (0, 0, 0, 1)))
    source = tmp_path / "source.dcm"
    source.write_bytes(a_tomo())
    result = PipelineResult((Derived(DerivedKind.RECONSTRUCTION, a_volume(grid=grid), "OSEM"),), Provenance("p", "1"))
    with pytest.raises(StudyUnsuitable, match="perpendicular"):
        derived_instances([source], PipelineInput(read_acquisition(source)), result, CONTEXT)


def test_an_empty_volume_is_written_as_zeros(tmp_path: Path) -> None:
    source = tmp_path / "source.dcm"
    source.write_bytes(a_tomo())
    empty = Volume(np.zeros(GRID.shape, np.float32), GRID, Unit.PROPORTIONAL_COUNTS)
    result = PipelineResult((Derived(DerivedKind.RECONSTRUCTION, empty, "OSEM"),), Provenance("p", "1"))
    made = derived_instances([source], PipelineInput(read_acquisition(source)), result, CONTEXT)
    assert dataset(made[0]).pixel_array.max() == 0


def test_an_attenuation_map_is_stored_in_ten_thousandths_per_cm(
    made: dict[str, DerivedInstance], tmp_path: Path
) -> None:
    instance = made["attenuation map"]
    mapping = dataset(instance).RealWorldValueMappingSequence[0]
    assert mapping.RealWorldValueSlope == pytest.approx(1e-4)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "/cm"
    path = tmp_path / "map.dcm"
    path.write_bytes(instance.file_bytes)
    back = read_volume([path])
    assert back.unit is Unit.PER_CM
    assert np.allclose(back.values, a_volume(Unit.PER_CM, 0.2).values, atol=5.1e-5)


@pytest.mark.parametrize("acquired", [{}, {"gates": 8, "windows": 2}])
@pytest.mark.parametrize("heads", [1, 2])
def test_denoised_projections_keep_the_frames_and_geometry_of_their_source(
    acquired: dict[str, Any], heads: int, tmp_path: Path
) -> None:
    made = derive(tmp_path, a_tomo(detectors=heads, **acquired), kinds=(DerivedKind.DENOISED_PROJECTIONS,))
    path = tmp_path / "denoised.dcm"
    path.write_bytes(made["denoised projections"].file_bytes)
    source, back = (read_acquisition(file).projections for file in (tmp_path / "source.dcm", path))
    assert source is not None
    assert back is not None
    assert back.geometry == source.geometry
    assert np.allclose(back.counts, source.counts, atol=0.5 * source.counts.max() / 32767)


def test_the_position_of_a_source_without_a_frame_of_reference_is_its_own(tmp_path: Path) -> None:
    made = derive(tmp_path, changed(a_tomo(), without("FrameOfReferenceUID")))
    frames = {dataset(instance).FrameOfReferenceUID for kind, instance in made.items() if kind not in NO_NM_IMAGE}
    assert len(frames) == 1
    source = dcmread(BytesIO(a_tomo()))
    kept = {dataset(i).FrameOfReferenceUID for kind, i in derive(tmp_path).items() if kind not in NO_NM_IMAGE}
    assert kept == {source.FrameOfReferenceUID}


def _retired_codes(ds: Dataset) -> None:
    posture = ds.PatientOrientationCodeSequence[0]
    posture.CodeValue, posture.CodingSchemeDesignator = "F-10450", "99SDM"
    modifier = posture.PatientOrientationModifierCodeSequence[0]
    modifier.CodeValue, modifier.CodingSchemeDesignator = "F-10310", "SRT"
    gantry = ds.PatientGantryRelationshipCodeSequence[0]
    gantry.CodeValue, gantry.CodingSchemeDesignator = "F-10470", "99SDM"


def test_retired_codes_of_posture_become_current_ones(tmp_path: Path) -> None:
    change: Change = _retired_codes
    ds = dataset(derive(tmp_path, changed(a_tomo(), change))["reconstruction"])
    posture = ds.PatientOrientationCodeSequence[0]
    codes = [posture, posture.PatientOrientationModifierCodeSequence[0], ds.PatientGantryRelationshipCodeSequence[0]]
    assert [(item.CodeValue, item.CodingSchemeDesignator) for item in codes] == [
        ("102538003", "SCT"), ("1240000", "SCT"), ("102540008", "SCT"),
    ]  # fmt: skip


def _given_a_drug(ds: Dataset) -> None:
    drug, nothing = Dataset(), Dataset()
    drug.InterventionDrugName, drug.InterventionDrugStartTime = "Regadenoson", "101500"
    drug.InterventionDrugCodeSequence = [Dataset()]  # an empty item, as cameras write it
    nothing.AdministrationRouteCodeSequence = [Dataset()]
    ds.InterventionDrugInformationSequence = [drug, nothing]


def test_the_drug_of_a_stress_test_goes_with_the_images(tmp_path: Path) -> None:
    for kind, instance in derive(tmp_path, changed(a_tomo(), _given_a_drug)).items():
        assert errors_in(instance.file_bytes, tmp_path) == [], kind
        if kind not in NO_NM_IMAGE:
            (drug,) = dataset(instance).InterventionDrugInformationSequence
            assert (drug.InterventionDrugName, drug.InterventionDrugStartTime) == ("Regadenoson", "101500")
            assert "InterventionDrugCodeSequence" not in drug


def test_a_reconstruction_names_its_algorithm_and_filter_and_each_image_its_last_step(tmp_path: Path) -> None:
    source = tmp_path / "source.dcm"
    source.write_bytes(a_tomo())
    settings = (
        ("Algorithm", "OSEM, 12 iterations x 5 subsets"), ("Post-filter", "Butterworth order 5, cut-off 0.3 cycles/cm"),
    )  # fmt: skip
    kinds = (DerivedKind.RECONSTRUCTION, DerivedKind.SHORT_AXIS, DerivedKind.MU_MAP)
    result = replace(a_result(*kinds), provenance=Provenance("p", "1", settings, map_source=MapSource.NETWORK))
    made = derived_instances([source], PipelineInput(read_acquisition(source)), result, CONTEXT)
    steps = {}
    for instance in made[: len(kinds)]:
        assert errors_in(instance.file_bytes, tmp_path) == []
        ds = dataset(instance)
        steps[instance.kind] = ds.ProcessingFunction
        if instance.kind == DerivedKind.MU_MAP.value:
            assert "ConvolutionKernel" not in ds
        else:
            assert list(ds.ConvolutionKernel) == ["OSEM", "Butterworth"]
    assert steps == {
        "reconstruction": "Iterative Reconstruction",
        "short axis": "Spatial resampling",
        "attenuation map": "Attenuation map estimated by a neural network",
    }


def test_a_cameras_own_reconstruction_keeps_the_kernel_that_it_names(tmp_path: Path) -> None:
    source = spect_ct.reconstruction(tmp_path, ConvolutionKernel="FBP")
    settings = (("Algorithm", "the vendor's reconstruction, as it was received"),)
    result = replace(a_result(DerivedKind.RECONSTRUCTION), provenance=Provenance("p", "1", settings))
    made = derived_instances([source], PipelineInput(read_acquisition(source)), result, CONTEXT)
    assert dataset(made[0]).ConvolutionKernel == "FBP"


@pytest.mark.parametrize("unit", list(Unit))
def test_every_unit_has_a_label_that_is_a_whole_word(unit: Unit) -> None:
    label = value_mapping(1.0, unit, 100).LUTLabel
    assert label in ("COUNTS", "PROPORTIONAL", "/cm", "HOUNSFIELD")


@pytest.mark.parametrize("position", [[0, -900, -300], [0, 0, 0], None])
def test_what_has_no_known_place_claims_no_frame_of_reference(position: list[float] | None, tmp_path: Path) -> None:
    spoiled = setting(PositionReferenceIndicator="SN")
    source = changed(a_tomo(change=detector(ImagePositionPatient=position)), spoiled)
    first, again = ({k: dataset(i) for k, i in derive(tmp_path, source).items() if k not in NO_NM_IMAGE} for _ in "12")
    frames = {ds.FrameOfReferenceUID for ds in (*first.values(), *again.values())}
    assert len(frames) == 1  # and the same each time
    assert frames != {dcmread(BytesIO(source)).FrameOfReferenceUID}
    assert not any(ds.PositionReferenceIndicator for ds in first.values())


@pytest.mark.parametrize("missing", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_a_cameras_volume_without_a_place_claims_no_frame_of_reference(missing: str, tmp_path: Path) -> None:
    source = spect_ct.reconstruction(tmp_path)
    stated = dcmread(source).FrameOfReferenceUID
    source.write_bytes(changed(source.read_bytes(), detector(**{missing: None})))
    acquisition = read_acquisition(source)
    assert not acquisition.position_known
    made = derived_instances([source], PipelineInput(acquisition), a_result(DerivedKind.RECONSTRUCTION), CONTEXT)
    assert dataset(made[0]).FrameOfReferenceUID != stated
