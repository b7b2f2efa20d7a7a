"""What a run gets to see of a study: its acquisition, and the CT or map that can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.errors import StudyUnsuitable
from dicomnode.objects.run_input import read_input, run_sources
from pipelines.contract import PipelineInput, Verdict
from pipelines.images import Unit
from tests.dicomnode.objects.acquisitions import detector
from tests.dicomnode.objects.spect_ct import WHOLE, acquisition, ct, reconstruction, uid, vendor_map
from tests.factories import changed


def seen(source: Path, *companions: Path, **options: str) -> PipelineInput:
    return read_input(run_sources(source, uid(source), companions), options)


def test_an_acquisition_alone_is_all_there_is(tmp_path: Path) -> None:
    given = seen(acquisition(tmp_path))
    assert given.acquisition.projections is not None
    assert (given.ct, given.mu_map, given.findings) == (None, None, ())


def test_ct_and_map_come_with_it_and_the_choice_is_told(tmp_path: Path) -> None:
    given = seen(acquisition(tmp_path), *ct(tmp_path), vendor_map(tmp_path))
    assert given.ct is not None
    assert (given.ct.unit, given.ct.grid.shape) == (Unit.HOUNSFIELD, WHOLE.shape)
    assert given.mu_map is not None
    assert given.mu_map.unit is Unit.PER_CM
    assert given.ct_shares_frame
    assert [(one.verdict, one.text) for one in given.findings] == [
        (Verdict.PASS, "the CT of series 2 (CT for AC), 6 slices is used")
    ]


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
    assert given.ct is None
    assert given.mu_map is not None
    refused, used = given.findings
    assert refused.verdict is Verdict.WARN
    assert "the CT of series 2 (CT for AC), 5 slices can't be used: between the CT slices at" in refused.text
    assert used.text == "the attenuation map of series 8 (Stress map) is used"


def test_the_next_ct_is_taken_where_the_best_can_not_be_read(tmp_path: Path) -> None:
    broken = ct(tmp_path, RescaleSlope=0)
    whole = ct(tmp_path, "Thorax", number=3)
    given = seen(acquisition(tmp_path), *broken, *whole)
    assert given.ct is not None
    assert [one.verdict for one in given.findings] == [Verdict.WARN, Verdict.PASS]
    assert "series 3 (Thorax), 6 slices is used" in given.findings[1].text


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
    assert given.mu_map is None
    assert "Measurement Units of the attenuation map: found nothing" in given.findings[0].text


@pytest.mark.parametrize("position", [[0, -900, -300], [0, 0, 0], [0, 0, 20]])
def test_a_ct_shares_no_frame_with_an_acquisition_of_which_nobody_knows_where_it_lies(
    position: list[float], tmp_path: Path
) -> None:
    source = acquisition(tmp_path)
    source.write_bytes(changed(source.read_bytes(), detector(ImagePositionPatient=position)))
    given = seen(source, *ct(tmp_path))
    assert given.ct is not None
    assert not given.acquisition.position_known
    assert not given.ct_shares_frame
    told = [(one.verdict, "only the registration tells" in one.text) for one in given.findings]
    assert (Verdict.WARN, True) in told
    assert "doesn't hold the heart" not in given.findings[0].text  # where that is isn't known


def test_a_reconstruction_whose_corner_lies_at_zero_has_lost_its_place(tmp_path: Path) -> None:
    source = reconstruction(tmp_path)
    assert seen(source, *ct(tmp_path)).ct_shares_frame
    source.write_bytes(changed(source.read_bytes(), detector(ImagePositionPatient=[0, -264.3, 92.9])))
    assert not seen(source, *ct(tmp_path)).ct_shares_frame


def test_where_an_acquisition_lies_is_no_matter_while_there_is_nothing_to_lay_over_it(tmp_path: Path) -> None:
    source = acquisition(tmp_path)
    source.write_bytes(changed(source.read_bytes(), detector(ImagePositionPatient=[0, -900, -300])))
    assert seen(source).findings == ()


def test_what_is_assumed_of_a_camera_s_map_stands_among_the_checks(tmp_path: Path) -> None:
    def by_ge(ds: Dataset) -> None:
        ds.RealWorldValueMappingSequence = []
        ds.private_block(0x0011, "GEMS_GENIE_1", create=True).add_new(0x3B, "FD", 1e-4)

    mu_map = vendor_map(tmp_path)
    mu_map.write_bytes(changed(mu_map.read_bytes(), by_ge))
    given = seen(acquisition(tmp_path), mu_map)
    assert given.mu_map is not None
    assert [one.text for one in given.findings] == [
        "the attenuation map of series 8 (Stress map) is used",
        "of the attenuation map of series 8 (Stress map): stored values were multiplied by GE's private Pixel Scale "
        "0.0001",
    ]
