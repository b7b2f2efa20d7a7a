"""Denoised gates that beat as measured pass; gates that are alike are held back, however well they fit the counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import Verdict
from pipelines.images import Projections
from pipelines.networks.denoise import denoise
from pipelines.quality.beat_kept import beat_findings, beat_kept_percent
from pipelines.quality.heart_shadow import heart_shadow
from tests.pipelines.networks.shared import a_denoiser
from tests.pipelines.training.studies import a_study

STUDY = a_study(1, views=30, rows=24, columns=24, gates=8)
HEART = heart_shadow(STUDY.geometry, (10.0, 0.0, 0.0), 40.0)


def stilled(gated: Projections) -> Projections:
    """Return gates that are each their share of all gates."""
    share = gated.counts.sum(axis=(2, 3, 4), keepdims=True) / gated.counts.sum(axis=(1, 2, 3, 4), keepdims=True)
    return replace(gated, counts=share * gated.counts.sum(axis=1, keepdims=True))


def test_a_denoised_study_keeps_the_measured_beat_at_every_dose() -> None:
    networks = [a_denoiser()]
    for dose in (1.0, 0.25):
        made = denoise(STUDY, dose, networks).expected
        assert beat_kept_percent(STUDY, made, HEART) == pytest.approx(100.0, abs=3.0)


def test_gates_that_are_alike_keep_nothing_of_it() -> None:
    assert beat_kept_percent(STUDY, stilled(STUDY), HEART) == pytest.approx(0.0, abs=1e-3)


def test_gates_in_another_order_are_noticed() -> None:
    turned = replace(STUDY, counts=np.roll(STUDY.counts, 4, axis=1))
    assert beat_kept_percent(STUDY, turned, HEART) < 50.0


def test_an_ungated_study_has_no_beat() -> None:
    whole = STUDY.ungated()
    assert np.isnan(beat_kept_percent(whole, whole, HEART))
    assert np.isnan(beat_kept_percent(stilled(STUDY), STUDY, np.zeros_like(HEART)))


@pytest.mark.parametrize(
    ("percent", "verdict"),
    [
        (100.0, None),
        (97.0, None),
        (float("nan"), None),
        (90.0, Verdict.WARN),
        (112.0, Verdict.WARN),
        (70.0, Verdict.QUARANTINE),
        (0.0, Verdict.QUARANTINE),
        (140.0, Verdict.QUARANTINE),
    ],
)
def test_the_less_of_the_beat_is_left_the_graver(percent: float, verdict: Verdict | None) -> None:
    assert [finding.verdict for finding in beat_findings(percent)] == ([] if verdict is None else [verdict])
