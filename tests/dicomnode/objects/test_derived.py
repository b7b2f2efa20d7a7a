"""From a pipeline's result to derived instances: identity kept, UIDs a function of the input, sound by the standard."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.camera import VirtualStudy
from dicomnode.objects.derivation import DerivationContext, derivation_key, read_sources
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.header import read_header
from dicomnode.objects.reader import read_acquisition, read_volume
from dicomnode.study import DerivedInstance, InstanceContent
from pipelines.contract import (
    CardiacState,
    Derived,
    DerivedKind,
    Finding,
    PipelineInput,
    PipelineResult,
    Provenance,
    Verdict,
)
from pipelines.geometry import VoxelGrid
from pipelines.images import Projections, Unit, Volume
from tests.dicomnode.objects.validator import errors_in
from tests.factories import NOON, Change, a_tomo, changed, setting, without

CONTEXT = DerivationContext("attenuation_correction", "1.2", "0.1.0", {"iterations": 4, "subsets": 8}, NOON)
GRID = VoxelGrid.axial((5, 8, 8), (6.4, 6.0, 5.0), (10.0, -20.0, 30.0))


def a_volume(unit: Unit = Unit.PROPORTIONAL_COUNTS, highest: float = 7.5, grid: VoxelGrid = GRID) -> Volume:
    values = np.random.default_rng(5).random(grid.shape).astype(np.float32) * highest
    return Volume(values, grid, unit)


def a_result(*kinds: DerivedKind, projections: Projections | None = None) -> PipelineResult:
    """Return a result with these kinds of images."""
    data: Mapping[DerivedKind, Projections | Volume | None] = {
        DerivedKind.RECONSTRUCTION: a_volume(),
        DerivedKind.CORRECTED_RECONSTRUCTION: a_volume(highest=30.0),
        DerivedKind.MU_MAP: a_volume(Unit.PER_CM, 0.2),
        DerivedKind.DENOISED_PROJECTIONS: projections,
    }
    derived = tuple(Derived(kind, shown, f"{kind.value}, 140.5 keV") for kind in kinds if (shown := data[kind]))
    provenance = Provenance(
        "attenuation_correction", "1.2", (("iterations", "4"), ("cutoff", "0.5 /cm")), ("water is 0.15 /cm",), ("ATTN",)
    )
    return PipelineResult(derived, provenance, (Finding(Verdict.PASS, "counts agree to 0.02 %"),))


ALL = tuple(DerivedKind)


def derive(
    folder: Path,
    source: bytes | None = None,
    kinds: tuple[DerivedKind, ...] = ALL,
    context: DerivationContext = CONTEXT,
) -> dict[str, DerivedInstance]:
    """Return the derived instances of a source by their kind."""
    path = folder / "source.dcm"
    path.write_bytes(source if source is not None else a_tomo(study=VirtualStudy(state=CardiacState.STRESS)))
    acquisition = read_acquisition(path)
    result = a_result(*kinds, projections=acquisition.projections)
    made = derived_instances([path], PipelineInput(acquisition), result, context)
    return {instance.kind: instance for instance in made}


def dataset(instance: DerivedInstance) -> Dataset:
    return dcmread(BytesIO(instance.file_bytes))


def uids(made: dict[str, DerivedInstance]) -> list[str]:
    return [instance.sop_instance_uid for instance in made.values()]


def test_each_image_is_written_and_the_report_page_comes_last(tmp_path: Path) -> None:
    assert list(derive(tmp_path)) == [*(kind.value for kind in ALL), "report page"]


@pytest.mark.parametrize("acquired", [{}, {"gates": 8}, {"windows": 2, "detectors": 2}, {"radius_mm": None}])
def test_no_derived_instance_has_an_error(acquired: dict[str, object], tmp_path: Path) -> None:
    detectors = int(str(acquired.pop("detectors", 1)))
    source = a_tomo(study=VirtualStudy(state=CardiacState.REST), detectors=detectors, **acquired)
    for kind, instance in derive(tmp_path, source).items():
        assert errors_in(instance.file_bytes, tmp_path) == [], kind
        header = read_header(instance.file_bytes)
        assert (header.sop_instance_uid, header.sop_class_uid) == (instance.sop_instance_uid, instance.sop_class_uid)
        assert header.flaw is None


def test_the_same_input_gives_the_same_uids_and_pixels_at_any_time(tmp_path: Path) -> None:
    first = derive(tmp_path)
    later = derive(tmp_path, context=replace(CONTEXT, now=NOON + timedelta(days=3)))
    assert uids(first) == uids(later)
    for kind, instance in first.items():
        assert dataset(instance).PixelData == dataset(later[kind]).PixelData, kind


def test_the_same_input_at_the_same_time_gives_the_same_bytes(tmp_path: Path) -> None:
    assert derive(tmp_path) == derive(tmp_path)


@pytest.mark.parametrize(
    "changed_part",
    [
        {"pipeline": "denoising"},
        {"pipeline_version": "1.3"},
        {"node_version": "0.2.0"},
        {"options": {"iterations": 5, "subsets": 8}},
        {"options": {}},
    ],
)
def test_any_change_of_the_run_gives_other_uids(changed_part: dict[str, object], tmp_path: Path) -> None:
    before = derive(tmp_path)
    after = derive(tmp_path, context=replace(CONTEXT, **changed_part))  # type: ignore[arg-type]
    assert not set(uids(before)) & set(uids(after))


def test_another_source_gives_other_uids(tmp_path: Path) -> None:
    assert not set(uids(derive(tmp_path))) & set(uids(derive(tmp_path, a_tomo(seed=9))))


def test_the_order_of_sources_and_options_does_not_matter() -> None:
    other = replace(CONTEXT, options={"subsets": 8, "iterations": 4})
    assert derivation_key(["1.2", "1.3"], CONTEXT, "x") == derivation_key(["1.3", "1.2"], other, "x")


def test_all_uids_are_distinct_and_each_instance_has_a_series_of_its_own(tmp_path: Path) -> None:
    made = derive(tmp_path).values()
    series = {instance.series_instance_uid for instance in made}
    instances = {instance.sop_instance_uid for instance in made}
    assert len(series) == len(instances) == len(list(made))
    assert not series & instances
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in series | instances)


NAMES = [
    ("ISO_IR 100", "Müller^Jürgen".encode("latin-1")),
    ("ISO_IR 101", "Łukasz^Żółw".encode("iso8859-2")),
    ("ISO_IR 144", "Люкceмбypг".encode("iso8859-5")),
    ("ISO_IR 192", "Yamada^Tarou=山田^太郎=やまだ^たろう".encode()),
    ("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030")),
    ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
    ("", b"M\xfcller^undeclared"),
    ("ISO_IR 999", b"Bogus\xff\xfe^Set"),
]


def with_name(character_set: str, name: bytes) -> bytes:
    """Return a source whose patient and physician bear this name, byte for byte."""
    padded = name + b" " * (len(name) % 2)
    file = changed(a_tomo(), setting(PatientName="#" * 60, ReferringPhysicianName="#" * 60))
    file = file.replace(struct.pack("<H", 60) + b"#" * 60, struct.pack("<H", len(padded)) + padded)
    value = character_set.encode() + b" " * (len(character_set) % 2)
    old = struct.pack("<HH2sH", 8, 5, b"CS", 10) + b"ISO_IR 192"
    assert old in file
    return file.replace(old, struct.pack("<HH2sH", 8, 5, b"CS", len(value)) + value)


@pytest.mark.parametrize(("character_set", "name"), NAMES)
@pytest.mark.filterwarnings("ignore")
def test_a_name_is_copied_byte_for_byte_in_every_character_set(character_set: str, name: bytes, tmp_path: Path) -> None:
    source = with_name(character_set, name)
    for kind, instance in derive(tmp_path, source).items():
        for keyword in ("PatientName", "ReferringPhysicianName"):
            raw = dataset(instance).get_item(keyword).value
            assert raw.rstrip(b" ") == name, (kind, keyword)
        declared = dataset(instance).get_item("SpecificCharacterSet")
        assert (declared.value or b"").strip(b" ") == character_set.encode().strip(), kind


def test_a_source_without_a_character_set_stays_without_one(tmp_path: Path) -> None:
    for instance in derive(tmp_path, changed(a_tomo(), without("SpecificCharacterSet"))).values():
        assert "SpecificCharacterSet" not in dataset(instance)


def test_patient_and_study_are_the_sources(tmp_path: Path) -> None:
    kept = {
        "PatientID": "0042 ", "IssuerOfPatientID": "HOSPITAL", "PatientBirthDate": "19500102", "PatientSex": "F",
        "PatientWeight": "71.5", "AccessionNumber": "A-1", "StudyID": "S1", "StudyDate": "20260301", "StudyTime": "1010",
        "StudyDescription": "MPI", "ReferringPhysicianName": "Doctor^Some",
    }  # fmt: skip
    source = changed(a_tomo(), setting(**kept))
    for instance in derive(tmp_path, source).values():
        ds = dataset(instance)
        assert {keyword: str(ds[keyword].value) for keyword in kept} == {k: v.strip() for k, v in kept.items()}
        assert ds.StudyInstanceUID == dcmread(BytesIO(source)).StudyInstanceUID


def test_what_the_source_left_out_is_empty_and_never_invented(tmp_path: Path) -> None:
    missing = ("PatientBirthDate", "PatientSex", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber")
    for instance in derive(tmp_path, changed(a_tomo(), without(*missing))).values():
        ds = dataset(instance)
        assert all(not ds[keyword].value for keyword in missing)
        assert errors_in(instance.file_bytes, tmp_path) == []


def test_derived_instances_say_what_they_came_from_and_how(tmp_path: Path) -> None:
    source = changed(a_tomo(), setting(Manufacturer="ACME", ManufacturerModelName="Gamma 1"))
    for kind, instance in derive(tmp_path, source).items():
        ds = dataset(instance)
        reference = ds.SourceImageSequence[0]
        assert reference.ReferencedSOPInstanceUID == dcmread(BytesIO(source)).SOPInstanceUID, kind
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        purposes = [item.PurposeOfReferenceCodeSequence[0].CodeValue for item in ds.ContributingEquipmentSequence]
        makers = [item.Manufacturer for item in ds.ContributingEquipmentSequence]
        assert (purposes, makers) == (["109101", "109102"], ["ACME", "dicomnode"])
        assert ds.Manufacturer == "dicomnode"
        assert list(ds.SoftwareVersions) == ["0.1.0", "attenuation_correction 1.2"]
        assert "attenuation_correction 1.2" in ds.DerivationDescription
        assert "water is 0.15 /cm" in ds.ImageComments
        assert ds.ContentQualification == "RESEARCH"
        assert ds.ImageType[0] == "DERIVED"


def test_a_derived_instance_of_a_virtual_patient_says_so_and_one_of_a_real_patient_does_not(tmp_path: Path) -> None:
    for instance in derive(tmp_path).values():
        assert dataset(instance)[0x0008001C].value == "YES"
    for instance in derive(tmp_path, changed(a_tomo(), without("SyntheticData"))).values():
        assert 0x0008001C not in dataset(instance)


@pytest.mark.parametrize(
    ("described", "expected"),
    [("MIBI Stress", "MIBI Stress nAC recon"), ("x" * 64, "x" * 54 + " nAC recon"), ("", "nAC recon")],
)
def test_a_series_is_named_after_its_source(described: str, expected: str, tmp_path: Path) -> None:
    made = derive(tmp_path, a_tomo(study=VirtualStudy(series_description=described)))
    assert dataset(made["reconstruction"]).SeriesDescription == expected


def test_private_elements_of_the_source_are_left_behind(tmp_path: Path) -> None:
    def private(ds: Dataset) -> None:
        ds.private_block(0x11, "GEMS_GENIE_1", create=True).add_new(0x3B, "LO", "stale")
        ds.DetectorInformationSequence[0].private_block(0x23, "MEDISO-1", create=True).add_new(1, "LO", "stale")

    for instance in derive(tmp_path, changed(a_tomo(), private)).values():
        assert b"stale" not in instance.file_bytes


def test_a_source_that_can_not_be_read_is_unsuitable(tmp_path: Path) -> None:
    path = tmp_path / "source.dcm"
    path.write_bytes(b"no dicom")
    with pytest.raises(StudyUnsuitable):
        read_sources([path])


KIND_OF = {
    "reconstruction": (InstanceContent.RECONSTRUCTION, ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"], 911),
    "attenuation-corrected reconstruction": (
        InstanceContent.RECONSTRUCTION, ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"], 912,
    ),
    "attenuation map": (InstanceContent.MU_MAP, ["DERIVED", "PRIMARY", "RECON TOMO", "TRANSMISSION"], 921),
    "denoised projections": (InstanceContent.PROJECTIONS, ["DERIVED", "PRIMARY", "TOMO", "EMISSION"], 901),
    "report page": (InstanceContent.OTHER, ["DERIVED", "SECONDARY"], 941),
}  # fmt: skip


def test_each_kind_is_filed_as_what_it_is(tmp_path: Path) -> None:
    for kind, instance in derive(tmp_path).items():
        content, image_type, number = KIND_OF[kind]
        ds = dataset(instance)
        assert read_header(instance.file_bytes).content is content
        assert list(ds.ImageType) == image_type
        assert ds.SeriesNumber == number


def test_only_the_attenuation_corrected_reconstruction_claims_the_correction(tmp_path: Path) -> None:
    made = derive(tmp_path)
    assert list(dataset(made["reconstruction"]).CorrectedImage) == ["UNIF", "COR"]
    assert list(dataset(made["attenuation-corrected reconstruction"]).CorrectedImage) == ["UNIF", "COR", "ATTN"]


def test_nm_images_hold_what_the_validator_does_not_look_at(tmp_path: Path) -> None:
    forbidden = ("RescaleSlope", "Units", "DecayCorrection", "PresentationIntentType", "ImagePositionPatient")
    for kind, instance in derive(tmp_path).items():
        if kind == "report page":
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


def test_an_attenuation_map_is_stored_in_ten_thousandths_per_cm(tmp_path: Path) -> None:
    instance = derive(tmp_path)["attenuation map"]
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
    acquired: dict[str, object], heads: int, tmp_path: Path
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
    frames = {dataset(instance).FrameOfReferenceUID for kind, instance in made.items() if kind != "report page"}
    assert len(frames) == 1
    source = dcmread(BytesIO(a_tomo()))
    kept = {dataset(i).FrameOfReferenceUID for kind, i in derive(tmp_path).items() if kind != "report page"}
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
