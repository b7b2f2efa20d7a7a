"""The shipped networks on a virtual patient of no training: its map is nearer to the truth than a uniform body's."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.agreement.image_quality import nmae
from pipelines.evaluation.attenuation.uniform import uniform_map
from pipelines.images import Array
from pipelines.networks.mu_map_predict import load_mu_map_model, predict_mu_map
from pipelines.physics.table import without_table
from pipelines.reconstruction.emission_images import EmissionImages, emission_images
from pipelines.resampling import resample
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import SimulatedStudy, StudySettings, make_study, plan_attenuation_cohort

SEED = 77  # of neither training nor thresholds nor evaluation
MOST_NMAE = 0.03  # the mean over patients is 0.02


@pytest.fixture(scope="module")
def study() -> SimulatedStudy:
    """A study with its true map."""
    (plan,) = plan_attenuation_cohort(SEED, 1, 1)
    return make_study(plan, StudySettings(CAMERAS["symbia"], with_mu_map=True, misregistered=False))


@pytest.fixture(scope="module")
def images(study: SimulatedStudy) -> EmissionImages:
    """What the networks see of it."""
    return emission_images(study.projections)


def told(images: EmissionImages, with_scatter: bool) -> Array:
    """Return the map of the shipped networks."""
    model = load_mu_map_model()
    scatter = images.scatter if with_scatter else None
    return predict_mu_map(images.levels, scatter, model.networks, voxel_mm=model.voxel_mm).mu_map.values


@pytest.mark.parametrize("with_scatter", [True, False])
def test_the_map_is_nearer_to_the_truth_than_a_uniform_body(
    study: SimulatedStudy, images: EmissionImages, with_scatter: bool
) -> None:
    assert study.mu_map is not None
    assert images.scatter is not None
    emission = images.levels[-1]
    true = without_table(resample(study.mu_map, emission.grid))
    known = true.values.any(axis=(1, 2))
    ours = nmae(told(images, with_scatter)[known], true.values[known])
    assert ours < MOST_NMAE
    assert ours < 0.7 * nmae(uniform_map(emission).values[known], true.values[known])


def test_lungs_are_lungs_and_soft_tissue_is_soft(study: SimulatedStudy, images: EmissionImages) -> None:
    assert study.mu_map is not None
    true = resample(study.mu_map, images.levels[-1].grid).values
    ours = told(images, with_scatter=True)
    lung, soft = (true > 0.03) & (true < 0.06), (true > 0.14) & (true < 0.16)
    assert np.median(ours[lung]) < 0.07
    assert np.median(ours[soft]) == pytest.approx(np.median(true[soft]), rel=0.05)
