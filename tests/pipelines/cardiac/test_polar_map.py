"""The polar map: even walls are even, and a defect lands in the segment that it has in the patient."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.cardiac.left_ventricle import find_left_ventricle
from pipelines.cardiac.polar_map import BASAL_MARGIN_MM, PolarMap, as_disk, polar_map
from pipelines.cardiac.segments import (
    ANGLES,
    NAMES,
    RINGS,
    SEGMENTS_OF,
    Territory,
    angles_deg,
    segment_map,
    segment_means,
)
from tests.pipelines.cardiac.hearts import NEAR_GRID, Heart, seen, without


def map_of(heart: Heart) -> PolarMap:
    volume = seen(heart, NEAR_GRID)
    return polar_map(volume, find_left_ventricle(volume))


@pytest.fixture(scope="module")
def even() -> PolarMap:
    return map_of(Heart())


def test_an_even_wall_gives_an_even_map(even: PolarMap) -> None:
    around = even.counts / even.counts.mean(axis=1, keepdims=True)
    assert np.abs(around - 1.0).max() < 0.05
    # The blur makes the apex hotter and the edge at the valves fainter; between them the wall is one.
    middle = even.counts[6:18].mean(axis=1)
    assert middle.std() / middle.mean() < 0.04


def test_the_maps_area_is_that_of_the_wall(even: PolarMap) -> None:
    heart = Heart()
    level = np.linspace(heart.base + BASAL_MARGIN_MM, heart.half_length, 4001) / heart.half_length
    level = (level[1:] + level[:-1]) / 2
    ring = 2 * np.pi * heart.half_width * np.sqrt(heart.half_length**2 - (heart.half_length**2 - 26.0**2) * level**2)
    true = float(ring.mean() * (level[-1] - level[0]))
    assert float(even.area_mm2.sum()) == pytest.approx(true, rel=0.15)  # of the ridge, which is a little inward


# Directions from the middle of a heart that points 45 degrees left of ahead and 25 down, in the patient (LPS).
DEFECTS = {
    "anterior": ((0.3, -0.3, 0.9), {7, 1, 13}),
    "septal": ((-0.7, -0.7, 0.0), {8, 9, 2, 3, 14}),
    "inferior": ((-0.3, 0.3, -0.9), {10, 4, 15}),
    "lateral": ((0.7, 0.7, 0.0), {11, 12, 5, 6, 16}),
    "apical": ((0.64, -0.64, -0.42), {17}),
}


@pytest.mark.parametrize("wall", DEFECTS)
def test_a_defect_lands_where_it_is_in_the_patient(wall: str, even: PolarMap) -> None:
    direction, segments = DEFECTS[wall]
    ill = map_of(Heart(uptake=without(np.array(direction), 38.0, 0.3)))
    left = np.array(segment_means(ill.counts / even.counts, even.area_mm2))
    assert int(np.argmin(left)) + 1 in segments
    assert left.min() < 0.75
    opposite = {"anterior": 10, "septal": 11, "inferior": 7, "lateral": 8, "apical": 4}[wall]
    assert left[opposite - 1] > 0.9


def test_the_deeper_the_defect_the_lower_the_map(even: PolarMap) -> None:
    direction = np.array(DEFECTS["lateral"][0])
    lows = [
        min(segment_means(map_of(Heart(uptake=without(direction, 35.0, left))).counts / even.counts, even.area_mm2))
        for left in (0.9, 0.6, 0.3)
    ]
    assert lows[0] > lows[1] + 0.1 > lows[2] + 0.2


def test_segments_are_the_seventeen_of_the_convention() -> None:
    members = segment_map()
    assert members.shape == (RINGS, ANGLES)
    assert set(members.ravel().tolist()) == set(range(1, 18))
    assert len(NAMES) == 17

    def at(ring: float, angle: float) -> int:
        return int(members[int(ring * RINGS), int(angle / 360 * ANGLES)])

    basal = [at(0.9, angle) for angle in (90, 150, 210, 270, 330, 30)]
    mid = [at(0.6, angle) for angle in (90, 150, 210, 270, 330, 30)]
    apical = [at(0.3, angle) for angle in (90, 180, 270, 10)]
    assert (basal, mid, apical, at(0.05, 0)) == ([1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12], [13, 14, 15, 16], 17)


def test_each_segment_has_one_territory() -> None:
    assert sorted(number for numbers in SEGMENTS_OF.values() for number in numbers) == list(range(1, 18))
    assert 7 in SEGMENTS_OF[Territory.LAD]
    assert 10 in SEGMENTS_OF[Territory.RCA]
    assert 12 in SEGMENTS_OF[Territory.LCX]


def test_the_disk_shows_anterior_up_and_septum_left() -> None:
    angle = np.broadcast_to(angles_deg(), (RINGS, ANGLES))
    disk = as_disk(angle, 200)
    assert disk[10, 100] == pytest.approx(90, abs=10)
    assert disk[100, 10] == pytest.approx(180, abs=10)
    assert disk[190, 100] == pytest.approx(270, abs=10)
    assert np.isnan(disk[0, 0])
    rings = as_disk(np.broadcast_to(np.arange(RINGS)[:, None], (RINGS, ANGLES)).astype(float), 200)
    assert rings[100, 100] == 0
    assert rings[100, 199] == RINGS - 1


def test_a_map_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="24 rings x 72 angles"):
        PolarMap(np.ones((10, 36)), np.ones((10, 36)), np.zeros((10, 36)))
