"""The structured report: a physician's system finds each number, what it means, and what it was read from."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom.sr import MeasurementReport, srread
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.codedict import codes as standard
from pydicom.sr.coding import Code

from dicomnode.objects import codes
from dicomnode.objects.derivation import read_sources
from dicomnode.objects.derived import derived_instances
from dicomnode.objects.reader import read_acquisition
from dicomnode.objects.structured_report import write_structured_report
from dicomnode.objects.virtual_study import VirtualStudy
from dicomnode.study import DerivedInstance
from pipelines.cardiac.gated_function import GatedFunction
from pipelines.contract import CardiacState, DerivedKind, MapCandidate, MapSource, PipelineInput, PipelineResult
from tests.dicomnode.objects.results import ALL, CONTEXT, a_result, a_volume, dataset, derive
from tests.dicomnode.objects.small_hearts import POPULATION, limits, two_hearts
from tests.dicomnode.objects.validator import errors_in
from tests.factories import a_tomo, changed, setting, without

SEGMENTS = range(1, 18)
IN_DICTIONARY = {
    scheme: {value for meanings in concepts[scheme].values() for value in meanings} for scheme in ("DCM", "SCT")
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DerivedInstance]:
    """The derived instances of an ordinary virtual acquisition, made once for the tests that only look at them."""
    return derive(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def report(made: dict[str, DerivedInstance]) -> MeasurementReport:
    """The report, as highdicom's reader understands it."""
    content: MeasurementReport = srread(BytesIO(made["structured report"].file_bytes)).content
    return content


def written(folder: Path, result: PipelineResult, source: bytes | None = None, **given: Any) -> Dataset:
    """Return the report of a result, its images left out."""
    path = folder / "source.dcm"
    path.write_bytes(source or a_tomo())
    pipeline_input = PipelineInput(read_acquisition(path), **given)
    instance = write_structured_report(read_sources([path]), pipeline_input, replace(result, derived=()), [], CONTEXT)
    assert errors_in(instance.file_bytes, folder) == []
    return dataset(instance)


def group_at(report: MeasurementReport, site: Code) -> Any:
    (group,) = report.get_image_measurement_groups(finding_site=site)
    return group


def values(group: Any) -> dict[str, float]:
    return {one.name.value: one.value for one in group.get_measurements()}


def all_items(item: Dataset) -> list[Dataset]:
    below = list(item.get("ContentSequence", []))
    return [item, *(one for child in below for one in all_items(child))]


def texts_of(ds: Dataset) -> list[str]:
    return [item.TextValue for item in all_items(ds) if item.ValueType == "TEXT"]


def codes_of(ds: Dataset, name: Code) -> list[str]:
    """Return the values of the code items of this name, in order."""
    return [
        item.ConceptCodeSequence[0].CodeValue
        for item in all_items(ds)
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeValue == name.value
    ]


@pytest.mark.parametrize("number", SEGMENTS)
def test_each_segment_of_the_reported_heart_is_found_by_its_site(number: int, report: MeasurementReport) -> None:
    heart = two_hearts()[1]
    assert heart.perfusion is not None
    group = group_at(report, codes.SEGMENTS[number - 1])
    assert group.tracking_identifier == f"corrected (reported): segment {number}"
    assert values(group) == {
        "pct-of-normal": pytest.approx(heart.perfusion.segments_percent[number - 1], abs=0.051),
        "perfusion-score": heart.perfusion.scores[number - 1],
    }


def test_the_left_ventricle_has_one_group_for_the_result_and_one_for_the_comparison(report: MeasurementReport) -> None:
    groups = report.get_image_measurement_groups(finding_site=codes.LEFT_VENTRICLE)
    names = ["corrected (reported): left ventricle", "not corrected (comparison): left ventricle"]
    assert [group.tracking_identifier for group in groups] == names
    for group, heart in zip(groups, reversed(two_hearts()), strict=True):
        perfusion, shape, found = heart.perfusion, heart.shape, values(group)
        assert perfusion is not None
        assert found["TPD"] == pytest.approx(perfusion.tpd_percent, abs=0.051)
        assert found["427751006"] == pytest.approx(perfusion.extent_percent, abs=0.051)
        assert found["defect-severity"] == pytest.approx(perfusion.severity_percent, abs=0.051)
        assert found["SSS"] == perfusion.summed_score
        assert found["summed-percent"] == pytest.approx(perfusion.summed_percent, abs=0.051)
        assert found["cavity-volume"] == pytest.approx(shape.cavity_ml, abs=0.051)
        assert found["wall-volume"] == pytest.approx(shape.wall_ml, abs=0.051)
        assert found["eccentricity"] == pytest.approx(shape.eccentricity, abs=0.00051)
        assert found["shape-index"] == pytest.approx(shape.shape_index, abs=0.00051)
    assert two_hearts()[0].perfusion.tpd_percent > 5  # type: ignore[union-attr]


def test_the_segments_of_the_comparison_stand_in_its_own_group_alone(report: MeasurementReport) -> None:
    comparison = report.get_image_measurement_groups(finding_site=codes.LEFT_VENTRICLE)[1]
    heart = two_hearts()[0]
    assert heart.perfusion is not None
    found = {}
    for one in comparison.get_measurements():
        for site in one.finding_sites:
            found[(site.value.value, one.name.value)] = one.value
    for place, site in enumerate(codes.SEGMENTS):
        assert found[site.value, "perfusion-score"] == heart.perfusion.scores[place]
    assert len(found) == 34


def test_it_names_the_images_that_the_numbers_were_read_from(
    made: dict[str, DerivedInstance], report: MeasurementReport
) -> None:
    reported, comparison = report.get_image_measurement_groups(finding_site=codes.LEFT_VENTRICLE)
    for group, prefix in ((reported, "attenuation-corrected "), (comparison, "")):
        uids = [image.referenced_sop_instance_uid for image in group.source_images]
        assert uids == [made[f"{prefix}{kind}"].sop_instance_uid for kind in ("reconstruction", "short axis")]


def test_the_source_and_all_derived_images_are_its_evidence(made: dict[str, DerivedInstance]) -> None:
    ds = dataset(made["structured report"])
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    named = {
        sop.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for sop in series.ReferencedSOPSequence
    }
    source = read_sources_uid(made)
    assert named == {source, *(made[kind.value].sop_instance_uid for kind in ALL)}
    assert study.StudyInstanceUID == ds.StudyInstanceUID


def read_sources_uid(made: dict[str, DerivedInstance]) -> str:
    uid: str = dataset(made["reconstruction"]).SourceImageSequence[0].ReferencedSOPInstanceUID
    return uid


def test_no_physician_has_signed_it(made: dict[str, DerivedInstance]) -> None:
    ds = dataset(made["structured report"])
    assert (ds.Modality, ds.SeriesNumber) == ("SR", 942)
    assert (ds.PreliminaryFlag, ds.VerificationFlag, ds.CompletionFlag) == ("PRELIMINARY", "UNVERIFIED", "COMPLETE")
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert not [keyword for keyword in ("ImageType", "BurnedInAnnotation", "BodyPartExamined") if keyword in ds]


def test_it_says_by_what_it_was_made_and_against_whom_it_was_judged(made: dict[str, DerivedInstance]) -> None:
    said = texts_of(dataset(made["structured report"]))
    assert {"attenuation_correction", "1.2", "iterations: 4", "cutoff: 0.5 /cm"} <= set(said)
    assert f"normal limits: {POPULATION}; SHA-256 {limits().sha256}" in said
    assert "pass: counts agree to 0.02 %" in said
    assert "Counts in the photopeak: 1250000 {counts}" in said
    assert "assumed: water is 0.15 /cm" in said


def test_a_virtual_patient_is_called_so_and_a_real_one_never(tmp_path: Path) -> None:
    sentence = "VIRTUAL PATIENT - no real person"
    assert sentence in texts_of(written(tmp_path, a_result()))
    assert sentence not in texts_of(written(tmp_path, a_result(), changed(a_tomo(), without("SyntheticData"))))


def test_without_normal_limits_segments_are_in_percent_of_the_highest_and_nothing_is_scored(tmp_path: Path) -> None:
    heart = replace(two_hearts()[1], perfusion=None, limits="")
    ds = written(tmp_path, replace(a_result(), hearts=(heart,)))
    names = {item.ConceptNameCodeSequence[0].CodeValue for item in all_items(ds) if item.ValueType == "NUM"}
    assert names == {"pct-of-highest", "cavity-volume", "wall-volume", "eccentricity", "shape-index"}
    shown = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in all_items(ds)
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == "pct-of-highest"
    ]
    assert shown == pytest.approx(heart.segments_of_highest_percent, abs=0.051)
    assert max(shown) == 100
    assert any(words.startswith("No normal limits fit") for words in texts_of(ds))


def test_a_gated_heart_tells_how_it_beats(tmp_path: Path) -> None:
    beat = GatedFunction(
        volumes_ml=(101.0, 60.0, 41.0, 80.0), edv_ml=102.34, esv_ml=40.0, ejection_fraction_percent=60.92,
        end_diastole=0, end_systole=2, wall_ml=120.0, thickening_percent=tuple(30.0 + k for k in range(17)),
        thickening_map=np.zeros((24, 72)), remarks=("few gates",),
    )  # fmt: skip
    gated = replace(two_hearts()[1], function=beat)
    ds = written(tmp_path, replace(a_result(), hearts=(gated,)))
    content = MeasurementReport.from_sequence([ds])
    found = values(group_at(content, codes.LEFT_VENTRICLE))
    assert (found["8821-1"], found["8823-7"], found["70822001"]) == (102.3, 40.0, 60.9)
    for place, site in enumerate(codes.SEGMENTS):
        assert values(group_at(content, site))["59092-7"] == 30.0 + place
    assert {"Cavity volume of each gate, ml: 101, 60, 41, 80", "few gates"} <= set(texts_of(ds))


@pytest.mark.parametrize(
    ("state", "score", "told"),
    [(CardiacState.STRESS, "SSS", ["109091"]), (CardiacState.REST, "SRS", ["128975004"])],
)
def test_the_summed_score_is_named_after_the_patients_state(
    state: CardiacState, score: str, told: list[str], tmp_path: Path
) -> None:
    ds = written(tmp_path, replace(a_result(), hearts=two_hearts()[1:]), a_tomo(study=VirtualStudy(state=state)))
    names = {item.ConceptNameCodeSequence[0].CodeValue for item in all_items(ds) if item.ValueType == "NUM"}
    assert names & {"SSS", "SRS", "summed-score"} == {score}
    assert codes_of(ds, codes.PATIENT_STATE) == told


def test_an_unknown_state_is_not_guessed(tmp_path: Path) -> None:
    ds = written(tmp_path, replace(a_result(), hearts=two_hearts()[1:]))
    names = {item.ConceptNameCodeSequence[0].CodeValue for item in all_items(ds) if item.ValueType == "NUM"}
    assert names & {"SSS", "SRS", "summed-score"} == {"summed-score"}
    assert codes_of(ds, codes.PATIENT_STATE) == []


@pytest.mark.parametrize(
    ("source", "method"),
    [(MapSource.NETWORK, "122726"), (MapSource.CT, "122728"), (MapSource.VENDOR, "given-map")],
)
def test_each_heart_says_how_attenuation_was_corrected_whatever_else_was_at_hand(
    source: MapSource, method: str, tmp_path: Path
) -> None:
    path = tmp_path / "source.dcm"
    path.write_bytes(a_tomo())
    result = a_result(DerivedKind.SHORT_AXIS, DerivedKind.CORRECTED_SHORT_AXIS)
    result = replace(result, provenance=replace(result.provenance, map_source=source))
    at_hand = (MapCandidate(MapSource.CT, a_volume()),)
    made = derived_instances([path], PipelineInput(read_acquisition(path), at_hand), result, CONTEXT)
    assert codes_of(dataset(made[2]), codes.ATTENUATION_METHOD) == [method, "122729"]


def test_what_is_not_known_of_attenuation_is_not_said(tmp_path: Path) -> None:
    corrected_somewhere = replace(a_result(), hearts=two_hearts()[1:])  # ATTN, but not in which image
    assert codes_of(written(tmp_path, corrected_somewhere), codes.ATTENUATION_METHOD) == []
    nothing_corrected = replace(corrected_somewhere, provenance=replace(a_result().provenance, corrections=()))
    assert codes_of(written(tmp_path, nothing_corrected), codes.ATTENUATION_METHOD) == ["122729"]


def test_its_own_words_are_ascii_and_break_nothing(tmp_path: Path) -> None:
    heart = replace(two_hearts()[1], label="entrauscht \N{EM DASH} 5\N{DEGREE SIGN} \u5c71\\x")
    ds = written(
        tmp_path, replace(a_result(), hearts=(heart,)), changed(a_tomo(), setting(PatientName="Müller^Jürgen"))
    )
    assert str(ds.PatientName) == "Müller^Jürgen"
    assert "entrauscht - 5 deg ?\\x (reported): left ventricle" in texts_of(ds)


def test_all_standard_codes_are_in_the_standards_dictionary_and_all_own_ones_are_declared(
    made: dict[str, DerivedInstance],
) -> None:
    segments = {code.value for code in (getattr(standard.cid3717, name) for name in standard.cid3717.dir())}
    assert {code.value for code in codes.SEGMENTS} <= segments
    ds = dataset(made["structured report"])
    used = {
        (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning)
        for content in all_items(ds)
        for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence")
        for item in content.get(keyword, [])
    }
    own = {code for code in used if code[1] == codes.OWN_SCHEME}
    assert len(own) == 10
    assert [item.CodingSchemeDesignator for item in ds.CodingSchemeIdentificationSequence] == [codes.OWN_SCHEME]
    for value, scheme, meaning in used - own:
        if scheme in ("DCM", "SCT"):
            assert value in IN_DICTIONARY[scheme], meaning


def test_dcmtk_reads_it_and_prints_the_numbers(made: dict[str, DerivedInstance], tmp_path: Path) -> None:
    if shutil.which("dsrdump") is None:
        pytest.skip("dsrdump is not installed (Debian package dcmtk)")
    path = tmp_path / "report.dcm"
    path.write_bytes(made["structured report"].file_bytes)
    done = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    complaints = [line for line in done.stderr.splitlines() if "Specific Character Set" not in line]
    assert complaints == []
    heart = two_hearts()[0]
    assert heart.perfusion is not None
    assert f'"Total perfusion deficit")="{heart.perfusion.tpd_percent:.1f}"' in done.stdout
    assert f'"Summed stress score, of 68")="{heart.perfusion.summed_score}"' in done.stdout
