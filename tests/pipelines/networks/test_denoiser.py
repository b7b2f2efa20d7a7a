"""The denoiser works on frames of any size, moves with what it sees, and starts from a smooth estimate."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipelines.networks.denoiser import Denoiser
from tests.pipelines.networks.shared import a_denoiser, some_frames, ungated


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (128, 128), (60, 60), (5, 9), (1, 1)])
def test_any_matrix_is_taken(rows: int, columns: int) -> None:
    frames = some_frames(rows=rows, columns=columns)
    expected = a_denoiser()(*ungated(frames))
    assert expected.shape == (2, rows, columns)
    assert bool((expected > 0).all())


def test_empty_frames_stay_nearly_empty() -> None:
    expected = Denoiser()(*ungated(torch.zeros(1, 5, 16, 16)))
    assert bool((expected < 0.2).all())


def test_without_training_it_is_a_gaussian_filter() -> None:
    frames = some_frames(mean=200.0)
    expected = Denoiser()(*ungated(frames)).detach()
    assert float(expected.std()) < 0.3 * float(frames.std())
    assert float(expected.mean()) == pytest.approx(float(frames[:, 2].mean()), rel=0.01)


def test_an_untrained_gate_is_its_share_of_the_context() -> None:
    gate, others = some_frames(mean=100.0, seed=1), some_frames(mean=300.0, seed=2)
    expected = Denoiser()(ungated(gate)[0], gate + others).detach()
    assert float(expected.mean()) == pytest.approx(float(gate.mean()), rel=0.03)


def test_what_moves_by_eight_pixels_is_denoised_alike_there() -> None:
    inner = some_frames(rows=16, columns=16)
    network = a_denoiser()
    here, there = (functional.pad(inner, (before, 136 - before) * 2) for before in (64, 72))
    at_first = network(*ungated(here))[:, 60:84, 60:84]
    assert torch.allclose(network(*ungated(there))[:, 68:92, 68:92], at_first, rtol=1e-4, atol=1e-5)


def test_each_frame_is_denoised_for_itself() -> None:
    frames = some_frames(batch=3)
    network = a_denoiser()
    alone = torch.cat([network(*ungated(frame[None])) for frame in frames])
    assert torch.allclose(network(*ungated(frames)), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gate", [0, 1, 2])
@pytest.mark.parametrize("view", range(5))
def test_it_sees_every_gate_and_view_about_the_frame(gate: int, view: int) -> None:
    frames, other = ungated(some_frames())[0], some_frames(seed=5)
    changed = frames.clone()
    changed[:, gate, view] = other[:, view]
    context = frames.sum(dim=1)
    network = a_denoiser()
    assert not torch.allclose(network(frames, context), network(changed, context))


def test_it_sees_the_context() -> None:
    (frames, context), other = ungated(some_frames()), some_frames(seed=5)
    network = a_denoiser()
    assert not torch.allclose(network(frames, context + other), network(frames, context))


def test_a_hot_spot_keeps_its_height_where_the_raw_counts_are_chosen() -> None:
    frames = some_frames(mean=1.0)
    frames[:, :, 8, 12] = 5000.0  # brighter than anything about it
    network = Denoiser()
    with torch.no_grad():
        torch.as_tensor(network.mixing.bias).zero_()[0] = 50.0
    expected = network(*ungated(frames))
    assert expected[:, 8, 12].tolist() == pytest.approx([5000.0] * 2, rel=0.01)


def test_it_is_compact() -> None:
    assert sum(values.numel() for values in Denoiser().parameters()) == 490_401
