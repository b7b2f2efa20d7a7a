"""How much the wall thickens in systole, read from its counts: a thin blurred wall is as bright as thick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.cardiac.gated_beat import Beat
from pipelines.cardiac.gated_fit import WallFit, placed
from pipelines.cardiac.gated_shell import Shell
from pipelines.cardiac.heart_frame import Float, LeftVentricle
from pipelines.cardiac.polar_map import polar_map
from pipelines.cardiac.sampling import FWHM_PER_SIGMA, smoothed
from pipelines.cardiac.segments import segment_means
from pipelines.images import Volume

READ_FWHM_MM = 10.0  # against the noise of single samples
HARMONICS = 2
FAINT = 0.1  # of the brightest sample: a wall this faint shows no thickening
FULL = 0.97  # share of its true brightness at which a wall is as thick as can be told
LARGEST_PERCENT = 200.0
_ERF_AT = np.linspace(0.0, 3.0, 601)
_ERF = np.array([math.erf(value) for value in _ERF_AT])


@dataclass(frozen=True)
class Thickening:
    """Growth of the wall's thickness from end diastole to end systole, percent."""

    by_segment: tuple[float, ...]  # 1 to 17
    map: Float  # [ring, angle]


def thickening(
    gates: Sequence[Volume],
    weights: Float,
    ventricle: LeftVentricle,
    looks: Float,
    shells: Sequence[Shell],
    blur_mm: float,
) -> Thickening:
    """Return the thickening from gates of even counts; `looks` `[gate, 4]` says where each gate's wall is seen.

    A wall of thickness t seen through a blur of sd s has erf(t / (s sqrt 8)) of its true brightness: that of the shell
    at end diastole says how thick it is when it's brighter. The largest and the smallest shell are the two moments.
    """
    maps = [
        polar_map(_calm(gate), _in_gate(ventricle, look)) if weight > 0 else None
        for gate, look, weight in zip(gates, looks, weights, strict=True)
    ]
    area = next(one.area_mm2 for one in maps if one is not None)
    counts = np.array([np.zeros(area.size) if one is None else one.counts.ravel() for one in maps])
    beat = Beat.fitted(counts, weights, HARMONICS).by_gate().reshape(len(gates), *area.shape)
    volumes = [shell.cavity_ml for shell in shells]
    first, last = int(np.argmax(volumes)), int(np.argmin(volumes))
    thick, wide = 2.0 * shells[first].half_wall, math.hypot(blur_mm, READ_FWHM_MM / FWHM_PER_SIGMA) * math.sqrt(8.0)
    means = [np.array(segment_means(beat[gate], area)) for gate in (first, last)]
    least = FAINT * float(beat[first].max())
    by_segment = _percent(means[0], means[1], least, thick, wide)
    return Thickening(
        tuple(float(value) for value in by_segment), _percent(beat[first], beat[last], least, thick, wide)
    )


def _percent(before: Float, after: Float, least: float, thick_mm: float, wide_mm: float) -> Float:
    ratio = np.maximum(after, 0.0) / np.maximum(before, max(least, 1e-12))
    share = np.clip(math.erf(thick_mm / wide_mm) * ratio, 0.0, FULL)
    grown = np.interp(share, _ERF, _ERF_AT) * wide_mm / thick_mm - 1.0
    percent = np.clip(100.0 * grown, -100.0, LARGEST_PERCENT)
    return np.where(before > least, percent, 0.0)


def _calm(gate: Volume) -> Volume:
    return replace(gate, values=smoothed(gate.values, gate.grid.voxel_mm, READ_FWHM_MM).astype(np.float32))


def _in_gate(ventricle: LeftVentricle, look: Float) -> LeftVentricle:
    """Return the ventricle as it is seen in one gate."""
    ridge = placed(ventricle.ridge, WallFit(look[:3], np.zeros(2), 0.0))
    return replace(ventricle, ridge=ridge, valve_plane_mm=float(look[3] - look[0]))
