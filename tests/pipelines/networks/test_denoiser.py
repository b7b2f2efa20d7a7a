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
    expected = a_denoiser()(frames, frames)
    assert expected.shape == (2, rows, columns)
    assert bool((expected > 0).all())


def test_empty_frames_stay_nearly_empty() -> None:
    expected = Denoiser()(torch.zeros(1, 5, 16, 16), torch.zeros(1, 5, 16, 16))
    assert bool((expected < 0.2).all())


def test_without_training_it_is_a_gaussian_filter() -> None:
    frames = some_frames(mean=200.0)
    expected = Denoiser()(frames, frames).detach()
    assert float(expected.std()) < 0.3 * float(frames.std())
    assert float(expected.mean()) == pytest.approx(float(frames[:, 2].mean()), rel=0.01)


def test_an_untrained_gate_is_its_share_of_the_context() -> None:
    gate, others = some_frames(mean=100.0, seed=1), some_frames(mean=300.0, seed=2)
    expected = Denoiser()(gate, gate + others).detach()
    assert float(expected.mean()) == pytest.approx(float(gate.mean()), rel=0.03)


def test_what_moves_by_eight_pixels_is_denoised_alike_there() -> None:
    inner = some_frames(rows=16, columns=16)
    network = a_denoiser()
    here, there = (functional.pad(inner, (before, 136 - before) * 2) for before in (64, 72))
    at_first = network(here, here)[:, 60:84, 60:84]
    assert torch.allclose(network(there, there)[:, 68:92, 68:92], at_first, rtol=1e-4, atol=1e-5)


def test_each_frame_is_denoised_for_itself() -> None:
    frames = some_frames(batch=3)
    network = a_denoiser()
    alone = torch.cat([network(frame[None], frame[None]) for frame in frames])
    assert torch.allclose(network(frames, frames), alone, rtol=1e-5, atol=1e-6)


def test_it_sees_the_neighbors_and_the_context() -> None:
    frames, other = some_frames(), some_frames(seed=5)
    network = a_denoiser()
    beside = frames.clone()
    beside[:, 0] = other[:, 0]
    assert not torch.allclose(network(frames, frames), network(beside, beside))
    assert not torch.allclose(network(frames, frames + other), network(frames, frames))


def test_it_is_compact() -> None:
    assert sum(values.numel() for values in Denoiser().parameters()) == 488_747
