"""Which CT belongs to an acquisition: the right one is chosen, and the report says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomnode.objects.map_choice import MapChoice, choose_maps, why_chosen
from pipelines.contract import Verdict
from pipelines.geometry import VoxelGrid
from tests.dicomnode.objects.spect_ct import STUDY, acquisition, ct, header, vendor_map

ELSEWHERE = replace(STUDY, frame_of_reference="2")
NARROW = VoxelGrid.axial((6, 10, 10), (40.0, 20.0, 20.0), (0.0, 0.0, 0.0))
TOO_LOW = VoxelGrid.axial((6, 10, 10), (40.0, 40.0, 40.0), (0.0, 0.0, -150.0))
BEHIND: dict[str, tuple[dict[str, Any], str]] = {
    "another frame": ({"study": ELSEWHERE}, "was taken in another frame of reference"),
    "calcium score": ({"grid": NARROW}, "doesn't hold the heart and the whole width of the body"),
    "another height": ({"grid": TOO_LOW}, "doesn't hold the heart and the whole width of the body"),
    "angiography": ({"ContrastBolusAgent": "Iopromide"}, "was taken with a contrast medium"),
    "diagnostic": ({"name": "Thorax"}, "isn't named as one for attenuation correction"),
    "rest": ({"name": "CT AC rest"}, "doesn't belong to the same state, stress or rest"),
    "high dose": ({"Exposure": 200}, "isn't a low-dose one"),
    "an hour later": ({"later": timedelta(hours=1)}, "was taken farther away in time"),
}


def choice(folder: Path, *files: Path) -> MapChoice:
    return choose_maps(header(acquisition(folder)), files)


@pytest.mark.parametrize("name", BEHIND)
def test_the_ct_for_attenuation_correction_is_chosen_and_what_the_other_lacks_is_said(
    name: str, tmp_path: Path
) -> None:
    made, words = BEHIND[name]
    other = ct(tmp_path, **{"number": 2, "name": "CT AC stress", **made})
    right = ct(tmp_path, number=3, name="CT AC stress")
    chosen = choice(tmp_path, *other, *right)
    assert set(chosen.ct[0].paths) == set(right)
    if name == "another frame":
        assert len(chosen.ct) == 1  # never to be used while one shares the frame
        return
    said = why_chosen(chosen.ct[0], chosen.ct[1:])
    assert said.verdict is Verdict.PASS
    assert "the CT of series 3 (CT AC stress), 6 slices is used; the CT of series 2" in said.text
    assert said.text.endswith(words)


@pytest.mark.parametrize("name", ["another frame", "calcium score", "angiography"])
def test_a_doubtful_ct_is_used_where_there_is_no_other_but_not_in_silence(name: str, tmp_path: Path) -> None:
    chosen = choice(tmp_path, *ct(tmp_path, **BEHIND[name][0]))
    assert why_chosen(chosen.ct[0], ()).verdict is Verdict.WARN


@pytest.mark.parametrize("words", ["AC_CT 5.0", "Low-dose", "MYOCARD CTAC", "Attenuation corr."])
def test_scanners_name_their_ct_in_many_ways(words: str, tmp_path: Path) -> None:
    named, plain = ct(tmp_path, words, number=2), ct(tmp_path, "Thorax", number=3, later=timedelta(minutes=-1))
    assert set(choice(tmp_path, *named, *plain).ct[0].paths) == set(named)


def test_each_acquisition_of_a_study_gets_the_map_of_its_own_frame(tmp_path: Path) -> None:
    stress, rest = vendor_map(tmp_path), vendor_map(tmp_path, ELSEWHERE, 9)
    assert [one.paths for one in choice(tmp_path, stress, rest).maps] == [(stress,)]
    lost = choice(tmp_path, rest)
    assert lost.maps == ()
    assert [finding.verdict for finding in lost.findings] == [Verdict.WARN]
    assert "it lies in another frame of reference" in lost.findings[0].text


@pytest.mark.parametrize(("name", "same_state"), [("CT AC stress", 1), ("CT AC", 0), ("CT AC rest", -1)])
def test_a_ct_that_does_not_say_stress_or_rest_stands_between_those_that_do(
    name: str, same_state: int, tmp_path: Path
) -> None:
    assert choice(tmp_path, *ct(tmp_path, name)).ct[0].same_state == same_state


def test_the_same_files_in_another_order_give_the_same_choice(tmp_path: Path) -> None:
    files = [*ct(tmp_path, number=2), *ct(tmp_path, number=3), vendor_map(tmp_path)]
    assert choice(tmp_path, *files) == choice(tmp_path, *reversed(files))
