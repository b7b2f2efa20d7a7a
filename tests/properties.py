"""Properties that hold for every operator, asked in one place: adjointness, linearity, kept counts."""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor


class Operator(Protocol):
    """Anything with a forward projection and a back projection."""

    def forward_project(self, activity: Tensor, /) -> Tensor: ...

    def back_project(self, projections: Tensor, /) -> Tensor: ...


def inner(left: Tensor, right: Tensor) -> float:
    """Return the inner product, summed in float64."""
    return float((left.double() * right.double()).sum())


def adjoint_error(operator: Operator, activity: Tensor, projections: Tensor) -> float:
    """Return |<A x, y> - <x, A^T y>| relative to |A x| |y|."""
    forward = operator.forward_project(activity)
    backward = operator.back_project(projections)
    scale = math.sqrt(inner(forward, forward) * inner(projections, projections))
    return abs(inner(forward, projections) - inner(activity, backward)) / scale


def assert_adjoint(operator: Operator, activity: Tensor, projections: Tensor, tolerance: float = 1e-6) -> None:
    """The back projection is the transpose of the forward projection, for positive and for signed arguments."""
    signed = [activity - activity.mean(), projections - projections.mean()]
    for x, y in ((activity, projections), (signed[0], signed[1])):
        error = adjoint_error(operator, x, y)
        assert error < tolerance, f"adjoint to {error:.2e}, not {tolerance:.0e}"


def assert_linear(operator: Operator, first: Tensor, second: Tensor, tolerance: float = 1e-5) -> None:
    """A(2x + 3y) = 2Ax + 3Ay."""
    together = operator.forward_project(2 * first + 3 * second)
    apart = 2 * operator.forward_project(first) + 3 * operator.forward_project(second)
    error = float((together - apart).abs().max() / apart.abs().max())
    assert error < tolerance, f"linear to {error:.2e}, not {tolerance:.0e}"


def assert_counts_kept(operator: Operator, activity: Tensor, tolerance: float = 1e-3) -> None:
    """Every view counts the whole activity (no attenuation, nothing outside the field of view)."""
    projections = operator.forward_project(activity)
    per_view = projections.double().sum(dim=(0, 2, 3))
    error = float((per_view / activity.double().sum() - 1).abs().max())
    assert error < tolerance, f"counts kept to {error:.2e}, not {tolerance:.0e}"
