"""Networks that go wrong on purpose: while a fault lasts, every denoiser's output is changed as bad weights would.

The pipeline loads and runs its networks itself; the fault is put behind them by PyTorch's hook on all modules, so that
prediction and guard both meet it and nothing of the pipeline is replaced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook

from pipelines.networks.denoiser import Denoiser

Fault = Callable[[Tensor, NDArray[np.int64]], Tensor]  # expected counts [frame, row, column], their views -> changed


def painted(factor: NDArray[np.floating[Any]]) -> Fault:
    """Return the fault that multiplies the expected counts by a factor `[view, row, column]`."""
    factors = torch.from_numpy(factor.astype(np.float32))
    return lambda expected, views: expected * factors[torch.from_numpy(views)].to(expected.device)


def smoothed(pixels: int) -> Fault:
    """Return the fault that averages over squares of so many pixels (odd)."""

    def smooth(expected: Tensor, views: NDArray[np.int64]) -> Tensor:
        squares = functional.avg_pool2d(expected[:, None], pixels, 1, pixels // 2, count_include_pad=False)
        return squares[:, 0]

    return smooth


@contextmanager
def faulty_networks(fault: Fault | None, views: int) -> Iterator[None]:
    """Let every denoiser have this fault; it meets the frames view by view, in their order, orbit after orbit."""
    if fault is None:
        yield
        return
    frames: Counter[int] = Counter()

    def change(module: nn.Module, inputs: Any, output: Any) -> Any:
        if not isinstance(module, Denoiser):
            return None
        first = frames[id(module)]
        frames[id(module)] += len(output)
        return fault(output, np.arange(first, first + len(output)) % views)

    hook = register_module_forward_hook(change)
    try:
        yield
    finally:
        hook.remove()
