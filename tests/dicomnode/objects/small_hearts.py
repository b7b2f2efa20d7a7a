"""Two readings of one analytic ventricle, found and mapped by the real code: made once, for they take seconds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from pipelines.cardiac.heart_frame import LeftVentricle
from pipelines.cardiac.left_ventricle import Guidance, find_left_ventricle
from pipelines.cardiac.polar_map import polar_map
from pipelines.cardiac.quantification import NormalLimits, normal_limits, perfusion
from pipelines.cardiac.reorientation import Orientation, reoriented
from pipelines.cardiac.ventricle_shape import ventricle_shape
from pipelines.contract import Derived, DerivedKind, Heart
from pipelines.geometry import VoxelGrid
from pipelines.images import Volume
from tests.pipelines.cardiac import hearts as analytic

GRID = VoxelGrid.axial((32, 32, 32), (6.4, 6.4, 6.4), (45.0, -30.0, 10.0))
POPULATION = "analytic hearts, women, stress"


@cache
def images() -> tuple[Derived, ...]:
    """Return two reconstructions, the first with a weak inferior wall, and the short axis of each."""
    return _read()[1]


@cache
def two_hearts() -> tuple[Heart, Heart]:
    """Return the hearts that are not corrected and corrected; both are judged by the same limits."""
    before, after = _read()[0]
    judged = limits()
    return (
        replace(before, perfusion=perfusion(before.polar, judged), limits=judged.population),
        replace(after, perfusion=perfusion(after.polar, judged), limits=judged.population),
    )


@cache
def limits() -> NormalLimits:
    """Return limits of the corrected heart with a little noise."""
    polar = _read()[0][1].polar
    noise = np.random.default_rng(3)
    normals = [
        replace(polar, counts=polar.counts * (1.0 + 0.02 * noise.standard_normal(polar.counts.shape))) for _ in range(9)
    ]
    return normal_limits(POPULATION, normals)


@cache
def _read() -> tuple[tuple[Heart, ...], tuple[Derived, ...]]:
    weak = analytic.without(np.array([0.0, 0.0, -1.0]), 45.0, 0.4)
    before = analytic.seen(analytic.Heart(uptake=weak), GRID)
    after = analytic.seen(analytic.Heart(), GRID)
    ventricle = find_left_ventricle(after, Guidance())
    hearts = (_heart("not corrected", before, ventricle), _heart("corrected", after, ventricle))
    derived = (
        Derived(DerivedKind.RECONSTRUCTION, before, "OSEM"),
        Derived(DerivedKind.CORRECTED_RECONSTRUCTION, after, "OSEM, corrected"),
        Derived(DerivedKind.SHORT_AXIS, hearts[0].short_axis, "Short axis"),
        Derived(DerivedKind.CORRECTED_SHORT_AXIS, hearts[1].short_axis, "Short axis, corrected"),
    )
    return hearts, derived


def _heart(label: str, volume: Volume, ventricle: LeftVentricle) -> Heart:
    slices = [reoriented(volume, ventricle, orientation) for orientation in Orientation]
    return Heart(label, ventricle, *slices, polar_map(volume, ventricle), ventricle_shape(ventricle))
