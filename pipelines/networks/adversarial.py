"""The denoising paper's generative adversarial network, layer by layer: the baseline that our own denoiser is held to.

Source: Aghakhan Olia et al., J. Nucl. Cardiol. 2022, "Deep network architecture". Where the text leaves something open,
the choice is said beside the layer.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

PIXELS = 64  # rows and columns of a projection: six halvings lead to a single pixel
SLOPE = 0.2  # of the leaky ReLU
DROP_OUT = 0.5  # not printed; the rate of pix2pix, whose generator this is
ENCODER_FILTERS = (64, 128, 256, 512, 512, 512)
DECODER_FILTERS = (512, 512, 256, 128, 64, 1)
DISCRIMINATOR_FILTERS = (48, 96, 192, 384)


class Generator(nn.Module):
    """U-Net that turns one low-dose projection `[batch, 1, 64, 64]` in [0, 1] into a full-dose one in [0, 1].

    Six strided convolutions lead from 64 x 64 to 1 x 1 (the sixth is what the paper calls the bottleneck), six
    transposed convolutions lead back; the first five are joined with the encoder's layer of the same size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            _encoder_block(before, filters, number)
            for number, (before, filters) in enumerate(pairwise((1, *ENCODER_FILTERS)), start=1)
        )
        joined = [
            filters + skip for filters, skip in zip(DECODER_FILTERS, reversed(ENCODER_FILTERS[:-1]), strict=False)
        ]
        self.decoder = nn.ModuleList(
            _decoder_block(before, filters, number)
            for number, (before, filters) in enumerate(
                zip((ENCODER_FILTERS[-1], *joined), DECODER_FILTERS, strict=True), start=1
            )
        )

    def forward(self, low_dose: Tensor) -> Tensor:
        """Return the full-dose projections. Raises ValueError unless they are of 64 x 64 pixels."""
        if low_dose.shape[1:] != (1, PIXELS, PIXELS):
            raise ValueError(f"the paper's generator takes [batch, 1, {PIXELS}, {PIXELS}], got {tuple(low_dose.shape)}")
        layers = [low_dose]
        for block in self.encoder:
            layers.append(block(layers[-1]))
        out = layers.pop()
        for block in self.decoder[:-1]:
            out = torch.relu(torch.cat([block(out), layers.pop()], dim=1))
        full_dose: Tensor = torch.sigmoid(self.decoder[-1](out))
        return full_dose


class Discriminator(nn.Module):
    """Tells, for each of 8 x 8 patches, how likely a full-dose projection is the real one of a low-dose projection."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (before, filters) in enumerate(pairwise((2, *DISCRIMINATOR_FILTERS)), start=1):
            if number < len(DISCRIMINATOR_FILTERS):
                layers.append(_halving(before, filters))
            else:  # keeps its size: padded as Keras' "same" does for an even kernel
                layers += [nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(before, filters, 4)]
            layers += [nn.BatchNorm2d(filters), nn.LeakyReLU(SLOPE)]
        layers += [nn.Conv2d(DISCRIMINATOR_FILTERS[-1], 1, 1), nn.BatchNorm2d(1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, low_dose: Tensor, full_dose: Tensor) -> Tensor:
        """Return logits `[batch, 1, 8, 8]`; the paper's sigmoid is taken within the loss, where it is stable."""
        logits: Tensor = self.layers(torch.cat([low_dose, full_dose], dim=1))
        return logits


def _halving(before: int, filters: int) -> nn.Conv2d:
    return nn.Conv2d(before, filters, 4, stride=2, padding=1)


def _encoder_block(before: int, filters: int, number: int) -> nn.Sequential:
    """Return a convolution with, in blocks 2 to 4 as printed, batch normalization; block 6 ends in a plain ReLU."""
    layers: list[nn.Module] = [_halving(before, filters)]
    if 2 <= number <= 4:
        layers.append(nn.BatchNorm2d(filters))
    layers.append(nn.ReLU() if number == len(ENCODER_FILTERS) else nn.LeakyReLU(SLOPE))
    return nn.Sequential(*layers)


def _decoder_block(before: int, filters: int, number: int) -> nn.Sequential:
    """Return a transposed convolution; all but the last are normalized, the first one drops out."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(before, filters, 4, stride=2, padding=1)]
    if number < len(DECODER_FILTERS):
        layers.append(nn.BatchNorm2d(filters))
    if number == 1:
        layers.append(nn.Dropout(DROP_OUT))
    return nn.Sequential(*layers)
