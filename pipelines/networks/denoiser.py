"""Our denoiser: a compact U-Net that estimates a projection's expected counts from it and the views about it.

It is told no dose: it works on counts whose noise is made even (Anscombe 1948), so the counts themselves say how noisy
they are, and one network serves every dose, gated or not, of any matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.networks.neighbors import REACH

ARCHITECTURE = "pipelines.networks.denoiser.Denoiser"  # as a model card names it
VIEWS = 2 * REACH + 1
WIDTH = 16  # filters at full size; doubled at each halving
HALVINGS = 3
_PIXELS = 2**HALVINGS
_BASE_SIGMA = 1.2  # pixels, of the smooth estimate that the network corrects
_BASE_RADIUS = 4
_LEAST_BASE = 0.05  # counts, so that no root is taken of nothing
_ROUNDING = 0.2  # counts^0.5, where the corrected root bends away from zero


class Denoiser(nn.Module):
    """U-Net on the roots of counts: corrects a smooth estimate of the middle frame.

    `frames` are the counts of one gate at a view and its neighbours; `context` is all that was counted at these views
    in the same study: the sum over the gates, or the frames themselves where the study isn't gated.
    """

    smoothing: Tensor

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.width = width
        widths = [width * 2**level for level in range(HALVINGS + 1)]
        self.encoder = nn.ModuleList(
            _block(before, after) for before, after in zip((2 * VIEWS + 3, *widths), widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            _block(widths[level] + widths[level + 1], widths[level]) for level in reversed(range(HALVINGS))
        )
        self.correction = nn.Conv2d(width + 2 * VIEWS, 1, 1)  # of features, and of the roots of counts themselves
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(torch.as_tensor(self.correction.bias))
        self.register_buffer("smoothing", _gaussian(), persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # a third faster on CPUs

    def forward(self, frames: Tensor, context: Tensor) -> Tensor:
        """Return the expected counts `[batch, row, column]` of the middle frame, all positive.

        `frames` and `context` are counts `[batch, view (5), row, column]` of any number of rows and columns.
        """
        rows, columns = frames.shape[-2:]
        frames, context = _whole(frames), _whole(context)
        seen, root = self._features(frames, context)
        features, layers = seen, []
        for block in self.encoder[:-1]:
            features = block(features)
            layers.append(features)
            features = functional.avg_pool2d(features, 2)
        features = self.encoder[-1](features)
        for block in self.decoder:
            larger = functional.interpolate(features, scale_factor=2, mode="nearest")
            features = block(torch.cat([larger, layers.pop()], dim=1))
        corrected = root + self.correction(torch.cat([features, seen[:, : 2 * VIEWS]], dim=1))
        # as the square of the root where that is positive, falling smoothly to zero where it isn't
        expected: Tensor = (0.5 * (corrected + torch.sqrt(corrected.square() + _ROUNDING**2))).square()[:, 0]
        return expected[:, :rows, :columns]

    def _features(self, frames: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the first layer sees, and the root of the smooth estimate `[batch, 1, row, column]`."""
        total = frames.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1.0)
        share = total / context.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1.0)
        middle = share * context[:, REACH : REACH + 1]
        base = functional.conv2d(_bordered(middle), self.smoothing.to(middle.dtype))
        root = torch.sqrt(base + _LEAST_BASE)
        level = torch.log(frames.square().sum(dim=(1, 2, 3), keepdim=True).clamp_min(1.0) / total)  # of bright pixels
        constants = [value.expand_as(root) for value in (0.3 * level, 0.3 * torch.log(share))]
        seen = [_root(frames) - root, _root(context) * torch.sqrt(share) - root, 0.2 * root, *constants]
        return torch.cat(seen, dim=1), root


def _root(counts: Tensor) -> Tensor:
    """Return half the Anscombe transform: noise with a standard deviation of 1/2 wherever a few counts are."""
    return torch.sqrt(counts + 0.375)


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU()
    )


def _whole(counts: Tensor) -> Tensor:
    """Return counts with the last row and column repeated until the U-Net can halve them."""
    rows, columns = counts.shape[-2:]
    return functional.pad(counts, (0, -columns % _PIXELS, 0, -rows % _PIXELS), mode="replicate")


def _bordered(counts: Tensor) -> Tensor:
    return functional.pad(counts, (_BASE_RADIUS,) * 4, mode="replicate")


def _gaussian() -> Tensor:
    """Return the kernel `[1, 1, row, column]` of the smooth estimate."""
    offsets = torch.arange(-_BASE_RADIUS, _BASE_RADIUS + 1, dtype=torch.float64)
    line = torch.exp(-0.5 * (offsets / _BASE_SIGMA) ** 2)
    line /= line.sum()
    return torch.outer(line, line)[None, None].float()
