"""What a run gets to see of a study: its acquisition, and the CT or map that can be read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.run_input import read_input, run_sources
from pipelines.contract import Finding, MapSource, PipelineInput, Verdict
from pipelines.images import Unit
from tests.dicomnode.objects.acquisitions import detector
from tests.dicomnode.objects.spect_ct import WHOLE, acquisition, ct, reconstruction, uid, vendor_map
from tests.factories import changed


def seen(source: Path, *companions: Path, **options: str) -> PipelineInput:
    return read_input(run_sources(source, uid(source), companions), options)


def test_an_acquisition_alone_is_all_there_is(tmp_path: Path) -> None:
    given = seen(acquisition(tmp_path))
    assert given.acquisition.projections is not None
    assert (given.maps, given.findings) == ((), ())


def test_ct_and_map_come_with_it_and_the_choice_is_told(tmp_path: Path) -> None:
    given = seen(acquisition(tmp_path), *ct(tmp_path), vendor_map(tmp_path))
    by_ct, by_vendor = given.maps
    assert (by_ct.source, by_ct.volume.unit, by_ct.volume.grid.shape) == (MapSource.CT, Unit.HOUNSFIELD, WHOLE.shape)
    assert (by_vendor.source, by_vendor.volume.unit) == (MapSource.VENDOR, Unit.PER_CM)
    assert given.ct_shares_frame
    assert by_ct.name == "the CT of series 2 (CT for AC), 6 slices"
    assert by_ct.chosen == Finding(Verdict.PASS, "the CT of series 2 (CT for AC), 6 slices is used")
    assert given.findings == ()  # which of them is used, nobody knows yet


def test_why_an_acquisition_was_taken_is_told_with_or_without_a_map(tmp_path: Path) -> None:
    source = reconstruction(tmp_path)
    for companions in ([], ct(tmp_path)):
        given = read_input(run_sources(source, uid(source), companions, "there is no other"), {})
        assert (given.findings[0].verdict, given.findings[0].text) == (Verdict.PASS, "there is no other")


def test_sources_name_all_that_could_be_used_the_acquisition_first(tmp_path: Path) -> None:
    source, slices, mu_map = acquisition(tmp_path), ct(tmp_path), vendor_map(tmp_path)
    sources = run_sources(source, uid(source), [mu_map, *slices])
    assert sources.paths[0] == source
    assert set(sources.paths[1:]) == {*slices, mu_map}
    assert sources.uids == tuple(uid(path) for path in sources.paths)


def test_a_ct_with_a_gap_does_not_lose_the_study_and_the_report_says_so(tmp_path: Path) -> None:
    slices = ct(tmp_path)
    given = seen(acquisition(tmp_path), *slices[:2], *slices[3:], vendor_map(tmp_path))
    (left,), (refused,) = given.maps, given.findings
    assert refused.verdict is Verdict.WARN
    assert "the CT of series 2 (CT for AC), 5 slices can't be used: between the CT slices at" in refused.text
    assert left.chosen == Finding(Verdict.PASS, "the attenuation map of series 8 (Stress map) is used")


def test_the_next_ct_is_taken_where_the_best_can_not_be_read(tmp_path: Path) -> None:
    broken = ct(tmp_path, RescaleSlope=0)
    whole = ct(tmp_path, "Thorax", number=3)
    given = seen(acquisition(tmp_path), *broken, *whole)
    assert [one.name for one in given.maps] == ["the CT of series 3 (Thorax), 6 slices"]
    assert [one.verdict for one in given.findings] == [Verdict.WARN]


def test_two_cts_that_can_be_read_are_handed_over_the_best_first(tmp_path: Path) -> None:
    others = [path for hours in (1, 2) for path in ct(tmp_path, "Thorax", hours + 1, later=timedelta(hours=hours))]
    given = seen(acquisition(tmp_path), *others, *ct(tmp_path, number=4))
    assert [one.name[:20] for one in given.maps] == ["the CT of series 4 (", "the CT of series 2 ("]
    assert given.maps[0].chosen is not None
    assert "series 2 (Thorax), 6 slices isn't named as" in given.maps[0].chosen.text
    assert given.findings == ()


def test_what_a_vendors_map_leaves_unsaid_comes_with_it(tmp_path: Path) -> None:
    def lost(ds: Dataset) -> None:
        del ds.DetectorInformationSequence[0].ImagePositionPatient

    mu_map = vendor_map(tmp_path)
    assert seen(acquisition(tmp_path), mu_map).maps[0].assumptions == ()
    mu_map.write_bytes(changed(mu_map.read_bytes(), lost))
    (assumed,) = seen(acquisition(tmp_path), mu_map).maps[0].assumptions
    assert assumed == "Image Position (Patient) is not stated: the volume's middle was put at the origin"


def test_a_rule_that_insists_on_the_ct_holds_the_study_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(StudyUnsuitable, match=r"can't be used: .*Rescale Slope and Intercept are missing"):
        seen(acquisition(tmp_path), *ct(tmp_path, RescaleSlope=0), map="ct")


def test_a_reconstruction_that_is_corrected_already_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyUnsuitable, match="corrected for attenuation already"):
        seen(reconstruction(tmp_path, CorrectedImage=["UNIF", "ATTN"]))


def test_what_a_reconstruction_does_not_say_is_assumed_aloud(tmp_path: Path) -> None:
    stated = seen(reconstruction(tmp_path)).acquisition
    unstated = seen(reconstruction(tmp_path, CorrectedImage=None)).acquisition
    assert not any("Corrected Image" in words for words in stated.assumptions)
    assert unstated.assumptions[-1].startswith("Corrected Image is not stated: the reconstruction is taken as not")


def test_a_map_without_a_unit_is_no_map(tmp_path: Path) -> None:
    given = seen(acquisition(tmp_path), vendor_map(tmp_path, RealWorldValueMappingSequence=[]))
    assert given.maps == ()
    assert "Measurement Units of the attenuation map: found nothing" in given.findings[0].text


@pytest.mark.parametrize("position", [[0, -900, -300], [0, 0, 0], [0, 0, 20]])
def test_a_ct_shares_no_frame_with_an_acquisition_of_which_nobody_knows_where_it_lies(
    position: list[float], tmp_path: Path
) -> None:
    source = acquisition(tmp_path)
    source.write_bytes(changed(source.read_bytes(), detector(ImagePositionPatient=position)))
    given = seen(source, *ct(tmp_path))
    assert [one.source for one in given.maps] == [MapSource.CT]
    assert not given.acquisition.position_known
    assert not given.ct_shares_frame
    told = [(one.verdict, "only the registration tells" in one.text) for one in given.findings]
    assert (Verdict.WARN, True) in told
    chosen = given.maps[0].chosen
    assert chosen is not None
    assert "doesn't hold the heart" not in chosen.text  # where that is isn't known


def test_a_reconstruction_whose_corner_lies_at_zero_has_lost_its_place(tmp_path: Path) -> None:
    source = reconstruction(tmp_path)
    assert seen(source, *ct(tmp_path)).ct_shares_frame
    source.write_bytes(changed(source.read_bytes(), detector(ImagePositionPatient=[0, -264.3, 92.9])))
    assert not seen(source, *ct(tmp_path)).ct_shares_frame


def test_where_an_acquisition_lies_is_no_matter_while_there_is_nothing_to_lay_over_it(tmp_path: Path) -> None:
    source = acquisition(tmp_path)
    source.write_bytes(changed(source.read_bytes(), detector(ImagePositionPatient=[0, -900, -300])))
    assert seen(source).findings == ()


def test_a_private_scale_is_among_what_is_assumed_of_a_cameras_map(tmp_path: Path) -> None:
    def by_ge(ds: Dataset) -> None:
        ds.RealWorldValueMappingSequence = []
        ds.private_block(0x0011, "GEMS_GENIE_1", create=True).add_new(0x3B, "FD", 1e-4)

    mu_map = vendor_map(tmp_path)
    mu_map.write_bytes(changed(mu_map.read_bytes(), by_ge))
    assert seen(acquisition(tmp_path), mu_map).maps[0].assumptions == (
        "stored values were multiplied by GE's private Pixel Scale 0.0001",
    )
