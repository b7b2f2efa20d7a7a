"""Averages follow the weights, the learning rate rises and falls, and drop-out is the same for the same step."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import Tensor, nn

from pipelines.training.learners import AdversarialPair, AveragedNetwork, annealed, faster

ONE = torch.ones(1, 1)


def a_line(slope: float = 0.0) -> nn.Linear:
    line = nn.Linear(1, 1, bias=False)
    nn.init.constant_(line.weight, slope)
    return line


def slope(line: nn.Module) -> float:
    return next(line.parameters()).item()


def learning(start: float = 0.0) -> AveragedNetwork:
    return AveragedNetwork(a_line(start), a_line(-3.0), learning_rate=0.01, averaging=0.9)


def descend(learned: AveragedNetwork, steps: int) -> None:
    """Go toward a slope of one."""
    for number in range(steps):
        predicted: Tensor = learned.network(ONE)
        learned.descend((predicted - 1.0).square().mean(), number, share=1.0)


def test_the_average_starts_from_the_weights_and_lags_behind_them() -> None:
    learned = learning(0.5)
    assert slope(learned.average) == 0.5
    descend(learned, 20)
    assert 0.5 < slope(learned.average) < slope(learned.network) < 1.0


def test_a_share_of_nothing_leaves_the_weights_as_they_are() -> None:
    learned = learning()
    learned.descend(next(learned.network.parameters()).sum(), 0, share=0.0)
    assert slope(learned.network) == 0.0


def test_what_is_restored_goes_on_as_if_nothing_had_been() -> None:
    first, second = learning(), learning()
    descend(first, 3)
    second.restore({key: value.clone() for key, value in first.tensors().items()})
    for learned in (first, second):
        descend(learned, 2)
    assert slope(first.network) == slope(second.network)
    assert slope(first.average) == slope(second.average)


def test_the_learning_rate_rises_in_the_beginning_and_falls_to_its_least() -> None:
    shares = [annealed(spent / 100, warm_up=0.1, least=0.05) for spent in range(101)]
    assert shares[0] == pytest.approx(0.0, abs=1e-3)
    assert shares[:10] == sorted(shares[:10])
    assert max(shares) == pytest.approx(1.0, abs=0.05)
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[-1] == pytest.approx(0.05, abs=1e-3)


def test_drop_out_depends_on_seed_and_step_alone() -> None:
    generator = nn.Sequential(nn.Linear(1, 400), nn.Dropout(0.5)).eval()
    pair = AdversarialPair(generator, a_line(), learning_rate=0.01, betas=(0.5, 0.999))
    first = pair.made(ONE, seed=1, number=5)
    torch.rand(3)  # whatever else was drawn
    assert torch.equal(pair.made(ONE, seed=1, number=5), first)
    assert not torch.equal(pair.made(ONE, seed=1, number=6), first)
    assert not torch.equal(pair.made(ONE, seed=2, number=5), first)


def test_each_of_a_pair_learns_by_its_own_steps_alone() -> None:
    generator, discriminator = a_line(0.5), a_line(0.5)
    pair = AdversarialPair(generator, discriminator, learning_rate=0.01, betas=(0.5, 0.999))
    pair.descend("discriminator", discriminator(generator(ONE)).sum())
    assert (slope(generator), round(slope(discriminator), 4)) == (0.5, 0.49)
    pair.descend("generator", discriminator(generator(ONE)).sum())
    assert (round(slope(generator), 4), round(slope(discriminator), 4)) == (0.49, 0.49)


@pytest.mark.parametrize("depth", [3, 4, 8])
def test_a_step_in_mixed_precision_has_the_gradient_of_an_exact_one(depth: int) -> None:
    torch.manual_seed(0)
    seen = torch.rand(1, 16, depth, 6, 6).contiguous(memory_format=torch.channels_last_3d)
    convolution = nn.Conv3d(16, 32, 3, padding=1).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    gradients = []
    for context in (faster("cpu", depth), contextlib.nullcontext()):
        with context:
            loss = convolution(seen).float().square().mean()
        gradients.append(torch.autograd.grad(loss, convolution.weight)[0])
    mixed, exact = gradients
    assert float((mixed - exact).norm() / exact.norm()) < 0.02


def test_volumes_of_two_slices_are_not_sped_up() -> None:
    assert isinstance(faster("cpu", 2), contextlib.nullcontext)
