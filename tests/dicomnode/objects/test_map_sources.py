"""Derived instances of a corrected study name what their map was made of, and only what was really used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomnode.objects.derived import derived_instances
from dicomnode.objects.run_input import RunSources, read_input, run_sources
from dicomnode.study import DerivedInstance
from pipelines.contract import DerivedKind, Finding, MapSource, Verdict
from tests.dicomnode.objects.results import CONTEXT, a_result, dataset
from tests.dicomnode.objects.spect_ct import acquisition, ct, header, uid, vendor_map
from tests.dicomnode.objects.validator import errors_in

KINDS = tuple(kind for kind in DerivedKind if kind is not DerivedKind.DENOISED_PROJECTIONS)
NOT_CORRECTED = {"reconstruction", "short axis"}


@pytest.fixture
def spect_ct(tmp_path: Path) -> RunSources:
    source = acquisition(tmp_path)
    return run_sources(source, uid(source), [*ct(tmp_path), vendor_map(tmp_path)])


def made_with(
    sources: RunSources, map_source: MapSource, findings: tuple[Finding, ...] = (), **made_so: Any
) -> dict[str, DerivedInstance]:
    result = a_result(*KINDS)
    provenance = replace(result.provenance, corrections=("SCAT",), map_source=map_source, **made_so)
    result = replace(result, provenance=provenance, findings=findings or result.findings)
    made = derived_instances(sources.paths, read_input(sources, CONTEXT.options), result, CONTEXT)
    return {instance.kind: instance for instance in made}


def named(ds: Dataset) -> set[str]:
    """Return the SOP Instance UIDs of the sources, each with its purpose."""
    for item in ds.SourceImageSequence:
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    return {str(item.ReferencedSOPInstanceUID) for item in ds.SourceImageSequence}


def test_a_correction_by_ct_names_acquisition_ct_and_our_map(spect_ct: RunSources) -> None:
    made = made_with(spect_ct, MapSource.CT)
    slices = set(spect_ct.choice.ct[0].uids)
    for kind in ("attenuation-corrected reconstruction", "attenuation-corrected short axis"):
        assert named(dataset(made[kind])) == {spect_ct.uid, *slices, made["attenuation map"].sop_instance_uid}
    assert named(dataset(made["attenuation map"])) == named(dataset(made["report page"])) == {spect_ct.uid, *slices}
    for kind in NOT_CORRECTED:
        assert named(dataset(made[kind])) == {spect_ct.uid}
        assert "RelatedSeriesSequence" not in dataset(made[kind])


@pytest.mark.parametrize(("source", "place"), [(MapSource.CT, 0), (MapSource.VENDOR, -1)])
def test_the_series_of_the_map_is_related_for_attenuation_correction(
    source: MapSource, place: int, spect_ct: RunSources
) -> None:
    made = made_with(spect_ct, source)
    (related,) = dataset(made["attenuation-corrected reconstruction"]).RelatedSeriesSequence
    assert related.SeriesInstanceUID == header(spect_ct.choice.paths[place]).SeriesInstanceUID
    assert related.PurposeOfReferenceCodeSequence[0].CodeValue == "122403"


def test_a_ct_that_was_not_used_is_no_source(spect_ct: RunSources) -> None:
    made = made_with(spect_ct, MapSource.NETWORK)
    assert named(dataset(made["attenuation map"])) == {spect_ct.uid}
    evidence = dataset(made["structured report"]).CurrentRequestedProcedureEvidenceSequence[0]
    referenced = {
        str(one.ReferencedSOPInstanceUID)
        for series in evidence.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert spect_ct.uid in referenced
    assert not referenced & set(spect_ct.choice.uids)


def test_what_is_said_of_a_ct_that_did_not_fit_gives_other_instances_than_no_ct(spect_ct: RunSources) -> None:
    alone = RunSources(spect_ct.acquisition, spect_ct.uid)
    doubt = (Finding(Verdict.WARN, "the CT does not fit"),)
    with_ct, without = made_with(spect_ct, MapSource.NETWORK, doubt), made_with(alone, MapSource.NETWORK)
    assert not {one.sop_instance_uid for one in with_ct.values()} & {one.sop_instance_uid for one in without.values()}


@pytest.mark.parametrize(
    ("source", "recon", "shown"),
    [
        (MapSource.CT, "Stress CTAC recon", "Stress attenuation map 140.5 keV of CT"),
        (MapSource.VENDOR, "Stress AC recon", "Stress attenuation map 140.5 keV of the camera"),
        (MapSource.NETWORK, "Stress DLAC recon", "Stress attenuation map 140.5 keV by networks"),
    ],
)
def test_lists_of_series_tell_where_the_map_came_from(
    source: MapSource, recon: str, shown: str, spect_ct: RunSources
) -> None:
    made = made_with(spect_ct, source)
    assert dataset(made["attenuation-corrected reconstruction"]).SeriesDescription == recon
    assert dataset(made["attenuation map"]).SeriesDescription == shown


def test_of_two_cts_only_the_one_that_was_used_is_named(tmp_path: Path) -> None:
    source = acquisition(tmp_path)
    sources = run_sources(source, uid(source), [*ct(tmp_path), *ct(tmp_path, "Thorax", 3)])
    first, second = read_input(sources, {}).maps
    for used, series in zip((first, second), sources.choice.ct, strict=True):
        made = made_with(sources, MapSource.CT, map_key=used.key)
        assert named(dataset(made["attenuation map"])) == {sources.uid, *series.uids}


def test_a_map_for_other_photons_says_so_in_lists_and_in_its_values(spect_ct: RunSources) -> None:
    mu_map = dataset(made_with(spect_ct, MapSource.CT, map_energy_kev=71.0)["attenuation map"])
    assert mu_map.SeriesDescription == "Stress attenuation map 71 keV of CT"
    (mapping,) = mu_map.RealWorldValueMappingSequence
    assert mapping.LUTExplanation == "linear attenuation coefficient at 71 keV"
    assert mapping.MeasurementUnitsCodeSequence[0].CodeMeaning == "linear attenuation coefficient at 71 keV"


@pytest.mark.parametrize("source", MapSource)
def test_corrected_image_says_attenuation_of_what_was_corrected_alone(source: MapSource, spect_ct: RunSources) -> None:
    made = made_with(spect_ct, source)
    for kind in NOT_CORRECTED:
        assert list(dataset(made[kind]).CorrectedImage) == ["UNIF", "COR", "SCAT"]
        assert list(dataset(made[f"attenuation-corrected {kind}"]).CorrectedImage) == ["UNIF", "COR", "SCAT", "ATTN"]


@pytest.mark.parametrize("source", MapSource)
def test_all_of_it_is_sound_by_the_standard(source: MapSource, spect_ct: RunSources, tmp_path: Path) -> None:
    for kind, instance in made_with(spect_ct, source).items():
        assert errors_in(instance.file_bytes, tmp_path) == [], kind
