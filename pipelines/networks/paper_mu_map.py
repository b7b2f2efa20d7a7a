"""The attenuation paper's networks, layer by layer: the baseline that our own mu-map network is held to.

Source: Huxohl et al., EJNMMI Physics 10 (2023) 49, "Deep learning model", after Shi et al. 2020. Where the text leaves
something open, the choice is said beside the layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

DROP_OUT = 0.15  # in the bottleneck
SLOPE = 0.2  # of the discriminators' leaky ReLU; not printed, that of pix2pix
FOUR_LEVELS = (64, 128, 256, 512)
FIVE_LEVELS = (32, 64, 128, 256, 512)
BEST_CLASSIFIER = (64, 128, 256)  # convolutions of the best search result,
BEST_DENSE = (512, 128)  # and its fully connected layers


class MapGenerator(nn.Module):
    """3-D U-Net from a reconstruction to a mu-map, both `[batch, 1, z, y, x]`.

    Two convolutions of 3^3 per level, each followed by batch normalization and ReLU; pooling by maximum, transposed
    convolutions back; drop-out in the lowest level. Sides must be multiples of 2^(levels - 1).
    """

    def __init__(self, filters: Sequence[int] = FOUR_LEVELS) -> None:
        super().__init__()
        self.filters = tuple(filters)
        self.encoder = nn.ModuleList(_level(before, after) for before, after in pairwise((1, *filters)))
        self.drop_out = nn.Dropout(DROP_OUT)
        upward = list(pairwise(reversed(self.filters)))
        self.upsampling = nn.ModuleList(nn.ConvTranspose3d(low, high, 2, stride=2) for low, high in upward)
        self.decoder = nn.ModuleList(_level(2 * high, high) for _, high in upward)
        self.mu = nn.Conv3d(self.filters[0], 1, 1)

    def forward(self, reconstruction: Tensor) -> Tensor:
        """Return mu in 1/cm; below zero it is cut off, except in training, where that would stop learning."""
        layers = []
        out = reconstruction
        for block in self.encoder[:-1]:
            layers.append(block(out))
            out = nn.functional.max_pool3d(layers[-1], 2)
        out = self.drop_out(self.encoder[-1](out))
        for up, block in zip(self.upsampling, self.decoder, strict=True):
            out = block(torch.cat([layers.pop(), up(out)], dim=1))
        mu: Tensor = self.mu(out)
        return mu if self.training else mu.clamp_min(0.0)


class PairClassifier(nn.Module):
    """Tells for a whole patch whether a reconstruction and a mu-map belong together: convolutions, dense layers."""

    def __init__(
        self,
        patch: tuple[int, int, int],
        filters: Sequence[int] = BEST_CLASSIFIER,
        dense: Sequence[int] = BEST_DENSE,
    ) -> None:
        super().__init__()
        voxels = math.prod(side // 2 ** len(filters) for side in patch)
        layers = [_pooled(before, after) for before, after in pairwise((2, *filters))]
        ends: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise((voxels * filters[-1], *dense)):
            ends += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, *ends, nn.Linear(dense[-1], 1))

    def forward(self, reconstruction: Tensor, mu_map: Tensor) -> Tensor:
        """Return `[batch, 1]`, near 1 for real pairs, near 0 for made ones (least squares: no sigmoid)."""
        judged: Tensor = self.layers(torch.cat([reconstruction, mu_map], dim=1))
        return judged


class PairPatches(nn.Module):
    """Tells the same for each of many overlapping parts of a patch (PatchGAN, Isola et al. 2017)."""

    def __init__(self, filters: Sequence[int] = BEST_CLASSIFIER) -> None:
        super().__init__()
        layers = [_pooled(before, after) for before, after in pairwise((2, *filters))]
        self.layers = nn.Sequential(*layers, nn.Conv3d(filters[-1], 1, 3, padding=1))

    def forward(self, reconstruction: Tensor, mu_map: Tensor) -> Tensor:
        """Return `[batch, 1, z, y, x]`, near 1 where a pair looks real."""
        judged: Tensor = self.layers(torch.cat([reconstruction, mu_map], dim=1))
        return judged


def _level(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (before, after):
        layers += [nn.Conv3d(inputs, after, 3, padding=1), nn.BatchNorm3d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def _pooled(before: int, after: int) -> nn.Sequential:
    """Return one level of a discriminator: "convolutional layers and max pooling"; one convolution, as printed sizes
    suggest, without normalization, which would let a batch of made pairs give itself away."""
    return nn.Sequential(nn.Conv3d(before, after, 3, padding=1), nn.LeakyReLU(SLOPE), nn.MaxPool3d(2))
