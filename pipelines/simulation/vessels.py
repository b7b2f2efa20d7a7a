"""The vessels of the lungs: trees that branch from the roots of both lungs and grow thinner outward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulation.shapes import Layer, Point, point_of

Float = NDArray[np.float64]

STEMS = 11  # per lung
GENERATIONS = 5
THINNEST_MM = 1.1  # radius
NARROWING = 0.76  # of a branch against its parent; Murray's law for equal branches has 0.79


@dataclass(frozen=True)
class Vessel:
    """One straight piece of a vessel in the patient's own frame, mm."""

    start: Point
    end: Point
    radius: float


def draw_vessels(rng: np.random.Generator, cage_half: tuple[float, float]) -> tuple[Vessel, ...]:
    """Return the vessels of both lungs in a rib cage of these half-axes (lateral, front to back)."""
    pieces: list[Vessel] = []
    for side in (-1.0, 1.0):
        root = np.array([side * 36.0, 0.12 * cage_half[1], rng.uniform(38.0, 58.0)])
        for stem in range(STEMS):
            turn = 2 * np.pi * (stem + rng.uniform(-0.3, 0.3)) / STEMS
            heading = np.array([side * rng.uniform(0.3, 0.9), np.sin(turn), np.cos(turn)])
            _grow(rng, pieces, root + rng.normal(0, 4.0, 3), heading, float(rng.uniform(3.2, 4.6)))
    return tuple(pieces)


def _grow(rng: np.random.Generator, pieces: list[Vessel], place: Float, heading: Float, radius: float) -> None:
    """Add a stem and its branches: each forks in two that leave it by some 20 to 45 degrees."""
    tips = [(place, heading / np.linalg.norm(heading), radius)]
    for _ in range(GENERATIONS):
        grown = []
        for start, direction, width in tips:
            end = start + rng.uniform(16.0, 28.0) * direction
            pieces.append(Vessel(point_of(start), point_of(end), float(width)))
            for _ in range(2):
                turned = direction + rng.normal(0, 0.38, 3)
                grown.append((end, turned / np.linalg.norm(turned), NARROWING * width * rng.uniform(0.85, 1.1)))
        tips = [tip for tip in grown if tip[2] > THINNEST_MM]


def paint_vessels(layer: Layer, vessels: tuple[Vessel, ...], lung: Float, activity: float, mu: float) -> None:
    """Paint vessels where there is `lung`, as a share `[z, y, x]`; each keeps its volume however thin it is."""
    for vessel in vessels:
        share = _kept(vessel.radius, layer.canvas.edge_mm)
        layer.capsule(vessel.start, vessel.end, vessel.radius, activity, mu, lung, share)


def _kept(radius: float, edge: float) -> float:
    """Return a rod's section over the area that its soft edge gives it on voxels of this edge."""
    if radius < edge / 2:
        return 3.0 * radius**2 * edge / (radius + edge / 2) ** 3
    return radius**2 / (radius**2 + edge**2 / 12)
