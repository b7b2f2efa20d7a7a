"""The paper's networks are the paper's, layer by layer (Aghakhan Olia et al. 2022)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipelines.networks.adversarial import Discriminator, Generator

Layer = tuple[str, tuple[int, ...], int]  # kind, output shape (filters, rows, columns), stride
KERNELS = (nn.Conv2d, nn.ConvTranspose2d)


def layers(network: nn.Module, *inputs: Tensor) -> list[Layer]:
    """Return the layers with kernels in the order in which they are used."""
    seen: list[Layer] = []

    def note(layer: nn.Module, _: object, out: Tensor) -> None:
        assert isinstance(layer, KERNELS)
        seen.append((type(layer).__name__, tuple(out.shape[1:]), layer.stride[0]))

    hooks = [layer.register_forward_hook(note) for layer in network.modules() if isinstance(layer, KERNELS)]
    with torch.inference_mode():
        network.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


def parameters(network: nn.Module) -> int:
    return sum(values.numel() for values in network.parameters())


def test_the_generator_halves_six_times_and_doubles_six_times() -> None:
    assert layers(Generator(), torch.zeros(1, 1, 64, 64)) == [
        ("Conv2d", (64, 32, 32), 2),
        ("Conv2d", (128, 16, 16), 2),
        ("Conv2d", (256, 8, 8), 2),
        ("Conv2d", (512, 4, 4), 2),
        ("Conv2d", (512, 2, 2), 2),
        ("Conv2d", (512, 1, 1), 2),
        ("ConvTranspose2d", (512, 2, 2), 2),
        ("ConvTranspose2d", (512, 4, 4), 2),
        ("ConvTranspose2d", (256, 8, 8), 2),
        ("ConvTranspose2d", (128, 16, 16), 2),
        ("ConvTranspose2d", (64, 32, 32), 2),
        ("ConvTranspose2d", (1, 64, 64), 2),
    ]


def blocks(network: nn.Module, part: str) -> list[list[nn.Module]]:
    return [list(block.children()) for block in network.get_submodule(part).children()]


def having(kind: type[nn.Module], these: list[list[nn.Module]]) -> list[int]:
    """Return the numbers of the blocks, from one, that have a layer of a kind."""
    return [number for number, block in enumerate(these, start=1) if any(isinstance(layer, kind) for layer in block)]


def test_the_generator_normalizes_and_drops_out_where_the_paper_does() -> None:
    encoder, decoder = (blocks(Generator(), part) for part in ("encoder", "decoder"))
    assert having(nn.BatchNorm2d, encoder) == [2, 3, 4]
    assert having(nn.LeakyReLU, encoder) == [1, 2, 3, 4, 5]
    assert having(nn.ReLU, encoder) == [6]
    assert having(nn.BatchNorm2d, decoder) == [1, 2, 3, 4, 5]
    assert having(nn.Dropout, decoder) == [1]


def test_the_first_five_decoder_blocks_are_joined_with_the_encoder() -> None:
    taken = [
        layer.in_channels for block in blocks(Generator(), "decoder") for layer in block if hasattr(layer, "stride")
    ]
    assert taken == [512, 512 + 512, 512 + 512, 256 + 256, 128 + 128, 64 + 64]


def test_the_discriminator_judges_eight_by_eight_patches() -> None:
    frame = torch.zeros(2, 1, 64, 64)
    assert layers(Discriminator(), frame, frame) == [
        ("Conv2d", (48, 32, 32), 2),
        ("Conv2d", (96, 16, 16), 2),
        ("Conv2d", (192, 8, 8), 2),
        ("Conv2d", (384, 8, 8), 1),
        ("Conv2d", (1, 8, 8), 1),
    ]


def test_they_are_as_large_as_the_papers() -> None:
    assert round(parameters(Generator()) / 1e6, 2) == 29.24
    assert round(parameters(Discriminator()) / 1e6, 2) == 1.55


def test_the_generator_takes_its_own_matrix_alone() -> None:
    with pytest.raises(ValueError, match="64, 64"):
        Generator()(torch.zeros(1, 1, 128, 128))
