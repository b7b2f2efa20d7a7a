"""Every kind of derived instance: sound by the standard, each remark of the validator known, its origin told."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.objects.derived import derived_instances
from dicomnode.objects.reader import read_acquisition
from dicomnode.study import PRIVATE_COPY, DerivedInstance
from pipelines.contract import DerivedKind, Model, PipelineInput
from tests.dicomnode.objects.every_kind import DENOISER, MAP_NETWORK, of_both_pipelines
from tests.dicomnode.objects.results import ALL, CONTEXT, a_result, dataset, derive
from tests.dicomnode.objects.validator import FALSE_ALARMS, errors_in, warnings_in
from tests.factories import a_tomo, changed, setting
from tests.peers.studies import real_file

IMAGES = ("reconstruction", "short axis", "map", "projections")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DerivedInstance]:
    """All kinds by the name of their pipeline and of the kind, made once."""
    return of_both_pipelines(tmp_path_factory.mktemp("made"))


def images_of(made: dict[str, DerivedInstance], pipeline: str) -> dict[str, Dataset]:
    """Return the NM images of a pipeline by their kind."""
    return {
        name.removeprefix(f"{pipeline}: "): dataset(instance)
        for name, instance in made.items()
        if name.startswith(f"{pipeline}: ") and name.endswith(IMAGES)
    }


def test_no_kind_has_an_error(made: dict[str, DerivedInstance], tmp_path: Path) -> None:
    found = {name: errors_in(instance.file_bytes, tmp_path) for name, instance in made.items()}
    assert found == {name: [] for name in made}


def test_every_remark_of_the_validator_is_explained_in_the_documents(
    made: dict[str, DerivedInstance], tmp_path: Path
) -> None:
    explained = (Path(__file__).parents[3] / "docs" / "derived-objects.md").read_text()
    for instance in made.values():
        for line in warnings_in(instance.file_bytes, tmp_path):
            assert any(words in line and words in explained for words in EXPLAINED), line
    assert all(alarm.partition(")>")[0] in explained for alarm in FALSE_ALARMS)


EXPLAINED = (
    "Unrecognized defined term = <99DICOMNODE>",
    "</(0008,001c)> - Unrecognized tag",
    "</(0008,001c)> - Attribute is not present in standard DICOM IOD",
)


def test_all_kinds_have_uids_of_their_own(made: dict[str, DerivedInstance]) -> None:
    uids = {instance.sop_instance_uid for instance in made.values()}
    series = {instance.series_instance_uid for instance in made.values()}
    assert len(uids) == len(series) == len(made)


@pytest.mark.parametrize(("pipeline", "named"), [("denoised", DENOISER), ("corrected by a network", MAP_NETWORK)])
def test_what_a_network_had_a_part_in_names_its_version_and_weights(
    pipeline: str, named: Model, made: dict[str, DerivedInstance]
) -> None:
    for name, instance in made.items():
        if name.startswith(f"{pipeline}: "):
            ds = dataset(instance)
            network = ds.ContributingEquipmentSequence[-1]
            assert network.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
            assert network.ManufacturerModelName == named.name
            assert list(network.SoftwareVersions) == [named.version, named.sha256]
            assert ds.SoftwareVersions[-1] == f"{named.name} {named.version}"


@pytest.mark.parametrize(("pipeline", "named"), [("denoised", DENOISER), ("corrected by a network", MAP_NETWORK)])
def test_the_numbers_name_the_weights_that_made_their_image(
    pipeline: str, named: Model, made: dict[str, DerivedInstance]
) -> None:
    report = dataset(made[f"{pipeline}: structured report"])
    texts = [str(element.value) for element in report.iterall() if element.keyword == "TextValue"]
    assert f"Network: {named.name} {named.version}, weights SHA-256 {named.sha256}" in texts


def test_without_a_network_none_is_named(made: dict[str, DerivedInstance]) -> None:
    for ds in images_of(made, "corrected by CT").values():
        assert [item.ManufacturerModelName for item in ds.ContributingEquipmentSequence][1:] == ["dicomnode"]


def test_an_attenuation_map_says_where_it_comes_from_and_what_its_values_are(made: dict[str, DerivedInstance]) -> None:
    for pipeline, origin in (
        ("corrected by CT", "map-from-CT"), ("corrected by a network", "map-by-network"),
        ("corrected by the camera's map", "113085"), ("corrected afterwards", "map-by-network"),
    ):  # fmt: skip
        ds = images_of(made, pipeline)["attenuation map"]
        assert [item.CodeValue for item in ds.DerivationCodeSequence] == [origin]
        quantity = ds.RealWorldValueMappingSequence[0].QuantityDefinitionSequence[0]
        assert quantity.ConceptCodeSequence[0].CodeValue == "112031"
        assert ds.RealWorldValueMappingSequence[0].RealWorldValueSlope == pytest.approx(1e-4)


def test_what_is_corrected_by_a_ct_names_its_series_and_the_rest_does_not(made: dict[str, DerivedInstance]) -> None:
    by_ct = images_of(made, "corrected by CT")
    corrected = {kind for kind, ds in by_ct.items() if "RelatedSeriesSequence" in ds}
    assert corrected == {
        "attenuation-corrected reconstruction", "attenuation-corrected short axis", "attenuation map",
    }  # fmt: skip
    for kind in corrected:
        (related,) = by_ct[kind].RelatedSeriesSequence
        assert related.PurposeOfReferenceCodeSequence[0].CodeValue == "122403"
        assert related.SeriesInstanceUID in {item.SeriesInstanceUID for item in by_ct[kind].ReferencedSeriesSequence}
    assert not any("RelatedSeriesSequence" in ds for ds in images_of(made, "corrected by a network").values())


def test_every_image_lists_its_sources_by_series(made: dict[str, DerivedInstance]) -> None:
    for name, ds in images_of(made, "corrected by CT").items():
        listed = [
            instance.ReferencedSOPInstanceUID
            for item in ds.ReferencedSeriesSequence
            for instance in item.ReferencedInstanceSequence
        ]
        assert listed == [item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence], name
        # the camera's; what was corrected, and the map, come of a CT besides, what was corrected of our map, too
        expected = 3 if "corrected" in name else 2 if name == DerivedKind.MU_MAP.value else 1
        assert len(ds.ReferencedSeriesSequence) == expected, name


def test_projections_of_two_heads_stay_those_of_two_heads(made: dict[str, DerivedInstance]) -> None:
    for kind in ("denoised projections", PRIVATE_COPY):
        ds = dataset(made[f"denoised, two heads: {kind}"])
        assert ds.NumberOfDetectors == len(ds.DetectorInformationSequence) == 2
        assert set(ds.DetectorVector) == {1, 2}


def test_gated_projections_stay_gated(made: dict[str, DerivedInstance]) -> None:
    ds = images_of(made, "denoised, gated")["denoised projections"]
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "GATED TOMO", "EMISSION"]
    assert ds.NumberOfTimeSlots == 8
    assert "GatedInformationSequence" in ds


def test_no_kind_but_the_copy_that_is_asked_for_holds_a_private_element_nor_what_an_nm_image_must_not_have(
    made: dict[str, DerivedInstance],
) -> None:
    forbidden = ("RescaleSlope", "Units", "PresentationIntentType", "ImagePositionPatient", "ImageOrientationPatient")
    for name, instance in made.items():
        ds = dcmread(BytesIO(instance.file_bytes))
        assert any(element.tag.is_private for element in ds.iterall()) is name.endswith(PRIVATE_COPY), name
        assert not [keyword for keyword in forbidden if keyword in ds], name


@pytest.mark.parametrize(
    "name",
    [
        "ge_xeleris_tomo_stress.dcm", "ge_530c_recon_supine.dcm", "ge_530c_recon_supine_2.dcm",
        "mediso_recon_jaszczak.dcm",
    ],
)  # fmt: skip
def test_what_cameras_write_wrong_is_not_written_again(name: str, tmp_path: Path) -> None:
    source = real_file(name)
    acquisition = read_acquisition(source)
    kinds = [kind for kind in ALL if acquisition.projections or kind is not DerivedKind.DENOISED_PROJECTIONS]
    result = a_result(*kinds, projections=acquisition.projections)
    for instance in derived_instances([source], PipelineInput(acquisition), result, CONTEXT):
        assert errors_in(instance.file_bytes, tmp_path) == [], instance.kind


def test_a_birth_date_of_zeros_is_unknown(tmp_path: Path) -> None:
    source = changed(a_tomo(), setting(PatientBirthDate="00000000"))
    for instance in derive(tmp_path, source).values():
        assert dataset(instance)["PatientBirthDate"].value == ""
