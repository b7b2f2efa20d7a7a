"""MLEM and OSEM on anything that can forward project and back project.

Shepp and Vardi, IEEE Trans. Med. Imaging 1 (1982) 113 (MLEM); Hudson and Larkin, ibid. 13 (1994) 601 (OSEM).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

_SMALLEST_EXPECTED = 1e-7  # of the mean count per bin: below, a bin says nothing that float32 can hold
_SMALLEST_SENSITIVITY = 1e-6  # of the largest


class LinearOperator(Protocol):
    """A linear map with non-negative entries and its adjoint."""

    def forward_project(self, activity: Tensor, /) -> Tensor:
        """Return A x."""
        ...

    def back_project(self, projections: Tensor, /) -> Tensor:
        """Return A^T y."""
        ...


@dataclass(frozen=True)
class Subset:
    """Views that are used together: their operator, what was counted there, and what is expected besides (scatter)."""

    operator: LinearOperator
    measured: Tensor
    additive: Tensor | None = None


Observer = Callable[[int, Tensor], bool]  # (iterations done, activity) -> True to stop here


def osem(subsets: Sequence[Subset], start: Tensor, iterations: int, observe: Observer | None = None) -> Tensor:
    """Return the activity after `iterations` passes over all subsets (one subset: MLEM).

    `start` is positive and has the shape of the operators' activity. Each update is
    x <- x / (A^T 1) * A^T (y / (A x + additive)); where A^T 1 = 0 the activity is 0.
    Raises ValueError on no subsets, fewer than one iteration, negative counts or a negative start.
    """
    if not subsets or iterations < 1:
        raise ValueError(f"OSEM needs at least one subset and one iteration, not {len(subsets)} and {iterations}")
    if any(bool((subset.measured < 0).any()) for subset in subsets) or bool((start < 0).any()):
        raise ValueError("OSEM needs counts and a start that are not negative")
    return _osem(subsets, start, iterations, observe)


def _osem(subsets: Sequence[Subset], start: Tensor, iterations: int, observe: Observer | None) -> Tensor:
    inverse_sensitivity = [_inverse_sensitivity(subset) for subset in subsets]
    activity = start
    for iteration in range(iterations):
        for subset, inverse in zip(subsets, inverse_sensitivity, strict=True):
            activity = activity * inverse * subset.operator.back_project(_ratio(subset, activity))
        if observe is not None and observe(iteration + 1, activity):
            break
    return activity


def _ratio(subset: Subset, activity: Tensor) -> Tensor:
    """Return measured / expected, with expected kept above what float32 can tell from zero."""
    expected = subset.operator.forward_project(activity)
    if subset.additive is not None:
        expected = expected + subset.additive
    floor = _SMALLEST_EXPECTED * float(subset.measured.mean()) + torch.finfo(expected.dtype).tiny
    return subset.measured / expected.clamp_min(floor)


def _inverse_sensitivity(subset: Subset) -> Tensor:
    """Return 1 / (A^T 1), and 0 where no view of the subset sees the voxel."""
    sensitivity = subset.operator.back_project(torch.ones_like(subset.measured))
    seen = sensitivity > _SMALLEST_SENSITIVITY * sensitivity.max()
    return torch.where(seen, 1 / torch.where(seen, sensitivity, 1), 0)


def log_likelihood(subsets: Sequence[Subset], activity: Tensor) -> float:
    """Return the Poisson log-likelihood of all measured counts, without the term that does not depend on activity."""
    total = 0.0
    for subset in subsets:
        expected = subset.operator.forward_project(activity).double()
        if subset.additive is not None:
            expected = expected + subset.additive
        counts = subset.measured.double()
        total += float((torch.xlogy(counts, expected) - expected).sum())
    return total


def ordered_subsets(angles_deg: Sequence[float], subsets: int) -> tuple[tuple[int, ...], ...]:
    """Split the views into subsets, each spread evenly over the orbit, in an order that keeps neighbours far apart.

    Views are dealt out by angle, not by the order in which they are stored. Raises ValueError when there are fewer
    views than subsets.
    """
    if not 1 <= subsets <= len(angles_deg):
        raise ValueError(f"{len(angles_deg)} views can't make {subsets} subsets")
    by_angle = sorted(range(len(angles_deg)), key=lambda view: (angles_deg[view] % 360.0, view))
    dealt = [tuple(by_angle[first::subsets]) for first in range(subsets)]
    return tuple(dealt[index] for index in _far_apart(subsets))


def _far_apart(count: int) -> list[int]:
    """Return 0..count-1 so that each is as far as can be, on a circle, from those shortly before it."""
    order = [0]
    while len(order) < count:
        rest = [index for index in range(count) if index not in order]
        recent = order[-2:][::-1]

        def distances(index: int, recent: list[int] = recent) -> tuple[int, ...]:
            return tuple(min(abs(index - other), count - abs(index - other)) for other in recent)

        order.append(max(rest, key=lambda index: (*distances(index), -index)))
    return order
