"""How a measured map lies: what is said of its way, and whether it holds the heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import Verdict
from pipelines.geometry import VoxelGrid
from pipelines.images import Unit, Volume
from pipelines.quality.map_place import (
    Extent,
    by_hand_findings,
    left_findings,
    moved_findings,
    unregistered_findings,
)

GRID = VoxelGrid.axial((10, 8, 8), (5.0, 10.0, 10.0), (0.0, 0.0, 0.0))  # from -25 to 25 mm along the body
BODY = Volume(np.full(GRID.shape, 0.15, dtype=np.float32), GRID, Unit.PER_CM)


@pytest.mark.parametrize(
    ("moved", "turned", "before", "after", "same_frame", "verdict", "words"),
    [
        (4.0, 1.0, 0.93, 0.96, True, Verdict.PASS, "agree to 93 % before, 96 % after"),
        (18.0, 1.0, 0.90, 0.96, True, Verdict.WARN, "check that the map lies right"),
        (4.0, 7.0, 0.90, 0.96, True, Verdict.WARN, "turned by 7°"),
        (30.0, 1.0, 0.80, 0.96, True, Verdict.QUARANTINE, "more than a patient moves"),
        (4.0, 1.0, 0.96, 0.90, True, Verdict.QUARANTINE, "doesn't fit this patient"),
        (4.0, 1.0, 0.60, 0.70, True, Verdict.QUARANTINE, "doesn't fit this patient"),
        (300.0, 1.0, 0.0, 0.96, False, Verdict.WARN, "no frame of reference tells"),
    ],
)
def test_a_registration_is_judged_by_how_far_it_went_and_how_well_outlines_agree(
    moved: float, turned: float, before: float, after: float, same_frame: bool, verdict: Verdict, words: str
) -> None:
    (finding,) = moved_findings(moved, turned, before, after, same_frame=same_frame)
    assert finding.verdict is verdict
    assert words in finding.text


@pytest.mark.parametrize(
    ("moved", "turned", "before", "verdict", "words"),
    [
        (4.0, 1.0, 0.93, Verdict.PASS, "left where it came; a registration would move it by 4 mm and turn it by 1°"),
        (18.0, 1.0, 0.93, Verdict.WARN, "check that the map lies right"),
        (4.0, 6.0, 0.93, Verdict.WARN, "check that the map lies right"),
        (30.0, 1.0, 0.93, Verdict.QUARANTINE, "too far"),
        (4.0, 1.0, 0.60, Verdict.QUARANTINE, "doesn't fit this patient"),
    ],
)
def test_a_vendors_map_is_judged_by_how_far_a_registration_would_move_it(
    moved: float, turned: float, before: float, verdict: Verdict, words: str
) -> None:
    (finding,) = left_findings(moved, turned, before, 0.95)
    assert finding.verdict is verdict
    assert words in finding.text


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(0.8, 0.95, Verdict.PASS), (0.95, 0.85, Verdict.WARN), (0.8, 0.7, Verdict.QUARANTINE)],
)
def test_a_shift_by_hand_is_told_and_judged_by_the_outlines(before: float, after: float, verdict: Verdict) -> None:
    (finding,) = by_hand_findings((0.0, -3.5, 40.0), before, after)
    assert finding.verdict is verdict
    assert "moved by hand by 0, -3.5, 40 mm (map_shift_mm)" in finding.text


def test_a_map_that_nobody_compared_is_remarked_on_and_held_if_nothing_tells_its_place() -> None:
    assert [one.verdict for one in unregistered_findings(same_frame=True)] == [Verdict.WARN]
    assert [one.verdict for one in unregistered_findings(same_frame=False)] == [Verdict.QUARANTINE]


def test_places_beyond_a_maps_ends_are_counted() -> None:
    places = np.array([[0.0, 0.0, z] for z in (-40.0, -24.0, 0.0, 24.0, 26.0)] + [[60.0, 0.0, 0.0]])
    assert Extent.of(BODY).share_outside(places) == pytest.approx(3 / 6)


def test_slices_that_a_camera_left_empty_are_no_part_of_a_map() -> None:
    values = BODY.values.copy()
    values[:5] = 0.0
    values[7] = 0.0  # nothing ends there
    padded = Extent.of(replace(BODY, values=values))
    assert padded.share_outside(np.array([[0.0, 0.0, -12.0]])) == 1.0
    assert padded.share_outside(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 12.0], [0.0, 0.0, 24.0]])) == 0.0
    assert Extent.of(replace(BODY, values=np.zeros_like(values))).share_outside(np.zeros((1, 3))) == 1.0
