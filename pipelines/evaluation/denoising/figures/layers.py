"""Reads what a network does from one run of it: its layers in order, their sizes, and which outputs are joined.

Nothing is known beforehand of the network: a diagram that is drawn from this shows the code that runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Shape = tuple[int, ...]  # [filters, rows, columns]: without the batch

_FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {"cat": "join", "relu": "ReLU", "sigmoid": "sigmoid", "avg_pool2d": "mean pool", "interpolate": "enlarge"}
)


_LEADING = ("mean pool", "enlarge", "join")


@dataclass(frozen=True)
class Layer:
    """One layer or function of a network, as it was run."""

    words: str
    shape: Shape  # of its output
    module: str  # qualified name; empty for a function
    convolution: bool
    joined: tuple[int | None, ...] = ()  # of a join: which layers' outputs, by place; None: something else


@dataclass(frozen=True)
class Block:
    """Layers that belong together: a numbered block of the network, or a convolution and what follows it."""

    layers: tuple[Layer, ...]
    first: int  # place of its first layer among all

    @property
    def shape(self) -> Shape:
        """Return the size of what comes out."""
        return self.layers[-1].shape

    def holds(self, place: int) -> bool:
        """Return whether the layer at a place is one of its own."""
        return self.first <= place < self.first + len(self.layers)


@torch.inference_mode()
def layers_of(network: nn.Module, *inputs: Tensor) -> tuple[Layer, ...]:
    """Return the layers of a network in the order in which they run on these inputs `[1, filters, row, column]`."""
    network.eval()
    listener = _Listener()
    handles = []
    for name, module in network.named_modules():
        if not list(module.children()):
            handles.append(module.register_forward_pre_hook(listener.enter))
            handles.append(module.register_forward_hook(listener.leave(name)))
    try:
        with listener:
            network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(listener.layers)


class _Listener(TorchFunctionMode):
    """Notes every module, and every function between modules that a diagram shows."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[Layer] = []
        self._outputs: list[Tensor] = []  # kept, so that no other tensor takes the place of one
        self._inside = 0

    def enter(self, _module: nn.Module, _inputs: object) -> None:
        """A module begins: what it calls itself is not shown."""
        self._inside += 1

    def leave(self, name: str) -> Callable[[nn.Module, object, Tensor], None]:
        """Return what notes the module of this name when it ends."""

        def note(module: nn.Module, _inputs: object, output: Tensor) -> None:
            self._inside -= 1
            self._note(module_words(module), output, name, isinstance(module, nn.Conv2d | nn.ConvTranspose2d))

        return note

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if not self._inside and name in _FUNCTIONS and isinstance(output, Tensor):
            joined = tuple(self._place(one) for one in args[0]) if name == "cat" else ()
            self._note(_FUNCTIONS[name], output, "", False, joined)
        return output

    def _place(self, tensor: Tensor) -> int | None:
        return next((place for place, output in enumerate(self._outputs) if output is tensor), None)

    def _note(
        self, words: str, output: Tensor, module: str, convolution: bool, joined: tuple[int | None, ...] = ()
    ) -> None:
        self.layers.append(Layer(words, tuple(output.shape[1:]), module, convolution, joined))
        self._outputs.append(output)


def module_words(module: nn.Module) -> str:
    """Return a layer in words, with the settings that it has."""
    if isinstance(module, nn.ConvTranspose2d | nn.Conv2d):
        kind = "transposed conv" if isinstance(module, nn.ConvTranspose2d) else "conv"
        rows, columns = module.kernel_size
        stride = f", stride {module.stride[0]}" if module.stride[0] > 1 else ""
        return f"{kind} {rows}\N{MULTIPLICATION SIGN}{columns}{stride}"
    if isinstance(module, nn.LeakyReLU):
        return f"leaky ReLU {module.negative_slope:g}"
    if isinstance(module, nn.Dropout):
        return f"drop-out {module.p:g}"
    words = {nn.BatchNorm2d: "batch norm", nn.ReLU: "ReLU", nn.ZeroPad2d: "zero pad"}
    return words.get(type(module), type(module).__name__)


def blocks_of(layers: tuple[Layer, ...]) -> tuple[Block, ...]:
    """Return the layers in blocks.

    A module of a numbered block ("encoder.3.0") belongs to that block; any other convolution, with the padding before
    it, begins one. Functions belong to what ran before them, but those that change the size or join, right before a
    block, lead into it. What runs before the first block prepares the input and belongs to none.
    """
    starts: list[int] = []
    owner = ""
    for place, layer in enumerate(layers):
        block = _block_name(layer.module)
        if layer.module and (block != owner if block else _begins(layers, place)):
            starts.append(_led_into(layers, place) if starts else place)
        owner = block if layer.module else owner
    ends = [*starts[1:], len(layers)]
    return tuple(Block(layers[start:end], start) for start, end in zip(starts, ends, strict=True))


def _led_into(layers: tuple[Layer, ...], place: int) -> int:
    """Return where the functions that lead into a block begin; the block itself begins at `place`."""
    while place > 0 and layers[place - 1].words in _LEADING and layers[place - 1].module == "":
        place -= 1
    return place


def _begins(layers: tuple[Layer, ...], place: int) -> bool:
    padded = place > 0 and layers[place - 1].words == "zero pad"
    return layers[place].words == "zero pad" or (layers[place].convolution and not padded)


def _block_name(module: str) -> str:
    """Return "encoder.3" of "encoder.3.0", and nothing of "layers.3" or "correction"."""
    parts = module.split(".")
    return ".".join(parts[:-1]) if len(parts) > 2 and parts[-2].isdigit() else ""


def weights_of(network: nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())
