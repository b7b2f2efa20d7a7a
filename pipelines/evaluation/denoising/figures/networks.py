"""Diagrams of the networks, drawn from what the networks themselves do when they run (`layers`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn

from pipelines.evaluation.denoising.figures.layers import Block, Shape, blocks_of, layers_of, weights_of
from pipelines.evaluation.denoising.figures.methods import after, beyond
from pipelines.evaluation.page import SMALL_PT, TEXT_PT, bare, new_page
from pipelines.networks.adversarial import PIXELS, Discriminator, Generator
from pipelines.networks.denoiser import VIEWS, Denoiser
from pipelines.report.colors import BLUE, FAINT, INK, PALE
from pipelines.report.lettering import width_px
from pipelines.training.paper_denoiser import EPOCHS, L2_WEIGHT, LEARNING_RATE

Network = TypeVar("Network", bound=nn.Module)

_DOWN, _UP, _DATA, _LAST = "#dbeafe", "#fee2e2", "#f1f5f9", "#fef3c7"
_READ = "Layers, filters and sizes are read from one run of the network itself"


def _made(network: type[Network]) -> Network:
    """Return a network of shapes alone: without values it is made and run at once."""
    with torch.device("meta"):
        return network()


def _of_size(*filters: int) -> Tensor:
    return torch.zeros(1, *filters, PIXELS, PIXELS, device="meta")


def draw_generator() -> Figure:
    """Draw the generator of the paper's adversarial network."""
    network = _made(Generator)
    blocks = blocks_of(layers_of(network, _of_size(1)))
    return _u_shaped(
        blocks, (1, PIXELS, PIXELS), "Generator of the paper's adversarial network", after("Fig. 1"),
        f"{_READ}: {weights_of(network) / 1e6:.1f} million weights. In: a low-dose projection in shares of its study's "
        "maximum; out: the full-dose projection in shares of the full dose's. Sizes: filters \N{MULTIPLICATION SIGN} "
        "rows \N{MULTIPLICATION SIGN} columns.",
        "low-dose projection",
    )  # fmt: skip


def draw_our_network() -> Figure:
    """Draw our own denoiser."""
    network = _made(Denoiser)
    layers = layers_of(network, _of_size(VIEWS))
    *blocks, mixing, correction = blocks_of(layers)
    return _u_shaped(
        blocks, layers[0].shape, "Our denoiser", beyond(),
        f"{_READ}, on projections of {PIXELS} \N{MULTIPLICATION SIGN} {PIXELS} pixels (any size will do): "
        f"{weights_of(network) / 1e6:.2f} million weights. In: roots of the counts of a view and its neighbors "
        f"({VIEWS} views; of a gated study all gates together) less that of a smooth estimate. One last layer mixes "
        "smooth estimates in each pixel, the other corrects the root of the mixture; the root's square is the expected "
        "count.",
        f"a view and its neighbors: {VIEWS} views",
        (mixing, correction),
    )  # fmt: skip


@dataclass(frozen=True)
class _Box:
    """A box of a diagram: its middle, in inches from the upper left, and what stands in it."""

    x: float
    y: float
    width: float
    height: float
    color: str

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2

    def draw(self, axes: Axes, title: str, words: Sequence[str] = ()) -> None:
        """Draw the box, its title in bold over its words, which share lines as the width allows."""
        axes.add_patch(
            FancyBboxPatch(
                (self.left, self.top), self.width, self.height, boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=self.color, edgecolor=FAINT, linewidth=0.9,
            )
        )  # fmt: skip
        lines = _in_lines(words, self.width - 0.12)
        first = self.y - 0.07 * len(lines)
        axes.text(self.x, first, title, ha="center", va="center", fontsize=TEXT_PT, weight="bold", color=INK)
        for number, line in enumerate(lines, start=1):
            axes.text(self.x, first + 0.14 * number, line, ha="center", va="center", fontsize=SMALL_PT, color=INK)


def _in_lines(words: Sequence[str], width_in: float) -> list[str]:
    """Return words in as few lines as fit a width, the lines about equally long; no word is broken."""
    lines = _filled(words, width_in)
    narrower = width_in
    while narrower > 0.5 and len(_filled(words, narrower)) == len(lines):
        lines = _filled(words, narrower)
        narrower -= 0.1
    return lines


def _filled(words: Sequence[str], width_in: float) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} \N{MIDDLE DOT} {word}" if lines else word
        if lines and width_px(longer, SMALL_PT) <= width_in * 100:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _arrow(axes: Axes, *places: tuple[float, float], color: str = PALE) -> None:
    """Draw an arrow along these places, straight from one to the next."""
    along = np.array(places)
    axes.plot(along[:, 0], along[:, 1], color=color, linewidth=1.1, solid_joinstyle="round")
    style = {"arrowstyle": "-|>", "color": color, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    axes.annotate("", xy=places[-1], xytext=places[-2], arrowprops=style)


def _board(axes: Axes, width: float, height: float) -> None:
    bare(axes)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _size(shape: Shape) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape))


def _words(block: Block) -> list[str]:
    return [layer.words for layer in block.layers]


_BOX_IN, _MIDDLE_IN, _ROW_IN, _BOX_HEIGHT = 2.6, 1.5, 0.84, 0.6


def _u_shaped(
    blocks: Sequence[Block],
    entering: Shape,
    title: str,
    source: str,
    remark: str,
    entering_words: str,
    heads: Sequence[Block] = (),
) -> Figure:
    """Draw an encoder at the left, downwards, its decoder at the right, upwards, and what joins them.

    `heads` are layers that read the last block side by side; they stand above it.
    """
    down, up = _sides(blocks)
    width, height = 2 * _BOX_IN + _MIDDLE_IN + 0.5, _ROW_IN * (len(down) + 1) + 0.1
    page = new_page((width, height), title, source=source, patients=None, remark=remark)
    axes = page.axes(0.0, 0.0, width, height)
    _board(axes, width, height)
    left, right = 0.25 + _BOX_IN / 2, width - 0.25 - _BOX_IN / 2
    data = _Box(left, _ROW_IN / 2, _BOX_IN, 0.46, _DATA)
    data.draw(axes, _size(entering), [entering_words])
    placed: list[tuple[Block, _Box]] = []
    for row, block in enumerate(down, start=1):
        x, color = (width / 2, _LAST) if block is down[-1] else (left, _DOWN)
        placed.append((block, _Box(x, _ROW_IN * (row + 0.5), _BOX_IN, _BOX_HEIGHT, color)))
    for row, block in enumerate(up, start=1):
        placed.append((block, _Box(right, _ROW_IN * (len(down) - row + 0.5), _BOX_IN, _BOX_HEIGHT, _UP)))
    before = data
    for block, box in placed:
        box.draw(axes, _size(block.shape), _words(block))
        _flow(axes, before, box)
        before = box
    _skips(axes, placed)
    _heads(axes, heads, before)
    return page.figure


def _heads(axes: Axes, heads: Sequence[Block], before: _Box) -> None:
    """Draw layers side by side over the box whose output each of them reads."""
    for place, head in enumerate(heads):
        share = _BOX_IN / len(heads)
        box = _Box(before.left + share * (place + 0.5), before.y - _ROW_IN, share - 0.1, _BOX_HEIGHT, _LAST)
        box.draw(axes, _size(head.shape), [head.layers[-1].module, *_words(head)])
        _arrow(axes, (box.x, before.top), (box.x, box.bottom))


def _sides(blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """Return the blocks up to the smallest image, and those after it."""
    smallest = min(block.shape[-1] for block in blocks)
    turn = max(place for place, block in enumerate(blocks) if block.shape[-1] == smallest) + 1
    return list(blocks[:turn]), list(blocks[turn:])


def _flow(axes: Axes, before: _Box, box: _Box) -> None:
    """Draw the arrow from a box to the next: down, into the turn at the bottom, out of it, or up."""
    if before.x == box.x and box.y > before.y:
        _arrow(axes, (before.x, before.bottom), (box.x, box.top))
    elif before.x == box.x:
        _arrow(axes, (before.x, before.top), (box.x, box.bottom))
    elif box.y > before.y:
        _arrow(axes, (before.x, before.bottom), (before.x, box.y), (box.left, box.y))
    else:
        _arrow(axes, (before.right, before.y), (box.x, before.y), (box.x, box.bottom))


def _skips(axes: Axes, placed: Sequence[tuple[Block, _Box]]) -> None:
    """Draw what is joined to what: from the block whose output it is to the block that joins it."""
    for block, box in placed:
        for place in (place for layer in block.layers for place in layer.joined if place is not None):
            given, source = next((one for one in placed if one[0].holds(place)), (block, box))
            if source.right > box.left:  # its own, or the block that it follows
                continue
            _arrow(axes, (source.right, source.y), (box.left, box.y), color=BLUE)
            filters = given.layers[place - given.first].shape[0]
            middle = (source.right + box.left) / 2
            axes.text(middle, source.y - 0.08, f"join {filters}", ha="center", fontsize=SMALL_PT, color=BLUE)


def draw_discriminator() -> Figure:
    """Draw the discriminator of the paper's adversarial network."""
    network = _made(Discriminator)
    layers = layers_of(network, _of_size(1), _of_size(1))
    blocks = blocks_of(layers)
    step, size = 1.55, (1.27, 0.95)
    width, height = step * (len(blocks) + 2) + 0.1, 1.2
    page = new_page(
        (width, height),
        "Discriminator of the paper's adversarial network",
        source=after("Fig. 2"),
        patients=None,
        remark=f"{_READ}: {weights_of(network) / 1e6:.2f} million weights. The sigmoid that the paper ends with is "
        "taken within the loss. Each of the last values tells how real the full dose looks in one patch.",
    )
    axes = page.axes(0.0, 0.0, width, height)
    _board(axes, width, height)
    shown = [
        (_size(layers[0].shape), ["low dose", "full dose or predicted", layers[0].words], _DATA),
        *((_size(block.shape), _words(block), _LAST if block is blocks[-1] else _DOWN) for block in blocks),
        ("real or fake", [f"in {_size(blocks[-1].shape[1:])} patches"], _DATA),
    ]
    before = None
    for number, (title, words, color) in enumerate(shown):
        box = _Box(0.05 + step * (number + 0.5), height / 2, *size, color)
        box.draw(axes, title, words)
        if before is not None:
            _arrow(axes, (before.right, before.y), (box.left, box.y))
        before = box
    return page.figure


def draw_training() -> Figure:
    """Draw how generator and discriminator are trained against each other."""
    width, height = 9.4, 2.9
    page = new_page(
        (width, height),
        "Training of the paper's adversarial network",
        source=after("Suppl. Fig. 1"),
        patients=None,
        remark=f"Discriminator and generator learn in turn, in the paper {EPOCHS} times through all pairs, by Adam at "
        f"a rate of {LEARNING_RATE:g}. The discriminator sees the low dose with the predicted or with the real full "
        "dose, and is to tell which; the generator learns from both losses, the discriminator from the lower one.",
    )
    axes = page.axes(0.0, 0.0, width, height)
    _board(axes, width, height)
    upper, middle, lower = 0.5, 1.45, 2.4
    low, generator = _Box(0.95, middle, 1.5, 0.6, _DATA), _Box(2.95, middle, 1.7, 0.7, _DOWN)
    predicted, full = _Box(5.0, middle, 1.5, 0.6, _DATA), _Box(8.3, middle, 1.5, 0.6, _DATA)
    square, entropy = _Box(6.65, upper, 2.0, 0.7, _LAST), _Box(8.3, lower, 1.9, 0.7, _LAST)
    discriminator = _Box(5.0, lower, 1.7, 0.7, _UP)
    pixels = _size((1, PIXELS, PIXELS))
    low.draw(axes, "low dose", [pixels])
    generator.draw(axes, "generator", [f"{weights_of(_made(Generator)) / 1e6:.1f} million weights"])
    predicted.draw(axes, "predicted full dose", [pixels])
    full.draw(axes, "full dose", [pixels])
    square.draw(axes, "L2 norm", [f"generator's loss, weight {L2_WEIGHT:g}"])
    discriminator.draw(axes, "discriminator", [f"{weights_of(_made(Discriminator)) / 1e6:.2f} million weights"])
    entropy.draw(axes, "binary cross-entropy", ["discriminator's loss", "generator's loss, weight 1"])
    _arrow(axes, (low.right, middle), (generator.left, middle))
    _arrow(axes, (generator.right, middle), (predicted.left, middle))
    _arrow(axes, (predicted.x, predicted.top), (predicted.x, upper), (square.left, upper))
    _arrow(axes, (full.x, full.top), (full.x, upper), (square.right, upper))
    _arrow(axes, (low.x, low.bottom), (low.x, lower), (discriminator.left, lower))
    _arrow(axes, (predicted.x, predicted.bottom), (discriminator.x, discriminator.top))
    _arrow(axes, (full.left + 0.1, full.bottom), (full.left + 0.1, 1.92), (5.45, 1.92), (5.45, discriminator.top))
    _arrow(axes, (discriminator.right, lower), (entropy.left, lower))
    return page.figure
