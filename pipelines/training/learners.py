"""What learners are made of: a network with the running average of its weights, and a generator with its opponent."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipelines.training.progress_checkpoint import (
    fill_network,
    fill_optimizer,
    network_tensors,
    optimizer_tensors,
)

_LARGEST_GRADIENT = 1.0  # its norm, over all parameters
_LEAST_SHARE = 1e-4  # of the learning rate, so that even the first step moves something
_FEWEST_SLICES = 3
_SEEDS_APART = 1_000_003  # between the trainings of two seeds: their steps never draw the same drop-out


def faster(device: str, fewest_slices: int) -> contextlib.AbstractContextManager[object]:
    """Return the context for a training step in mixed precision (bfloat16), where the processor computes in it.

    `fewest_slices` is the depth of the smallest volume that is convolved: at a depth of 2, torch 2.13 on CPUs leaves
    parts of a weight gradient unwritten, so shallow volumes are not sped up.
    """
    kind = torch.device(device).type
    able = torch.cuda.is_bf16_supported() if kind == "cuda" else torch.cpu._is_avx512_bf16_supported()
    if not able or fewest_slices < _FEWEST_SLICES:
        return contextlib.nullcontext()
    return torch.autocast(kind, torch.bfloat16)


class AveragedNetwork:
    """A network that learns by Adam, and the average of its weights over the last steps, which is kept in the end."""

    def __init__(self, network: nn.Module, average: nn.Module, learning_rate: float, averaging: float) -> None:
        """`average` is another network of the same make; it starts from the same weights."""
        self.network, self.average = network, average
        average.load_state_dict(network.state_dict())
        self._averaging = averaging
        self._learning_rate = learning_rate
        self._optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)

    def descend(self, loss: Tensor, number: int, share: float) -> None:
        """Take the step of this number down the gradient of a loss, at a share of the learning rate."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate * share
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self._optimizer.step()
        self._follow(number)

    @torch.no_grad()
    def _follow(self, number: int) -> None:
        """Move the average of the weights a little toward the weights; faster in the beginning."""
        share = 1.0 - min(self._averaging, (1 + number) / (10 + number))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, share)

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, their average, and the optimizer's moments."""
        return {
            **network_tensors("network", self.network),
            **network_tensors("average", self.average),
            **optimizer_tensors("optimizer", self._optimizer),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        fill_network("network", self.network, tensors)
        fill_network("average", self.average, tensors)
        fill_optimizer("optimizer", self._optimizer, tensors)


def annealed(spent: float, warm_up: float, least: float) -> float:
    """Return the share of the learning rate at a share of the budget: a short rise, then half a cosine to `least`."""
    falling = least + (1.0 - least) * 0.5 * (1.0 + math.cos(math.pi * spent))
    return min(spent / warm_up, 1.0) * falling + _LEAST_SHARE


class AdversarialPair:
    """A generator and the discriminator that tells what it makes from what is real; each learns by its own Adam."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, learning_rate: float, betas: tuple[float, float]
    ) -> None:
        self._networks = {"generator": generator, "discriminator": discriminator}
        self._optimizers = {
            name: torch.optim.Adam(network.parameters(), lr=learning_rate, betas=betas)
            for name, network in self._networks.items()
        }

    def made(self, seen: Tensor, seed: int, number: int) -> Tensor:
        """Return what the generator makes in training; drop-out depends on the seed and the step's number alone."""
        generator = self._networks["generator"]
        with torch.random.fork_rng(devices=[seen.device] if seen.is_cuda else []):
            torch.manual_seed(seed * _SEEDS_APART + number)
            generator.train()
            made: Tensor = generator(seen)
        return made

    def descend(self, name: str, loss: Tensor) -> None:
        """Take one step of the "generator" or the "discriminator" down the gradient of a loss."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizers[name].step()

    def tensors(self) -> dict[str, Tensor]:
        """Return both networks and both optimizers' moments."""
        kept = [network_tensors(name, network) for name, network in self._networks.items()]
        kept += [optimizer_tensors(f"{name}-optimizer", optimizer) for name, optimizer in self._optimizers.items()]
        return {key: value for part in kept for key, value in part.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to where `tensors` was called."""
        for name, network in self._networks.items():
            fill_network(name, network, tensors)
            fill_optimizer(f"{name}-optimizer", self._optimizers[name], tensors)
