"""An acquisition is denoised as a whole: counts are kept, order and batches don't matter, every window and gate is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from pipelines.images import Projections, UnsuitableAcquisition
from pipelines.networks.denoise import denoise, load_denoiser
from pipelines.networks.denoiser import ARCHITECTURE, Denoiser
from pipelines.networks.weights import ModelCard, WeightsError, write_model
from tests.factories import some_projections
from tests.pipelines.networks.shared import a_denoiser


def few_counts(views: int = 6, gates: int = 1, windows: int = 1, rows: int = 11, columns: int = 14) -> Projections:
    """Return projections of some ten counts per pixel."""
    projections = some_projections(views=views, gates=gates, windows=windows, rows=rows, columns=columns)
    counts = np.random.default_rng(5).poisson(
        10.0 * (1 + np.arange(views))[:, None, None] / views, projections.counts.shape
    )
    return replace(projections, counts=counts.astype(np.float32))


@pytest.mark.parametrize(("views", "gates", "windows"), [(1, 1, 1), (6, 8, 2), (33, 1, 2)])
def test_every_window_gate_and_view_is_denoised(views: int, gates: int, windows: int) -> None:
    projections = few_counts(views, gates, windows)
    denoised = denoise(projections, 0.5, [a_denoiser()])
    assert denoised.expected.counts.shape == projections.counts.shape
    assert denoised.spread.shape == (windows, views, *projections.counts.shape[3:])
    assert denoised.count_factor.shape == (windows, views)
    assert denoised.expected.geometry == projections.geometry


def test_each_view_keeps_its_counts() -> None:
    projections = few_counts(gates=4)
    denoised = denoise(projections, 0.25, [a_denoiser()])
    measured = projections.counts.sum(axis=(1, 3, 4))
    for made in (denoised.expected, denoised.for_images):
        assert np.allclose(0.25 * made.counts.sum(axis=(1, 3, 4)), measured, rtol=1e-4)


class NoDefect(Denoiser):
    """Foretells the same everywhere in a view, whatever was measured."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames[:, 2].mean(dim=(1, 2), keepdim=True).expand_as(frames[:, 2])


def test_a_defect_that_the_network_fills_is_there_in_what_images_are_made_of() -> None:
    projections = few_counts(rows=48, columns=48)
    counts = np.full_like(projections.counts, 20.0)
    counts[..., 18:30, 18:30] = 10.0
    denoised = denoise(replace(projections, counts=counts), 1.0, [NoDefect()])
    network, images = (
        made.counts[0, 0, 0, 24, 24] / made.counts[0, 0, 0, 2, 2] for made in (denoised.expected, denoised.for_images)
    )
    assert network == pytest.approx(1.0)
    assert images < 0.6


class Faint(Denoiser):
    """Foretells the fourth part of what was measured."""

    def forward(self, frames: Tensor) -> Tensor:
        return 0.25 * frames[:, 2]


def test_the_factor_tells_how_far_the_prediction_was_off() -> None:
    projections = few_counts()
    denoised = denoise(projections, 0.5, [Faint()])
    assert np.allclose(denoised.count_factor, 4.0)
    assert np.allclose(denoised.expected.counts, 2.0 * projections.counts)  # corrected, and at full dose


def test_the_virtual_full_dose_holds_every_measured_count() -> None:
    projections = few_counts()
    denoised = denoise(projections, 0.25, [a_denoiser()])
    added = denoised.virtual_full_dose.counts - projections.counts
    assert bool((added > 0).all())
    assert np.allclose(added, 0.75 * denoised.expected.counts, rtol=1e-4, atol=1e-5)


def test_at_full_dose_nothing_is_added() -> None:
    projections = few_counts()
    assert np.array_equal(denoise(projections, 1.0, [a_denoiser()]).virtual_full_dose.counts, projections.counts)


def test_gates_add_up_to_what_is_made_of_their_sum() -> None:
    projections = few_counts(gates=8)
    gated, summed = (denoise(one, 0.5, [a_denoiser()]) for one in (projections, projections.ungated()))
    assert np.allclose(gated.expected.counts.sum(axis=1), summed.expected.counts[:, 0], rtol=1e-4)
    assert np.allclose(gated.for_images.counts.sum(axis=1), summed.for_images.counts[:, 0], rtol=1e-4)


def test_the_order_in_which_views_are_stored_does_not_matter() -> None:
    projections = few_counts(views=9)
    order = np.random.default_rng(1).permutation(9)
    geometry = projections.geometry
    angles = tuple(geometry.angles_deg[view] for view in order)
    shuffled = replace(
        projections, counts=projections.counts[:, :, order], geometry=replace(geometry, angles_deg=angles)
    )
    plain, other = (denoise(one, 0.5, [a_denoiser()]).expected.counts for one in (projections, shuffled))
    assert np.allclose(other, plain[:, :, order], rtol=1e-4)


def test_the_size_of_the_batch_does_not_matter_and_nothing_is_random() -> None:
    projections = few_counts(views=7, gates=2)
    one, all_at_once, again = (
        denoise(projections, 0.5, [a_denoiser()], batch=batch).expected.counts for batch in (1, 32, 32)
    )
    assert np.allclose(one, all_at_once, rtol=1e-4)
    assert np.array_equal(all_at_once, again)


def test_the_spread_is_what_the_members_disagree_about() -> None:
    projections = few_counts()
    alike = denoise(projections, 0.5, [a_denoiser(1), a_denoiser(1)])
    unlike = denoise(projections, 0.5, [a_denoiser(1), a_denoiser(2)])
    assert float(alike.spread.max()) == 0.0
    assert float(unlike.spread.min()) >= 0.0
    assert float(unlike.spread.mean()) > 0.01


@pytest.mark.parametrize("dose", [0.0, -1.0, 1.1, float("nan")])
def test_an_impossible_dose_is_refused(dose: float) -> None:
    with pytest.raises(UnsuitableAcquisition, match="dose fraction"):
        denoise(few_counts(), dose, [a_denoiser()])


def test_negative_counts_and_an_empty_ensemble_are_refused() -> None:
    projections = few_counts()
    with pytest.raises(UnsuitableAcquisition, match="negative"):
        denoise(replace(projections, counts=projections.counts - 100), 0.5, [a_denoiser()])
    with pytest.raises(ValueError, match="at least one network"):
        denoise(projections, 0.5, [])


def a_card(architecture: str) -> ModelCard:
    return ModelCard("small", "1.0.0", architecture, {"width": 4}, {}, (1, 2), {}, "none")


def test_a_trained_denoiser_is_loaded_by_its_name(tmp_path: Path) -> None:
    members = [a_denoiser(seed) for seed in (1, 2)]
    write_model(tmp_path, a_card(ARCHITECTURE), [member.state_dict() for member in members])
    card, networks = load_denoiser("small", tmp_path)
    assert card.seeds == (1, 2)
    loaded, direct = (denoise(few_counts(), 0.5, ensemble).expected.counts for ensemble in (networks, members))
    assert np.allclose(loaded, direct, rtol=0.02)  # kept in half precision


def test_weights_of_another_network_are_no_denoiser(tmp_path: Path) -> None:
    write_model(tmp_path, a_card("pipelines.networks.adversarial.Generator"), [a_denoiser().state_dict()] * 2)
    with pytest.raises(WeightsError, match="Generator"):
        load_denoiser("small", tmp_path)
