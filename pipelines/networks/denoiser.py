"""Our denoiser: a compact U-Net that estimates a projection's expected counts from it and the views beside it.

It is told no dose: it works on counts whose noise is made even (Anscombe 1948), so the counts themselves say how noisy
they are, and one network serves every dose and any matrix. Of a gated study it sees all gates together; what each gate
holds is the business of `gates`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.neighbors import REACH
from pipelines.networks.model_card import DENOISER

ARCHITECTURE = DENOISER
VIEWS = 2 * REACH + 1
WIDTH = 16  # filters at full size; doubled at each halving
HALVINGS = 3
_PIXELS = 2**HALVINGS
_SIGMAS = (0.0, 0.7, 1.2, 2.4)  # pixels, of the smooth estimates that the network mixes
_USUAL = 2  # of them: the one it starts from
_RADIUS = 7  # pixels, where the widest ends
_SOURCES = 2  # the view itself; the mean of the views on both sides of it
_LEAST_BASE = 0.05  # counts, so that no root is taken of nothing
_PREFERENCE = 4.0  # for the usual estimate, before anything is learned: nine tenths of the mixture
_ROUNDING = 0.2  # counts^0.5, where the corrected root bends away from zero


class Denoiser(nn.Module):
    """U-Net on the roots of counts: mixes smooth estimates of the middle frame in each pixel and corrects the mixture.

    Mixing is what keeps a hot spot that is brighter than any it has learned from: its height is measured, not recalled.
    """

    smoothing: Tensor

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.width = width
        widths = [width * 2**level for level in range(HALVINGS + 1)]
        self.encoder = nn.ModuleList(
            _block(before, after) for before, after in zip((VIEWS + 2, *widths), widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            _block(widths[level] + widths[level + 1], widths[level]) for level in reversed(range(HALVINGS))
        )
        self.correction = nn.Conv2d(width + VIEWS, 1, 1)  # of features, and of the roots of counts themselves
        self.mixing = nn.Conv2d(width, _SOURCES * len(_SIGMAS), 1)
        for layer in (self.correction, self.mixing):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(torch.as_tensor(layer.bias))
        with torch.no_grad():
            torch.as_tensor(self.mixing.bias)[_USUAL] = _PREFERENCE
        self.register_buffer("smoothing", _gaussians(), persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # a third faster on CPUs

    def forward(self, frames: Tensor) -> Tensor:
        """Return the expected counts `[batch, row, column]` of the middle frame, all positive.

        `frames` are counts `[batch, view (5), row, column]` of any number of rows and columns.
        """
        rows, columns = frames.shape[-2:]
        frames = _whole(frames)
        estimates = self._estimates(frames)
        seen = _features(frames, estimates[:, _USUAL, None])
        features, layers = seen, []
        for block in self.encoder[:-1]:
            features = block(features)
            layers.append(features)
            features = functional.avg_pool2d(features, 2)
        features = self.encoder[-1](features)
        for block in self.decoder:
            larger = functional.interpolate(features, scale_factor=2, mode="nearest")
            features = block(torch.cat([larger, layers.pop()], dim=1))
        mixture = (torch.softmax(self.mixing(features), dim=1) * estimates).sum(dim=1, keepdim=True)
        correction = self.correction(torch.cat([features, seen[:, :VIEWS]], dim=1))
        corrected = torch.sqrt(mixture + _LEAST_BASE) + correction
        # as the square of the root where that is positive, falling smoothly to zero where it isn't
        expected: Tensor = (0.5 * (corrected + torch.sqrt(corrected.square() + _ROUNDING**2))).square()[:, 0]
        return expected[:, :rows, :columns]

    def _estimates(self, frames: Tensor) -> Tensor:
        """Return smooth estimates `[batch, source * sigma, row, column]` of the middle frame."""
        beside = 0.5 * (frames[:, REACH - 1] + frames[:, REACH + 1])
        sources = torch.stack([frames[:, REACH], beside], dim=1)
        bordered = functional.pad(sources, (_RADIUS,) * 4, mode="replicate")
        smoothed = functional.conv2d(bordered.flatten(0, 1)[:, None], self.smoothing.to(sources.dtype))
        return smoothed.reshape(len(frames), -1, *frames.shape[-2:])


def _features(frames: Tensor, usual: Tensor) -> Tensor:
    """Return what the first layer sees: roots of counts less that of the usual estimate, that root, brightness."""
    root = torch.sqrt(usual + _LEAST_BASE)
    bright = frames.square().sum(dim=(1, 2, 3), keepdim=True).clamp_min(1.0) / _sum(frames)  # counts of bright pixels
    return torch.cat([_root(frames) - root, 0.2 * root, (0.3 * torch.log(bright)).expand_as(root)], dim=1)


def _sum(counts: Tensor) -> Tensor:
    return counts.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1.0)


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


def _gaussians() -> Tensor:
    """Return the kernels `[sigma, 1, row, column]` of the smooth estimates; without width counts stay as they are."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=torch.float64)
    lines = torch.stack([torch.exp(-0.5 * (offsets / max(sigma, 1e-3)) ** 2) for sigma in _SIGMAS])
    lines /= lines.sum(dim=1, keepdim=True)
    return (lines[:, :, None] * lines[:, None, :])[:, None].float()
