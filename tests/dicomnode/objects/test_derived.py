"""From a pipeline's result to derived instances: identity kept, UIDs a function of the input, sound by the standard."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.derivation import derivation_key, read_sources
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.header import read_header
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.virtual_study import VirtualStudy
from dicomnode.study import DerivedInstance
from pipelines.contract import CardiacState, DerivedKind, PipelineInput
from tests.dicomnode.objects.results import ALL, CONTEXT, a_result, dataset, derive
from tests.dicomnode.objects.validator import errors_in
from tests.factories import NOON, a_tomo, changed, setting, without


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DerivedInstance]:
    """The derived instances of an ordinary virtual acquisition, made once for the tests that only look at them."""
    return derive(tmp_path_factory.mktemp("made"))


def uids(made: dict[str, DerivedInstance]) -> list[str]:
    return [instance.sop_instance_uid for instance in made.values()]


def test_each_image_is_written_then_the_numbers_and_the_page_comes_last(made: dict[str, DerivedInstance]) -> None:
    assert list(made) == [*(kind.value for kind in ALL), "structured report", "report page"]


def test_a_plain_reconstruction_sends_no_numbers(tmp_path: Path) -> None:
    made = derive(tmp_path, context=replace(CONTEXT, pipeline="reconstruction"))
    assert list(made) == [*(kind.value for kind in ALL), "report page"]


def test_without_a_heart_there_is_no_structured_report_and_without_a_drawn_page_none_is_sent(tmp_path: Path) -> None:
    source = tmp_path / "source.dcm"
    source.write_bytes(a_tomo())
    bare = replace(a_result(DerivedKind.RECONSTRUCTION), hearts=(), page=None)
    made = derived_instances([source], PipelineInput(read_acquisition(source)), bare, CONTEXT)
    assert [instance.kind for instance in made] == ["reconstruction"]


@pytest.mark.parametrize("acquired", [{}, {"gates": 8}, {"windows": 2, "detectors": 2}, {"radius_mm": None}])
def test_no_derived_instance_has_an_error(acquired: dict[str, Any], tmp_path: Path) -> None:
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
        content = "ContentSequence" if kind == "structured report" else "PixelData"
        assert dataset(instance)[content] == dataset(later[kind])[content], kind


def test_the_same_input_at_the_same_time_gives_the_same_bytes(tmp_path: Path) -> None:
    assert derive(tmp_path) == derive(tmp_path)


@pytest.mark.parametrize(
    "changed_part",
    [
        {"pipeline": "denoising"},
        {"pipeline_version": "1.3"},
        {"options": {"iterations": 5, "subsets": 8}},
        {"options": {}},
    ],
)
def test_any_change_of_the_run_gives_other_uids(
    changed_part: dict[str, Any], made: dict[str, DerivedInstance], tmp_path: Path
) -> None:
    after = derive(tmp_path, context=replace(CONTEXT, **changed_part))
    assert not set(uids(made)) & set(uids(after))


def test_another_source_gives_other_uids(tmp_path: Path) -> None:
    assert not set(uids(derive(tmp_path))) & set(uids(derive(tmp_path, a_tomo(seed=9))))


def test_the_order_of_sources_and_options_does_not_matter() -> None:
    other = replace(CONTEXT, options={"subsets": 8, "iterations": 4})
    assert derivation_key(["1.2", "1.3"], CONTEXT, "x") == derivation_key(["1.3", "1.2"], other, "x")


def test_all_uids_are_distinct_and_each_instance_has_a_series_of_its_own(made: dict[str, DerivedInstance]) -> None:
    series = {instance.series_instance_uid for instance in made.values()}
    instances = {instance.sop_instance_uid for instance in made.values()}
    assert len(series) == len(instances) == len(made)
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
    return file.replace(_character_set_element("ISO_IR 192"), _character_set_element(character_set))


@pytest.mark.parametrize(("character_set", "name"), NAMES)
@pytest.mark.filterwarnings("ignore")
def test_names_are_copied_byte_for_byte_whatever_the_set(character_set: str, name: bytes, tmp_path: Path) -> None:
    source = with_name(character_set, name)
    for kind, instance in derive(tmp_path, source).items():
        for keyword in ("PatientName", "ReferringPhysicianName"):
            raw = dataset(instance).get_item(keyword).value
            assert raw.rstrip(b" ") == name, (kind, keyword)
        assert _character_set_element(character_set) in instance.file_bytes, kind


def _character_set_element(character_set: str) -> bytes:
    value = character_set.encode() + b" " * (len(character_set) % 2)
    return struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", len(value)) + value


def test_a_source_without_a_character_set_stays_without_one(tmp_path: Path) -> None:
    for instance in derive(tmp_path, changed(a_tomo(), without("SpecificCharacterSet"))).values():
        assert "SpecificCharacterSet" not in dataset(instance)


def test_patient_and_study_are_the_sources(tmp_path: Path) -> None:
    kept = {
        "PatientID": "0042 ", "IssuerOfPatientID": "HOSPITAL", "PatientBirthDate": "19500102", "PatientSex": "F",
        "PatientWeight": "71.5", "AccessionNumber": "A-1", "StudyID": "S1", "StudyDate": "20260301",
        "StudyTime": "1010", "StudyDescription": "MPI", "ReferringPhysicianName": "Doctor^Some",
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
        purposes = [item.PurposeOfReferenceCodeSequence[0].CodeValue for item in ds.ContributingEquipmentSequence]
        makers = [item.Manufacturer for item in ds.ContributingEquipmentSequence]
        assert (purposes, makers) == (["109101", "109102"], ["ACME", "dicomnode"])
        assert ds.Manufacturer == "dicomnode"
        assert list(ds.SoftwareVersions) == ["0.1.0", "attenuation_correction 1.2"]
        assert ds.ContentQualification == "RESEARCH"
        if kind == "structured report":
            continue  # it has its own way to say the rest
        reference = ds.SourceImageSequence[0]
        assert reference.ReferencedSOPInstanceUID == dcmread(BytesIO(source)).SOPInstanceUID, kind
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert "attenuation_correction 1.2" in ds.DerivationDescription
        assert "water is 0.15 /cm" in ds.ImageComments
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


TRIAL = {
    "ClinicalTrialSponsorName": "A Sponsor", "ClinicalTrialProtocolID": "P-7", "ClinicalTrialSubjectID": "S-12",
    "ClinicalTrialSiteName": "Site 3",
}  # fmt: skip


def test_the_subject_of_a_trial_stays_its_subject(tmp_path: Path) -> None:
    for kind, instance in derive(tmp_path, changed(a_tomo(), setting(**TRIAL))).items():
        ds = dataset(instance)
        assert {keyword: ds[keyword].value for keyword in TRIAL} == TRIAL, kind
        assert not ds.ClinicalTrialSiteID  # Type 2
        assert errors_in(instance.file_bytes, tmp_path) == [], kind


def test_who_is_in_no_trial_is_in_none(made: dict[str, DerivedInstance]) -> None:
    for instance in made.values():
        assert not [element.keyword for element in dataset(instance) if element.keyword.startswith("ClinicalTrial")]


def _requested(ds: Dataset) -> None:
    asked, nothing = Dataset(), Dataset()
    asked.RequestedProcedureID, asked.ScheduledProcedureStepID = "RP-1", "SPS-1"
    asked.RequestedProcedureDescription = "Myokardszintigraphie, Übung"
    asked.RequestedProcedureCodeSequence = [Dataset()]  # an empty item, as cameras write it
    nothing.RequestedProcedureDescription = "of no procedure"
    ds.RequestAttributesSequence = [asked, nothing]


def test_an_image_says_on_whose_request_it_was_acquired(tmp_path: Path) -> None:
    for kind, instance in derive(tmp_path, changed(a_tomo(), _requested)).items():
        assert errors_in(instance.file_bytes, tmp_path) == [], kind
        if kind == "structured report":
            continue  # its series has no such attribute
        (asked,) = dataset(instance).RequestAttributesSequence
        assert (asked.RequestedProcedureID, asked.ScheduledProcedureStepID) == ("RP-1", "SPS-1")
        assert asked.RequestedProcedureDescription == "Myokardszintigraphie, Übung"
        assert "RequestedProcedureCodeSequence" not in asked
