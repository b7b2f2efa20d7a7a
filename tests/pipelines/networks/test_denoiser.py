"""The denoiser works on frames of any size, moves with what it sees, and starts from a smooth estimate."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipelines.networks.denoiser import Denoiser
from tests.pipelines.networks.shared import a_denoiser, some_frames


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (128, 128), (60, 60), (5, 9), (1, 1)])
def test_any_matrix_is_taken(rows: int, columns: int) -> None:
    frames = some_frames(rows=rows, columns=columns)
    expected = a_denoiser()(frames)
    assert expected.shape == (2, rows, columns)
    assert bool((expected > 0).all())


def test_empty_frames_stay_nearly_empty() -> None:
    expected = Denoiser()(torch.zeros(1, 5, 16, 16))
    assert bool((expected < 0.2).all())


def test_without_training_it_is_a_gaussian_filter() -> None:
    frames = some_frames(mean=200.0)
    expected = Denoiser()(frames).detach()
    assert float(expected.std()) < 0.3 * float(frames.std())
    assert float(expected.mean()) == pytest.approx(float(frames[:, 2].mean()), rel=0.01)


def test_what_moves_by_eight_pixels_is_denoised_alike_there() -> None:
    inner = some_frames(rows=16, columns=16)
    network = a_denoiser()
    here, there = (functional.pad(inner, (before, 136 - before) * 2) for before in (64, 72))
    at_first = network(here)[:, 60:84, 60:84]
    assert torch.allclose(network(there)[:, 68:92, 68:92], at_first, rtol=1e-4, atol=1e-5)


def test_each_frame_is_denoised_for_itself() -> None:
    frames = some_frames(batch=3)
    network = a_denoiser()
    alone = torch.cat([network(frame[None]) for frame in frames])
    assert torch.allclose(network(frames), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("view", range(5))
def test_it_sees_every_view_about_the_frame(view: int) -> None:
    frames, other = some_frames(), some_frames(seed=5)
    changed = frames.clone()
    changed[:, view] = other[:, view]
    network = a_denoiser()
    assert not torch.allclose(network(frames), network(changed))


def test_a_hot_spot_keeps_its_height_where_the_raw_counts_are_chosen() -> None:
    frames = some_frames(mean=1.0)
    frames[:, :, 8, 12] = 5000.0  # brighter than anything about it
    network = Denoiser()
    with torch.no_grad():
        torch.as_tensor(network.mixing.bias).zero_()[0] = 50.0
    expected = network(frames)
    assert expected[:, 8, 12].tolist() == pytest.approx([5000.0] * 2, rel=0.01)


def test_it_is_compact() -> None:
    assert sum(values.numel() for values in Denoiser().parameters()) == 488_014
