"""The guard's figures of a mu-map: small where map, heart and emission fit, large where one of them does not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipelines.cardiac.heart_frame import LeftVentricle, Spheroid
from pipelines.cardiac.polar_map import PolarMap, polar_map
from pipelines.contract import Verdict
from pipelines.images import Unit, Volume
from pipelines.physics.attenuation import WATER_PER_CM, water_per_cm
from pipelines.quality.guard import judge
from pipelines.quality.map_guard import (
    ANATOMY_LIMITS,
    MEASURED_CHECKS,
    MEASURED_LIMITS,
    Corrected,
    map_figures,
    unasked,
    wall_places_mm,
    why_untold,
)
from pipelines.reconstruction.emission_images import emission_images
from pipelines.resampling import resample
from tests.pipelines.cardiac.hearts import Heart
from tests.pipelines.chests import a_mu_map, projections

PLACE = Heart()
WALL = Spheroid(PLACE.middle, tuple(PLACE.axis.tolist()), PLACE.half_width, PLACE.half_length)
VENTRICLE = LeftVentricle(WALL, WALL, PLACE.base, 1.0)


@cache
def sound() -> Corrected:
    emission = emission_images(projections()).levels[-1]
    mu_map = resample(a_mu_map(), emission.grid)
    before = polar_map(emission, VENTRICLE)
    after = replace(before, counts=4.5 * before.counts)
    return Corrected(mu_map, emission, VENTRICLE, before, after, np.full((2, 5, 3), 0.2))


def figures(**changed: object) -> dict[str, float]:
    return map_figures(replace(sound(), **changed))  # type: ignore[arg-type]


def scaled(share: float) -> Volume:
    return replace(sound().mu_map, values=(sound().mu_map.values * share).astype(np.float32))


def test_a_map_that_fits_passes_the_limits_of_measured_maps() -> None:
    (finding,) = judge(map_figures(sound()), MEASURED_LIMITS, MEASURED_CHECKS)
    assert finding.verdict is Verdict.PASS
    assert map_figures(sound())["factor_spread_percent"] == 0.0


def test_a_map_without_lungs_and_one_of_lungs_alone_stand_out() -> None:
    mu = sound().mu_map.values
    filled = replace(sound().mu_map, values=np.where(mu > 0.02, 0.152, 0.0).astype(np.float32))
    usual = map_figures(sound())
    assert figures(mu_map=filled)["lung_share"] > usual["lung_share"] + 0.1
    assert figures(mu_map=scaled(0.3))["soft_tissue"] == 1.0
    assert figures(mu_map=scaled(1.1))["soft_tissue"] == pytest.approx(0.1, abs=0.02)


def test_lungs_below_the_heart_tell_that_a_map_is_upside_down() -> None:
    turned = replace(sound().mu_map, values=np.ascontiguousarray(sound().mu_map.values[::-1]))
    below, turned_below = map_figures(sound())["lungs_below"], figures(mu_map=turned)["lungs_below"]
    assert below < ANATOMY_LIMITS["lungs_below.warn"]
    assert turned_below == pytest.approx(1.0 - below, abs=0.1)
    assert turned_below > ANATOMY_LIMITS["lungs_below.quarantine"]


def test_a_field_that_ends_near_the_heart_does_not_tell_what_is_up_and_says_so() -> None:
    emission, heart_mm = sound().emission, VENTRICLE.center_mm[2]
    heights = emission.grid.matrix[2, 3] + emission.grid.matrix[2, 2] * np.arange(emission.grid.shape[0])
    near = np.abs(heights - heart_mm) < 90.0
    values = np.where(near[:, None, None], sound().mu_map.values[::-1], 0.0).astype(np.float32)
    short = replace(sound(), mu_map=replace(sound().mu_map, values=values))
    found = map_figures(short)
    assert np.isnan(found["lungs_below"])
    (figure,) = unasked(short, found)
    assert figure == "lungs_below"
    assert "less than 10 cm of the patient are seen" in unasked(short, found)[figure]
    assert unasked(sound(), map_figures(sound())) == {}


def test_a_map_of_another_outline_or_place_stands_out() -> None:
    usual = map_figures(sound())
    aside = replace(sound().mu_map, values=np.roll(sound().mu_map.values, 6, axis=2))
    assert figures(mu_map=aside)["body_outline"] > usual["body_outline"] + 0.05
    assert usual["heart_in_lung"] < 0.05
    assert figures(mu_map=aside)["heart_in_lung"] > 0.1


def test_a_correction_that_changes_too_little_or_unevenly_stands_out() -> None:
    before = sound().polar_before
    assert isinstance(before, PolarMap)
    assert map_figures(sound())["correction"] < 0.1
    assert figures(polar_after=before)["correction"] == pytest.approx(1.5)
    lopsided = before.counts * np.linspace(1.0, 6.0, before.counts.shape[1])
    assert figures(polar_after=replace(before, counts=lopsided))["segment_ratio"] > 2.2
    assert map_figures(sound())["segment_ratio"] == pytest.approx(1.0)


def test_what_networks_disagree_about_is_told_in_percent_of_what_leaves_the_heart() -> None:
    factors = np.full((2, 5, 3), 0.2)
    factors[1] *= 1.2
    assert figures(factors=factors)["factor_spread_percent"] == pytest.approx(100 * 0.1 / 1.1)
    assert np.isnan(figures(factors=factors[:1])["factor_spread_percent"])


def test_without_a_heart_the_figures_of_the_heart_are_untold_and_hold_the_study() -> None:
    unseen = replace(sound(), ventricle=None, polar_before=None, polar_after=None, factors=None)
    found = map_figures(unseen)
    assert np.isnan([found["heart_in_lung"], found["correction"], found["segment_ratio"]]).all()
    assert np.isfinite(found["body_outline"])
    (finding,) = judge(found, MEASURED_LIMITS, MEASURED_CHECKS, why_untold(unseen))
    assert finding.verdict is Verdict.QUARANTINE
    assert "no left ventricle was found" in finding.text
    assert unasked(unseen, found) == {}


def test_an_empty_map_has_no_anatomy() -> None:
    empty = Volume(np.zeros_like(sound().mu_map.values), sound().mu_map.grid, Unit.PER_CM)
    found = figures(mu_map=empty)
    assert np.isnan(found["lung_share"])
    assert found["heart_in_lung"] == 1.0
    assert why_untold(replace(sound(), mu_map=empty)) == "map and emission have no slice in common"


def test_places_lie_on_the_wall_between_apex_and_valve_plane() -> None:
    places = wall_places_mm(VENTRICLE)
    along = WALL.along_mm(places)
    assert along.min() > PLACE.base
    assert along.max() == pytest.approx(PLACE.half_length, abs=1.0)
    assert len(places) > 100


@pytest.mark.parametrize("energy_kev", [71.0, 159.0])
def test_a_map_for_other_photons_is_judged_as_it_would_be_for_technetiums(energy_kev: float) -> None:
    share = water_per_cm(energy_kev) / WATER_PER_CM
    before = sound().polar_before
    assert isinstance(before, PolarMap)
    lopsided = before.counts * np.linspace(3.0, 6.0, before.counts.shape[1])
    technetium = figures(polar_after=replace(before, counts=lopsided))
    other = figures(
        mu_map=scaled(share),
        energy_kev=energy_kev,
        polar_after=replace(before, counts=before.counts * (lopsided / before.counts) ** share),
    )
    assert other == pytest.approx(technetium, abs=0.03, nan_ok=True)
    unaware = figures(mu_map=scaled(share))
    assert unaware["soft_tissue"] > technetium["soft_tissue"] + 0.02


def test_photons_that_no_table_knows_can_not_be_judged() -> None:
    with pytest.raises(ValueError, match="511 keV"):
        figures(energy_kev=511.0)
