"""Our mu-map network: tells tissues apart in images that are not corrected for attenuation, and how dense they are.

Each voxel is a tissue with a known coefficient, or lies between two that are neighbors by density, and may deviate a
little: no attenuation that no tissue has can come out. Idea: CTLESS (Yu et al. 2024), which segments into regions of
predefined coefficients. Shares of all tissues (a softmax) were tried first: the rare ones died out early in training,
and bone never came back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

ARCHITECTURE = "pipelines.networks.mu_map.MuMapNetwork"  # as a model card names it
LEVELS = 3  # reconstructions of the photopeak, after more and more iterations
WIDTHS = (16, 32, 64, 128)  # filters at full size and after each halving
FINER = 2  # voxels of images and map to one that the network works on, along each side
_SLOPE = 0.1  # of the leaky ReLU: air fills most of the field, and plain ones die in the body
OVERSHOOT = 0.25  # by which the scale of tissues is longer than from the first to the last, so that both are reached
_GROUPS = 4  # of filters that are normalized together
_SHARE_OF_TYPICAL = 0.25  # a voxel with less than this share of the typical activity is not counted as body
_ROUNDS = 6


@dataclass(frozen=True)
class Tissue:
    """A kind of tissue at 140.5 keV; `mu_per_cm` of a voxel of it lies within +-`range_per_cm`."""

    name: str
    mu_per_cm: float
    range_per_cm: float


# NIST XCOM with ICRU-44 compositions; bone as marrow, cartilage and blur leave it at a camera's resolution.
TISSUES = (
    Tissue("air", 0.0, 0.0),
    Tissue("lung", 0.045, 0.020),
    Tissue("fat", 0.145, 0.008),
    Tissue("muscle", 0.160, 0.008),
    Tissue("bone", 0.200, 0.030),
)


class MuMapNetwork(nn.Module):
    """U-Net from reconstructions to the mu-map on the same grid, for fields of view of any size.

    It works on voxels `finer` times as large along each side: the parts of each are folded into channels, and what
    each part holds is told from them (Shi et al. 2016, "sub-pixel convolution"), so edges are seen and drawn as finely
    as the grid allows at the price of the coarser one. The activity's scale does not matter: see `leveled`.
    """

    tissue: Tensor

    def __init__(self, widths: Sequence[int] = WIDTHS, finer: int = FINER) -> None:
        super().__init__()
        self.finer = finer
        seen = (LEVELS + 1) * finer**3 + 1  # the parts of all images, and whether there is a scatter window
        self.encoder = nn.ModuleList(_block(before, after) for before, after in pairwise((seen, *widths)))
        self.decoder = nn.ModuleList(_block(low + high, low) for low, high in reversed(list(pairwise(widths))))
        self.told = nn.Conv3d(widths[0], 2 * finer**3, 1)  # place on the scale of tissues, deviation
        constants = torch.tensor([(tissue.mu_per_cm, tissue.range_per_cm) for tissue in TISSUES])
        self.register_buffer("tissue", constants.T.contiguous(), persistent=False)
        for convolutions in (self.encoder, self.decoder):  # a third faster on CPUs
            convolutions.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def forward(self, images: Tensor, has_scatter: Tensor) -> Tensor:
        """Return mu in 1/cm `[batch, z, y, x]`.

        `images` `[batch, level (3) and scatter window, z, y, x]` are leveled (see `leveled`), their sides multiples of
        8 `finer`; `has_scatter` `[batch]` is 1 where the scatter window was reconstructed, 0 where its image is empty.
        """
        flag = has_scatter.to(images)[:, None, None, None, None]
        seen = torch.log1p(4.0 * images.clamp_min(0.0))
        seen = self._folded(torch.cat([seen[:, :LEVELS], seen[:, LEVELS:] * flag], dim=1))
        seen = torch.cat([seen, flag.expand_as(seen[:, :1])], dim=1)
        features, layers = seen.contiguous(memory_format=torch.channels_last_3d), []
        for block in self.encoder[:-1]:
            features = block(features)
            layers.append(features)
            features = functional.avg_pool3d(features, 2)
        features = self.encoder[-1](features)
        for block in self.decoder:
            larger = functional.interpolate(features, scale_factor=2, mode="nearest")
            features = block(torch.cat([larger, layers.pop()], dim=1))
        told = self._parts(self.told(features).float())
        last = len(TISSUES) - 1
        place = (last + 2 * OVERSHOOT) * torch.sigmoid(told[:, 0]) - OVERSHOOT
        place = place.detach().clamp(0.0, last) + (place - place.detach())  # what lies beyond an end can still learn
        usual, reach = (_between(constant, place) for constant in self.tissue)
        mu: Tensor = usual + reach * torch.tanh(told[:, 1])
        return mu

    def _folded(self, images: Tensor) -> Tensor:
        """Return images `[batch, image and part, z, y, x]` on the coarser voxels; undone by `_parts`."""
        batch, number, *sides = images.shape
        n = self.finer
        z, y, x = (side // n for side in sides)
        parts = images.reshape(batch, number, z, n, y, n, x, n).permute(0, 1, 3, 5, 7, 2, 4, 6)
        return parts.reshape(batch, number * n**3, z, y, x)

    def _parts(self, told: Tensor) -> Tensor:
        """Return `[batch, place and deviation, z, y, x]` of the parts of each voxel."""
        batch, _, z, y, x = told.shape
        n = self.finer
        parts = told.reshape(batch, -1, n, n, n, z, y, x).permute(0, 1, 5, 2, 6, 3, 7, 4)
        return parts.reshape(batch, -1, n * z, n * y, n * x)


def _between(constant: Tensor, place: Tensor) -> Tensor:
    """Return a property of tissues at places on their scale, from 0 (the first) to the last, linear between them."""
    found = constant[0].expand_as(place)
    for tissue, rise in enumerate(constant.diff()):
        found = found + rise * (place - tissue).clamp(0.0, 1.0)
    return found


def leveled(images: Tensor) -> Tensor:
    """Return images `[..., image, z, y, x]` divided by the body's typical level: the levels of the photopeak by that
    of the first one, the scatter window (the last image) by its own. Empty images stay empty."""
    peak, scatter = body_level(images[..., 0, :, :, :]), body_level(images[..., -1, :, :, :])
    parts = [images[..., :-1, :, :, :] / peak[..., None, None, None, None]]
    parts.append(images[..., -1:, :, :, :] / scatter[..., None, None, None, None])
    return torch.cat(parts, dim=-4)


def body_level(images: Tensor) -> Tensor:
    """Return the typical activity of the body in images `[..., z, y, x]`: the median of all voxels that are not empty.

    Muscle, blood and lung fill most of the body, so neither a hot bowel nor the heart itself matters. 1 where an image
    is empty.
    """
    flat = images.flatten(-3).reshape(-1, images.shape[-3:].numel())
    levels = []
    for voxels in flat.clamp_min(0.0):
        level = voxels.mean()
        for _ in range(_ROUNDS if level > 0 else 0):
            level = voxels[voxels > _SHARE_OF_TYPICAL * level].median()
        levels.append(level if level > 0 else torch.ones_like(level))
    return torch.stack(levels).reshape(images.shape[:-3])


def _block(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (before, after):
        layers += [nn.Conv3d(inputs, after, 3, padding=1), nn.GroupNorm(_GROUPS, after), nn.LeakyReLU(_SLOPE)]
    return nn.Sequential(*layers)
