"""Extent, severity, TPD and scores against maps whose answer is known by construction."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipelines.cardiac.polar_map import PolarMap
from pipelines.cardiac.quantification import (
    NormalLimits,
    normal_limits,
    perfusion,
    scaled,
    summed_difference_score,
)
from pipelines.cardiac.segments import ANGLES, RINGS, segment_map

PATTERN = 100.0 + 10.0 * np.cos(np.radians(5.0 * np.arange(ANGLES)))[None, :] * np.linspace(0.2, 1.0, RINGS)[:, None]


def polar(counts: np.ndarray) -> PolarMap:
    area = np.repeat(np.linspace(2.0, 25.0, RINGS)[:, None], ANGLES, axis=1)
    return PolarMap(counts, area, np.zeros((RINGS, ANGLES)))


def a_normal(seed: int, height: float = 1.0) -> PolarMap:
    rng = np.random.default_rng(seed)
    return polar(height * PATTERN * (1.0 + 0.05 * rng.normal(size=(RINGS, ANGLES))))


@pytest.fixture(scope="module")
def limits() -> NormalLimits:
    return normal_limits("made up", [a_normal(seed, 10.0 ** (seed % 5)) for seed in range(20)])


def test_limits_give_back_pattern_and_spread_whatever_the_counts(limits: NormalLimits) -> None:
    wanted = 100.0 * PATTERN / np.average(PATTERN, weights=polar(PATTERN).area_mm2)
    assert np.abs(limits.mean / wanted - 1.0).max() < 0.06
    assert float((limits.sd / limits.mean).mean()) == pytest.approx(0.05, rel=0.1)
    assert limits.number == 20


def test_a_normal_heart_has_no_deficit(limits: NormalLimits) -> None:
    found = perfusion(a_normal(99, 7.0), limits)
    assert found.tpd_percent < 0.2
    assert found.extent_percent < 2.0
    assert found.summed_score == 0
    np.testing.assert_allclose(found.segments_percent, 100.0, atol=3.0)


@pytest.mark.parametrize("left", [0.1, 0.5, 0.7])
def test_a_known_defect_is_measured(limits: NormalLimits, left: float) -> None:
    ill = np.isin(segment_map(), (1, 7, 13))
    heart = polar(limits.mean * np.where(ill, left, 1.0) * 3.0)
    share = heart.area_mm2[ill].sum() / heart.area_mm2.sum()
    found = perfusion(heart, limits)
    assert found.extent_percent == pytest.approx(100 * share, abs=0.01)
    assert found.severity_percent == pytest.approx(100 * (1 - left), abs=0.1)
    threshold = 1.0 - 2.5 * float((limits.sd / limits.mean)[ill].mean())
    each = min((threshold - left) / (threshold - 0.3), 1.0)
    assert found.tpd_percent == pytest.approx(100 * share * each, rel=0.05)
    assert [found.segments_percent[index] for index in (0, 6, 12)] == pytest.approx([100 * left] * 3, abs=0.1)
    assert {found.scores[index] for index in (0, 6, 12)} == {round(4 * each)}
    assert found.summed_score == 3 * round(4 * each)
    assert found.summed_percent == pytest.approx(100 * found.summed_score / 68)
    np.testing.assert_array_equal(found.abnormal, ill)


def test_the_scale_is_taken_from_the_healthy_part_even_if_it_is_the_smaller(limits: NormalLimits) -> None:
    ill = np.zeros((RINGS, ANGLES), dtype=bool)
    ill[:, :42] = True
    values = scaled(polar(limits.mean * np.where(ill, 0.4, 1.0) * 55.0), limits)
    np.testing.assert_allclose(values[~ill], limits.mean[~ill], rtol=0.01)


def test_one_hot_spot_does_not_make_the_rest_ill(limits: NormalLimits) -> None:
    values = limits.mean.copy()
    values[18:22, 50:56] *= 2.5
    assert perfusion(polar(values), limits).tpd_percent < 1.0


def test_a_map_without_counts_is_wholly_abnormal(limits: NormalLimits) -> None:
    found = perfusion(polar(np.zeros((RINGS, ANGLES))), limits)
    assert found.tpd_percent == pytest.approx(100.0)
    assert found.summed_score == 68


def test_what_is_back_at_rest_is_the_difference(limits: NormalLimits) -> None:
    ill = np.isin(segment_map(), (4, 10))
    stress = perfusion(polar(limits.mean * np.where(ill, 0.3, 1.0)), limits)
    rest = perfusion(polar(limits.mean), limits)
    assert summed_difference_score(stress, rest) == stress.summed_score == 8


def test_limits_survive_writing_and_name_themselves_by_a_hash(limits: NormalLimits) -> None:
    again = NormalLimits.from_json(limits.as_json())
    assert again.sha256 == limits.sha256
    np.testing.assert_allclose(again.mean, limits.mean, atol=1e-6)
    assert perfusion(a_normal(1), again).limits_sha256 == limits.sha256


def test_limits_that_were_changed_are_refused(limits: NormalLimits) -> None:
    content = json.loads(limits.as_json())
    content["mean"][3][4] += 1.0
    with pytest.raises(ValueError, match="they were changed"):
        NormalLimits.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mean": 1}'])
def test_what_is_no_limits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        NormalLimits.from_json(text)


def test_too_few_hearts_make_no_limits() -> None:
    with pytest.raises(ValueError, match="7 normal hearts are too few"):
        normal_limits("few", [a_normal(seed) for seed in range(7)])
