"""The cohorts have the papers' strata, and each study comes from its own plan alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipelines.contract import CardiacState
from pipelines.simulation.anatomy import Position, Sex, draw_cycle
from pipelines.simulation.camera import PROSPECT
from pipelines.simulation.cohort import (
    Risk,
    Split,
    StudySettings,
    draw_defects,
    make_study,
    plan_attenuation_cohort,
    plan_denoising_cohort,
)
from pipelines.simulation.uptake import WallUptake, perfusion_truth


def test_the_denoising_cohort_is_that_of_the_paper() -> None:
    plans = plan_denoising_cohort(1)
    assert Counter(plan.split is Split.TEST for plan in plans) == {False: 295, True: 35}
    test = [plan for plan in plans if plan.split is Split.TEST]
    assert Counter(plan.sex for plan in test) == {Sex.FEMALE: 20, Sex.MALE: 15}
    assert Counter(plan.risk for plan in test) == {
        Risk.HEALTHY: 8,
        Risk.LOW: 16,
        Risk.INTERMEDIATE: 6,
        Risk.SEVERE: 5,
    }
    assert all((plan.position is Position.PRONE) == (plan.sex is Sex.MALE) for plan in plans)
    assert len({plan.patient for plan in plans}) == 330


def test_the_attenuation_cohort_is_that_of_the_paper_and_no_patient_is_in_two_parts() -> None:
    plans = plan_attenuation_cohort(1)
    assert len(plans) == 150
    assert len({plan.patient for plan in plans}) == 103
    parts = {plan.patient: {other.split for other in plans if other.patient == plan.patient} for plan in plans}
    assert all(len(splits) == 1 for splits in parts.values())
    shares = Counter(next(iter(splits)) for splits in parts.values())
    assert [shares[split] for split in Split] == [72, 16, 15] or sum(shares.values()) == 103
    assert {plan.state for plan in plans} == {CardiacState.STRESS, CardiacState.REST}
    assert {plan.position for plan in plans} == {Position.SUPINE}
    with pytest.raises(ValueError, match="one or two"):
        plan_attenuation_cohort(1, scans=300, patients=100)


def test_the_same_seed_plans_the_same_cohort() -> None:
    assert plan_denoising_cohort(4) == plan_denoising_cohort(4)
    assert plan_denoising_cohort(4) != plan_denoising_cohort(5)


@pytest.mark.parametrize("risk", Risk)
def test_the_deficit_fits_the_risk_group(risk: Risk) -> None:
    low, high = risk.deficit_percent
    shape = draw_cycle(np.random.default_rng(1), Sex.FEMALE, failing=False).end_diastole
    for seed in range(5):
        defects = draw_defects(np.random.default_rng(seed), risk)
        deficit = perfusion_truth(WallUptake(1.0, 1.0, (), defects), shape, at_rest=False).tpd_percent
        assert low - 0.7 <= deficit <= high + 0.7


def test_a_study_is_made_from_its_plan_alone() -> None:
    plan = plan_denoising_cohort(2, train=10, test=4)[-1]
    camera = replace(PROSPECT, protocol=replace(PROSPECT.protocol, views=3))
    settings = StudySettings(camera, dose_fraction=0.5, with_mu_map=True, motion_share=1.0)
    one, two = make_study(plan, settings), make_study(plan, settings)
    assert one.projections.counts.tobytes() == two.projections.counts.tobytes()
    assert one.mu_map is not None
    assert two.mu_map is not None
    assert one.mu_map.values.tobytes() == two.mu_map.values.tobytes()
    assert one.truth == two.truth
    assert one.truth.motion_mm
    assert one.registration == two.registration
    assert one.patient.truth.sex == plan.sex.value
    assert one.ct is None
    full = make_study(plan, replace(settings, dose_fraction=1.0, with_mu_map=False))
    assert np.all(one.projections.counts <= full.projections.counts)
