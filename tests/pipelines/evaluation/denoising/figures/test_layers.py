"""Network diagrams: what is drawn was read from a run of the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipelines.evaluation.denoising.figures.layers import Block, blocks_of, layers_of, weights_of
from pipelines.evaluation.denoising.figures.networks import draw_generator, draw_our_network
from pipelines.networks.adversarial import DECODER_FILTERS, ENCODER_FILTERS, Discriminator, Generator
from pipelines.networks.denoiser import VIEWS, Denoiser


class _Small(nn.Module):
    """Halves, enlarges, joins."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Sequential(nn.Conv2d(1, filters, 3, padding=1), nn.LeakyReLU(0.3))])
        self.up = nn.ModuleList([nn.Sequential(nn.ConvTranspose2d(filters, 2, 4, stride=2, padding=1))])
        self.last = nn.Conv2d(2 + filters, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        full = self.down[0](image)
        half = torch.nn.functional.avg_pool2d(full, 2)
        out: Tensor = torch.sigmoid(self.last(torch.cat([self.up[0](half), full], dim=1)))
        return out


def _blocks(network: nn.Module, *inputs: Tensor) -> tuple[Block, ...]:
    return blocks_of(layers_of(network, *inputs))


def _shapes_of(network: type[nn.Module], *filters: tuple[int, ...]) -> tuple[Block, ...]:
    with torch.device("meta"):
        return _blocks(network(), *(torch.ones(1, *numbers, 64, 64) for numbers in filters))


def _words(block: Block) -> list[str]:
    return [layer.words for layer in block.layers]


def test_a_network_is_read_layer_by_layer_with_its_settings() -> None:
    first, second, last = _blocks(_Small(5), torch.zeros(1, 1, 8, 8))
    assert _words(first) == ["conv 3×3", "leaky ReLU 0.3"]
    assert _words(second) == ["mean pool", "transposed conv 4×4, stride 2"]
    assert _words(last) == ["join", "conv 1×1", "sigmoid"]
    assert (first.shape, second.shape, last.shape) == ((5, 8, 8), (2, 8, 8), (1, 8, 8))


def test_a_join_knows_whose_outputs_it_joins() -> None:
    first, second, last = _blocks(_Small(5), torch.zeros(1, 1, 8, 8))
    upper, skipped = last.layers[0].joined
    assert second.holds(upper or 0)
    assert first.holds(skipped or 0)
    assert skipped == 1


def test_another_network_makes_another_diagram() -> None:
    assert _blocks(_Small(7), torch.zeros(1, 1, 8, 8))[0].shape == (7, 8, 8)


def test_reading_a_network_leaves_no_hook_behind() -> None:
    network = _Small(3)
    layers_of(network, torch.zeros(1, 1, 8, 8))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_the_generator_has_the_papers_blocks_and_five_joins() -> None:
    blocks = _shapes_of(Generator, (1,))
    assert tuple(block.layers[0].shape[0] for block in blocks) == ENCODER_FILTERS + DECODER_FILTERS
    joins = [layer for block in blocks for layer in block.layers if layer.joined]
    assert len(joins) == 5
    assert _words(blocks[6])[:3] == ["transposed conv 4×4, stride 2", "batch norm", "drop-out 0.5"]
    for number, layer in enumerate(joins):
        assert blocks[4 - number].holds(layer.joined[1] or 0)


def test_the_discriminators_padding_belongs_to_its_convolution() -> None:
    blocks = _shapes_of(Discriminator, (1,), (1,))
    assert _words(blocks[3])[:2] == ["zero pad", "conv 4×4"]
    assert [block.shape[0] for block in blocks] == [48, 96, 192, 384, 1]


def test_our_denoiser_is_a_u_with_two_heads() -> None:
    blocks = _shapes_of(Denoiser, (VIEWS,))
    assert [block.shape[-1] for block in blocks] == [64, 32, 16, 8, 16, 32, 64, 64, 64]
    written = [text.get_text() for text in draw_our_network().axes[0].texts]
    for head, name in zip(blocks[-2:], ("mixing", "correction"), strict=True):
        assert head.layers[-1].module == name
        assert " × ".join(map(str, head.shape)) in written
        assert any(words.startswith(name) for words in written)


def test_weights_are_counted() -> None:
    assert weights_of(nn.Conv2d(2, 3, 1)) == 2 * 3 + 3


def test_the_diagram_writes_every_blocks_size() -> None:
    written = {text.get_text() for text in draw_generator().axes[0].texts}
    assert {"64 × 32 × 32", "512 × 1 × 1", "1024 × 4 × 4", "1 × 64 × 64", "join 256"} <= written
