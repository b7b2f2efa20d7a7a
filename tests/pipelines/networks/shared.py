"""Small networks and counts for the tests of the denoiser."""

from __future__ import annotations

import torch
from torch import Tensor

from pipelines.networks.denoiser import Denoiser


def a_denoiser(seed: int = 0, width: int = 4) -> Denoiser:
    """Return a denoiser with random weights in every layer, the last one too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Denoiser(width)
        torch.nn.init.normal_(network.correction.weight, std=0.3)
        torch.nn.init.normal_(network.mixing.weight, std=0.3)
    return network.eval()


def some_frames(batch: int = 2, rows: int = 16, columns: int = 24, mean: float = 5.0, seed: int = 0) -> Tensor:
    """Return Poisson counts `[batch, view (5), row, column]`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full((batch, 5, rows, columns), mean), generator=generator)
