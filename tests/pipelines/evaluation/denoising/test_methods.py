"""What the denoising evaluation compares: filters, the paper's network, our own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.evaluation.denoising.methods import STRENGTHS, ModelChoice, estimates, filtered, load_models
from pipelines.evaluation.denoising.record import Dose, Method
from pipelines.evaluation.denoising.tuning import CANDIDATES, best_strength
from pipelines.geometry import AcquisitionGeometry
from pipelines.images import EnergyWindow, Projections
from pipelines.networks.adversarial import Generator
from pipelines.networks.denoise import denoise
from pipelines.networks.weights import ModelCard, WeightsError, write_model
from tests.pipelines.evaluation.denoising.records import tiny_models

FILTERS = (Method.GAUSSIAN, Method.BUTTERWORTH, Method.NON_LOCAL_MEANS)
VIEWS, PIXELS = 6, 64


def expected_counts(gates: int = 1) -> Projections:
    """A bright disk on a faint one; four empty rows at the top and bottom as beyond a crystal."""
    row, column = np.mgrid[:PIXELS, :PIXELS] - 31.5
    frame = 4.0 * (np.hypot(row, column) < 24) + 30.0 * (np.hypot(row - 4, column + 6) < 7)
    frame[:4] = frame[-4:] = 0.0
    counts = np.broadcast_to(frame / gates, (1, gates, VIEWS, PIXELS, PIXELS)).astype(np.float32)
    geometry = AcquisitionGeometry(tuple(np.linspace(225, 50, VIEWS)), (6.4, 6.4), PIXELS, PIXELS)
    return Projections(counts.copy(), geometry, (EnergyWindow(126.0, 154.0),))


def counted(expected: Projections, share: float, seed: int = 1) -> Projections:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(share * expected.counts.astype(np.float64)).astype(np.float32)
    return Projections(counts, expected.geometry, expected.windows)


def error(image: Projections, truth: Projections) -> float:
    return float(np.sqrt(np.mean((image.counts - truth.counts) ** 2)))


@pytest.mark.parametrize("dose", Dose)
@pytest.mark.parametrize("method", FILTERS)
def test_a_filter_brings_a_low_dose_nearer_to_the_truth_and_keeps_its_counts(method: Method, dose: Dose) -> None:
    truth = expected_counts()
    low = counted(truth, dose.fraction)
    smooth = filtered(low, dose, method, STRENGTHS[method][dose])
    raw = Projections(low.counts / np.float32(dose.fraction), low.geometry, low.windows)
    assert error(smooth, truth) < 0.9 * error(raw, truth)
    assert smooth.counts.sum() == pytest.approx(low.counts.sum() / dose.fraction, rel=0.05)
    assert smooth.counts.min() >= 0


@pytest.mark.parametrize("method", FILTERS)
def test_a_filter_puts_no_counts_where_the_detector_has_none(method: Method) -> None:
    low = counted(expected_counts(), 1.0)
    empty = low.counts.sum(axis=(0, 1, 2, 4)) == 0
    assert empty.sum() == 16  # beyond the crystal, and beyond the disk
    smooth = filtered(low, Dose.HALF, method, STRENGTHS[method][Dose.HALF])
    assert smooth.counts[..., empty, :].max() == 0


@pytest.mark.parametrize("strength", [0.1, 2.0])
def test_non_local_means_keeps_counts_however_strong_it_is(strength: float) -> None:
    low = counted(expected_counts(), 0.1)
    smooth = filtered(low, Dose.HALF, Method.NON_LOCAL_MEANS, strength)
    assert smooth.counts.sum(axis=(3, 4)) == pytest.approx(2 * low.counts.sum(axis=(3, 4)), rel=1e-4)


def test_the_strength_that_is_chosen_is_the_best_of_the_candidates() -> None:
    studies = [counted(expected_counts(), 1.0, seed) for seed in (3, 4)]
    strengths = [best_strength(studies, dose, Method.GAUSSIAN)[0] for dose in (Dose.HALF, Dose.EIGHTH)]
    assert strengths[0] < strengths[1]  # the noisier, the stronger
    assert set(strengths) <= set(CANDIDATES[Method.GAUSSIAN])


def test_each_method_gives_counts_of_the_full_dose_and_an_untrained_network_none(tmp_path: Path) -> None:
    models = load_models(tiny_models(tmp_path))
    low = counted(expected_counts(), 0.25)
    made = estimates(low, Dose.QUARTER, models)
    assert list(made) == [method for method in Method if method is not Method.PAPER]
    for method, estimate in made.items():
        assert estimate.projections.counts.sum() == pytest.approx(4 * low.counts.sum(), rel=0.05), method
    expected = denoise(low, Dose.QUARTER.fraction, models.ours).expected
    kept = made[Method.FULL].projections.counts - 0.75 * expected.counts
    assert kept == pytest.approx(low.counts, abs=1e-3)  # every measured count is still there


def write_papers_network(folder: Path, name: str) -> None:
    torch.manual_seed(0)
    card = ModelCard(name, "1", "pipelines.networks.adversarial.Generator", {}, {}, (0,), {}, "none")
    write_model(folder, card, [Generator().state_dict()])


def test_the_papers_network_says_shares_and_is_given_the_counts_of_its_dose(tmp_path: Path) -> None:
    write_papers_network(tmp_path, "paper-0.25")
    choice = tiny_models(tmp_path)
    models = load_models(ModelChoice(choice.name, choice.folder, tmp_path))
    assert set(models.sha256) == {"tiny", "paper-0.25"}
    low = counted(expected_counts(), 0.25)
    made = estimates(low, Dose.QUARTER, models, (Method.PAPER,))[Method.PAPER]
    assert made.shares is not None
    assert 0 <= made.shares.min() <= made.shares.max() <= 1
    assert made.projections.counts.sum() == pytest.approx(4 * low.counts.sum(), rel=1e-3)
    assert estimates(low, Dose.HALF, models, (Method.PAPER,)) == {}  # trained for another dose
    gated = counted(expected_counts(gates=2), 0.5)
    assert estimates(gated, Dose.HALF, models, (Method.PAPER,)) == {}  # and not for gates


def test_other_weights_under_the_papers_name_are_refused(tmp_path: Path) -> None:
    choice = tiny_models(tmp_path)
    ours = load_models(choice)
    card = ModelCard("paper-0.5", "1", "pipelines.networks.denoiser.Denoiser", {"width": 2}, {}, (0,), {}, "none")
    write_model(tmp_path, card, [ours.ours[0].state_dict()])
    with pytest.raises(WeightsError, match=r"expected pipelines\.networks\.adversarial\.Generator"):
        load_models(ModelChoice(**{**asdict(choice), "paper": tmp_path}))
