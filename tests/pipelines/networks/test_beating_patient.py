"""The shipped networks on a gated virtual patient: its heart beats after denoising as it did before."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.cardiac.left_ventricle import find_left_ventricle
from pipelines.evaluation.denoising.low_dose_table import plans
from pipelines.evaluation.denoising.reading import beat_percent, ejection_fraction, reconstructed
from pipelines.networks.denoise import Denoised, denoise, load_denoiser
from pipelines.simulation.acquisition import thin
from pipelines.simulation.camera import CAMERAS
from pipelines.simulation.cohort import SimulatedStudy, StudySettings, make_study

DOSE = 0.5


@pytest.fixture(scope="module")
def study() -> SimulatedStudy:
    """A gated study at full dose."""
    return make_study(plans(1, 1)[0], StudySettings(CAMERAS["prospect"], gated=True))


@pytest.fixture(scope="module")
def denoised(study: SimulatedStudy) -> Denoised:
    """What the shipped networks make of half of its photons."""
    _, networks = load_denoiser()
    return denoise(thin(study.projections, DOSE, np.random.default_rng(1)), DOSE, networks)


def test_the_ejection_fraction_is_that_of_the_gates_without_noise(study: SimulatedStudy, denoised: Denoised) -> None:
    true, read = (
        ejection_fraction(gated, find_left_ventricle(reconstructed(gated.ungated())))
        for gated in (study.expected, denoised.expected)
    )
    assert true is not None
    assert true > 50.0
    assert read == pytest.approx(true, abs=10.0)


def test_the_gates_show_the_true_beat(study: SimulatedStudy, denoised: Denoised) -> None:
    truth = study.expected.photopeak_counts()
    assert beat_percent(denoised.expected.photopeak_counts(), truth) == pytest.approx(100.0, abs=20.0)


def test_most_of_the_noise_of_the_gates_is_gone(study: SimulatedStudy, denoised: Denoised) -> None:
    truth = study.expected.photopeak_counts()
    low = thin(study.projections, DOSE, np.random.default_rng(1)).photopeak_counts() / DOSE
    noise = float(np.std(denoised.expected.photopeak_counts() - truth))
    assert noise < 0.4 * float(np.std(low - truth))
